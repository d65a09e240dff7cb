"""The named data sets: their splits, their frozen draws, and what is said of them before they are loaded."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from jensen.datasets import MNIST, Digits, available, load_dataset
from jensen.datasets.digits import order

DATA = Path(os.environ.get("JENSEN_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("JENSEN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def mnist():
    if not (DATA / "mnist").is_dir():
        pytest.skip(
            f"the MNIST files are not in {DATA / 'mnist'}; set JENSEN_DATA to the directory that holds mnist/"
        )
    return load_dataset("mnist", data_dir=DATA)


def test_digits_split_is_disjoint_and_covers_all_rows():
    images, targets = (part[order()] for part in load_digits(return_X_y=True))
    data = load_dataset("digits")
    assert np.array_equal(np.sort(order()), np.arange(1797))
    assert np.array_equal(data.train, images[:1257].reshape(-1, 8, 8))
    assert np.array_equal(
        np.concatenate([data.labels[s] for s in ("train", "validation", "test")]), targets
    )
    # A pixel of grey 0 is never on and one of grey 16 never off, which ties every held-out draw to the row that it claims to come from.
    held_out = np.concatenate([data.validation, data.test]).reshape(-1, 64)
    assert not held_out[images[1257:] == 0].any()
    assert held_out[images[1257:] == 16].all()
    assert (len(data.validation), len(data.test)) == (180, 360)


@pytest.mark.parametrize(
    ("split", "rows"),
    [("train", slice(0, 1257)), ("validation", slice(1257, 1437)), ("test", slice(1437, 1797))],
)
def test_digits_draws_have_the_grey_values_as_means(split, rows):
    means = load_digits().data[order()][rows] / 16
    drawn = load_dataset("digits").split(split)
    standard_error = np.sqrt((means * (1 - means)).sum()) / means.size
    assert abs(drawn.mean() - means.mean()) < 5 * standard_error
    intermediate = (means > 0.4) & (means < 0.6)
    assert 0.4 < drawn.reshape(-1, 64)[intermediate].mean() < 0.6


def test_digits_are_the_same_at_every_load_and_on_every_machine():
    first, second = load_dataset("digits"), load_dataset("digits", seed=9)
    for split in ("train", "validation", "test"):
        assert first.fingerprint(split) == second.fingerprint(split)
    assert (
        first.fingerprint("test")
        == "e042282534281a934473120e87944818eb84a39f85026e1a35acac50374d5bb4"
    )
    assert (
        first.fingerprint("train")
        == "bc40107bca08f0767d874fbc0f8d59f41454e79aead9f5fa8bdaf632648da340"
    )


def packed_digest(array):
    return hashlib.sha256(np.packbits(array.reshape(len(array), -1), axis=1).tobytes()).hexdigest()


def test_mnist_frozen_draws_are_the_published_ones(mnist):
    assert (
        packed_digest(mnist.split("validation"))
        == "a5a22bf8d4a175a4403e6e5db0ed8163de851807ebbcd32709b3c66ec2097800"
    )
    assert (
        packed_digest(mnist.split("test"))
        == "8cc04e23259ba03b15ff0646787146107ac19a204d93333b4fee8220a34a77d0"
    )


def test_mnist_train_is_grey_upright_and_labelled(mnist):
    assert mnist.levels == 255
    # The well-known first images are a five and a zero; row 5 of the first image starts at column 12 with 3, 18, 18, 18, 126.
    assert mnist.labels["train"][:5].tolist() == [5, 0, 4, 1, 9]
    assert mnist.train[0, 5, 11:17].tolist() == [0, 3, 18, 18, 18, 126]
    assert mnist.labels["test"][:5].tolist() == [7, 2, 1, 0, 4]
    counts = np.bincount(np.concatenate([mnist.labels["train"], mnist.labels["validation"]]))
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_mnist_drawn_train_has_the_grey_values_as_means(mnist):
    means = mnist.train / np.float64(255)
    standard_error = np.sqrt((means * (1 - means)).sum()) / means.size
    assert abs(mnist.split("train").mean() - means.mean()) < 5 * standard_error


def test_available_says_where_each_lies(tmp_path):
    listed = {entry.name: entry for entry in available()}
    assert listed["digits"].where == "bundled with scikit-learn"
    assert listed["mnist"].where == "downloads 11.6 MB"
    assert listed["mnist"].licence == MNIST.licence
    assert listed["digits"].description == Digits.description
    (tmp_path / "mnist").mkdir()
    for file in MNIST.files[:3]:
        (tmp_path / "mnist" / file.name).write_bytes(b"")
    (tmp_path / MNIST.files[3].name).write_bytes(b"")
    assert {entry.name: entry.where for entry in available(tmp_path)}[
        "mnist"
    ] == f"{tmp_path / 'mnist'}, {tmp_path}"


def test_unknown_name_offers_the_nearest():
    with pytest.raises(
        ValueError,
        match=r"unknown data set 'digit' \(did you mean 'digits'\?\); known: caltech101, density/..., digits, .*or a path to",
    ):
        load_dataset("digit")


@pytest.mark.parametrize(
    "option",
    [
        {"split": "contiguous"},
        {"columns": ["a"]},
        {"test_fraction": 0.2},
        {"validation_fraction": 0.0},
    ],
)
def test_options_without_use_for_a_named_data_set_are_refused(option):
    with pytest.raises(
        ValueError, match=f"{next(iter(option))}=.* has no use for the data set 'digits'.*leave"
    ):
        load_dataset("digits", **option)


def test_grey_mnist_is_the_same_images(mnist):
    grey = load_dataset("mnist", data_dir=DATA, binarise="none")
    assert np.array_equal(grey.train[:2000] * 256 - 0.5, mnist.train[:2000])
    # A pixel of grey 0 is never drawn on and one of 255 never off.
    assert not mnist.test[grey.test == 0.5 / 256].any()
    assert mnist.test[grey.test == 255.5 / 256].all()


def test_a_source_outside_the_tree(tmp_path):
    code = """
import numpy as np
from jensen.datasets import AbstractSource, Dataset

class Ramp(AbstractSource):
    def load(self, *, files):
        ramp = np.arange(8, dtype=np.float32).reshape(4, 2)
        return Dataset("ramp", ramp[:2], ramp[2:3], ramp[3:])
"""
    (tmp_path / "ramp.py").write_text(code)
    data = load_dataset(tmp_path / "ramp.py")
    assert data.train.tolist() == [[0, 1], [2, 3]]
    assert data.test.tolist() == [[6, 7]]
