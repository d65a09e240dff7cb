"""Rows keep their numbers, names and order through every split, and 'all' puts them together."""

import numpy as np
import pytest

from jensen.datasets import Dataset, load_dataset, load_rows
from jensen.datasets._dataset import TRAIN_DRAW_SEED, frozen_draws

X = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


def test_every_split_knows_its_rows():
    data = load_dataset(X)
    numbers = [data.take(split).numbers for split in ("train", "validation", "test")]
    assert sorted(np.concatenate(numbers)) == list(range(50))
    for split in ("train", "validation", "test"):
        rows = data.take(split)
        assert np.array_equal(rows.values, X[rows.numbers])
        assert np.array_equal(rows.values, data.split(split))
        assert rows.fingerprint == data.fingerprint(split)
        assert list(rows.columns()) == ["row"]


def test_all_is_every_row_in_its_order_with_its_split():
    data = load_dataset(X)
    rows = data.take("all")
    assert np.array_equal(rows.values, X) and np.array_equal(data.split("all"), X)
    assert rows.numbers.tolist() == list(range(50))
    for split in ("train", "validation", "test"):
        assert set(rows.numbers[rows.splits == split]) == set(data.take(split).numbers)
    assert list(rows.columns()) == ["row", "split"]
    assert rows.fingerprint == data.fingerprint("all") == load_rows(X).fingerprint


def test_all_of_data_that_come_split():
    data = load_dataset((X[:40], X[40:]))  # validation is made of train
    rows = data.take("all")
    assert np.array_equal(rows.values, X)
    assert rows.numbers.tolist() == [*range(40), *range(10)]
    assert set(rows.splits[:40]) == {"train", "validation"} and set(rows.splits[40:]) == {"test"}
    given = load_rows((X[:40], X[40:]))
    assert np.array_equal(given.values, X)
    assert given.splits.tolist() == ["train"] * 40 + ["test"] * 10
    assert np.array_equal(load_rows((X[:40], X[40:]), split="test").values, X[40:])


def test_all_of_a_data_set_without_row_numbers():
    data = Dataset("x", X[:30], X[30:30], X[30:])
    rows = data.take("all")
    assert np.array_equal(rows.values, X)
    assert rows.numbers.tolist() == [*range(30), *range(20)]


def test_all_of_grey_data_holds_the_frozen_draws():
    grey = np.random.default_rng(1).random((50, 4)).astype(np.float32)
    data = load_dataset(grey, binarise="dynamic")
    rows = data.take("all")
    train = frozen_draws(data.train, 255, TRAIN_DRAW_SEED)
    assert np.array_equal(
        rows.values[rows.splits == "train"], train[np.argsort(data.take("train").numbers)]
    )
    assert set(np.unique(rows.values)) == {0, 1}


def test_named_data_know_their_rows_too():
    from sklearn.datasets import load_digits

    images = load_digits().images
    data = load_dataset("digits", binarise="none")
    rows = data.take("all")
    assert np.array_equal(rows.values, ((images + 0.5) / 17).astype(np.float32))
    assert np.array_equal(rows.labels, load_digits().target)
    assert load_rows("digits").name == "digits" and len(load_rows("digits", split="test")) == 360


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_rows_by_themselves_may_be_few(rows):
    assert np.array_equal(load_rows(X[:rows]).values, X[:rows])


def test_rows_have_no_splits_that_were_not_given():
    with pytest.raises(ValueError, match="has no splits: all its rows are used, in their order"):
        load_rows(X, split="test")
    with pytest.raises(
        ValueError, match=r"no split 'tset' \(did you mean 'test'\?\); it has train, test"
    ):
        load_rows((X[:40], X[40:]), split="tset")


def test_drawn_rows_are_drawn_once():
    grey = np.random.default_rng(1).random((2000, 4)).astype(np.float32)
    rows, again = (load_rows(grey, binarise="dynamic", seed=3) for _ in range(2))
    assert np.array_equal(rows.values, again.values)
    # P(1) is the grey value: the standard error of the mean difference is below .5 / sqrt(8000).
    assert abs((rows.values - grey).mean()) < 5 * 0.5 / np.sqrt(8000)


def test_index_columns_give_way_to_the_columns_beside_them():
    rows = load_rows({"data": X}).__class__(
        "x", X, np.arange(50), {"mean": np.arange(50), "id": np.arange(50)}
    )
    assert list(rows.columns(beside=["mean"])) == ["row", "index_mean", "id"]


def test_row_numbers_must_be_as_many_as_rows():
    from jensen.datasets._rows import RowOrigin

    with pytest.raises(ValueError, match=r"test has 20 rows, but row numbers or names of \[3\]"):
        Dataset("x", X[:30], X[:0], X[30:], rows={"test": RowOrigin("data", np.arange(3), {})})
