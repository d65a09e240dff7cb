"""The arrays of an .npz or a mapping are known by the names that their makers give them."""

import numpy as np
import pytest

from jensen.datasets import load_dataset, load_rows

X = np.arange(120).reshape(40, 3)
Y = np.arange(40) % 3


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    return tmp_path / "a.npz"


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [
        ("x_train", None, "x_test"),
        ("X_train", "X_val", "X_test"),
        ("xtrain", None, "xtest"),
        ("train", "valid", "test"),
        ("train_images", "validation_images", "test_images"),
        ("images.train", "images.dev", "images.test"),
    ],
)
def test_splits(tmp_path, train, validation, test):
    arrays = {train: X, test: X[:4]} | ({} if validation is None else {validation: X[4:9]})
    for source in (arrays, saved(tmp_path, **arrays)):
        data = load_dataset(source)
        assert np.array_equal(data.test, X[:4])
        if validation is None:
            assert len(data.validation) == 4
        else:
            assert np.array_equal(data.validation, X[4:9])
        rows = load_rows(source)
        parts = [X, X[:4]] if validation is None else [X, X[4:9], X[:4]]
        order = [train, test] if validation is None else [train, validation, test]
        if list(arrays) == order:
            assert np.array_equal(rows.values, np.concatenate(parts))


@pytest.mark.parametrize(
    ("data_key", "label_key"),
    [("X", "y"), ("x", "labels"), ("data", "target"), ("imgs", "imgs_labels"), ("it", "it_labels")],
)
def test_labels_of_one_array(tmp_path, data_key, label_key):
    data = load_dataset(saved(tmp_path, **{data_key: X, label_key: Y}))
    for split in ("train", "validation", "test"):
        taken = data.take(split)
        assert np.array_equal(taken.labels, Y[taken.numbers])
        assert np.array_equal(taken.values, X[taken.numbers])
    assert f"labels, not data: {label_key!r}" in data.notes


def test_labels_of_splits_as_keras_gives_them(tmp_path):
    arrays = {"x_train": X, "y_train": Y, "x_test": X[:4], "y_test": Y[:4]}
    tuples = ((X, Y), (X[:4], Y[:4]))
    for source in (arrays, saved(tmp_path, **arrays), tuples):
        data = load_dataset(source)
        assert np.array_equal(data.labels["test"], Y[:4])
        assert np.array_equal(data.labels["train"], Y[data.take("train").numbers])
        assert np.array_equal(load_rows(source, split="test").labels, Y[:4])


def test_labels_may_be_text_and_labels_that_are_objects_are_left_out(tmp_path):
    import pandas as pd

    text = np.array(["a", "b"] * 20)
    for labels in (text, pd.Series(text)):
        assert load_rows({"X": X, "y": labels}).labels.tolist() == text.tolist()
    rows = load_rows(saved(tmp_path, X=X, y=text.astype(object)))
    assert rows.labels is None and "left out: 'y'" in rows.notes
    assert np.array_equal(rows.values, X)


def test_what_is_left_out_is_told_and_a_key_can_be_named(tmp_path):
    other = np.zeros((40, 6), int)
    pickled = np.array({"a": 1}, dtype=object)
    path = saved(tmp_path, imgs=X, latents_classes=other, metadata=pickled)
    rows = load_rows(path)
    assert np.array_equal(rows.values, X)
    assert "left out: 'latents_classes', 'metadata'" in rows.notes
    assert np.array_equal(load_rows(path, key="latents_classes").values, other)
    with pytest.raises(ValueError, match="'metadata' cannot be read: it holds Python objects"):
        load_rows(path, key="metadata")
    with pytest.raises(ValueError, match=r"no array is called 'img' \(did you mean 'imgs'\?\)"):
        load_rows(path, key="img")
    both = saved(tmp_path, a=X, b=other)
    with pytest.raises(ValueError, match=r"the keys a, b do not say.*key=NAME"):
        load_rows(both)
    assert np.array_equal(load_rows(both, key="a").values, X)
    one = load_rows(
        saved(tmp_path, x_train=X, y_train=Y, x_test=X[:4], y_test=Y[:4]), key="x_train"
    )
    assert np.array_equal(one.labels, Y) and one.splits is None
