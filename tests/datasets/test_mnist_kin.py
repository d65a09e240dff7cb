"""The successors of MNIST: miniatures of the published forms are read, split and drawn as they should."""

import gzip
import hashlib

import numpy as np
import pytest
from _miniatures import binary_text, bits, idx_gz

from jensen.datasets import FashionMNIST, PinnedFile, StaticMNIST, available, load_dataset

# An L is neither its own transpose nor any of its mirror images.
L = np.zeros((28, 28))
L[4:24, 6:10] = 1
L[20:24, 6:20] = 1


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("JENSEN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# Static MNIST


def static_parts(rows=(5, 3, 4)):
    return [bits(i, n, 784) for i, n in enumerate(rows)]


def write_static(folder, parts, gzipped=False):
    folder.mkdir(exist_ok=True)
    files = []
    for file, part in zip(StaticMNIST.files, parts):
        content = binary_text(part, " ", " \n")
        (folder / f"{file.name}{'.gz' if gzipped else ''}").write_bytes(
            gzip.compress(content) if gzipped else content
        )
        files.append(
            PinnedFile(
                file.name,
                f"md5:{hashlib.md5(content).hexdigest()}",
                (),
                len(content),
                file.folders,
                file.gzipped,
            )
        )
    return tuple(files)


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("folder", ["static_mnist", "binarized_mnist", "."])
def test_static_mnist_is_read_from_its_text_files_in_row_major_order(
    tmp_path, monkeypatch, gzipped, folder
):
    parts = static_parts()
    monkeypatch.setattr(StaticMNIST, "files", write_static(tmp_path / folder, parts, gzipped))
    monkeypatch.setattr(StaticMNIST, "sizes", (5, 3, 4))
    data = load_dataset("static_mnist", data_dir=tmp_path)
    for split, part in zip(("train", "validation", "test"), parts):
        assert np.array_equal(data.split(split).reshape(-1, 784), part)
    assert data.levels is None
    assert data.train[0, 2, 5] == parts[0][0, 2 * 28 + 5]


def test_static_mnist_refuses_other_numbers_of_rows_and_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(StaticMNIST, "files", write_static(tmp_path, static_parts()))
    with pytest.raises(
        ValueError,
        match=r"static_mnist: its files hold 5/3/4 rows of train/validation/test, but should hold 50000/10000/10000; these",
    ):
        load_dataset("static_mnist", data_dir=tmp_path)
    monkeypatch.setattr(
        StaticMNIST, "files", write_static(tmp_path, [part[:, :100] for part in static_parts()])
    )
    with pytest.raises(
        ValueError,
        match=r"binarized_mnist_train.amat holds 100 values a line, but an image has 28 x 28 = 784; this is another file",
    ):
        load_dataset("static_mnist", data_dir=tmp_path)


def test_an_md5_that_is_wrong_is_refused_inside_gzip_too(tmp_path, monkeypatch):
    files = write_static(tmp_path, static_parts(), gzipped=True)
    (tmp_path / f"{files[0].name}.gz").write_bytes(
        gzip.compress(binary_text(bits(9, 5, 784), " ", " \n"))
    )
    monkeypatch.setattr(StaticMNIST, "files", files)
    with pytest.raises(
        ValueError,
        match=r"binarized_mnist_train.amat.gz \(7845 bytes unpacked\) has md5 .*, but .* has .*and put the right file there",
    ):
        load_dataset("static_mnist", data_dir=tmp_path)


def test_the_sizes_of_static_mnist_follow_from_its_form():
    assert len(binary_text(bits(0, 10, 784), " ")) * 5_000 == StaticMNIST.files[0].size


# Fashion-MNIST


@pytest.fixture(scope="module")
def fashion(tmp_path_factory):
    """Files of full length whose image i is the grey level i modulo 256 with an L of 255."""
    folder = tmp_path_factory.mktemp("fashion")
    stroke = L.astype(bool)
    for part, rows in (("train", 60_000), ("t10k", 10_000)):
        images = np.repeat((np.arange(rows) % 256).astype(np.uint8), 784).reshape(-1, 28, 28)
        images[:, stroke] = 255
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(idx_gz(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(
            idx_gz((np.arange(rows) % 10).astype(np.uint8))
        )
    return {file.name: folder / file.name for file in FashionMNIST.files}


def test_fashion_keeps_rows_labels_and_draws_the_held_out(fashion):
    data = FashionMNIST().load(files=fashion)
    assert (len(data.train), len(data.validation), len(data.test)) == FashionMNIST.sizes
    assert data.levels == 255
    assert np.array_equal(data.train[:, 0, 0], np.arange(50_000) % 256)
    assert np.array_equal(data.labels["validation"], np.arange(50_000, 60_000) % 10)
    off = L == 0
    for split, first in (("validation", 50_000), ("test", 0)):
        drawn = data.split(split)
        assert drawn[:, ~off].all()
        means = (np.arange(first, first + 10_000) % 256) / 255
        pixels = off.sum()
        share = drawn[:, off].mean(axis=1)
        error = np.sqrt(means * (1 - means) / pixels)
        assert np.abs((share - means) / np.where(error > 0, error, 1)).max() < 6
        assert abs((share - means).sum()) < 5 * np.sqrt((error**2).sum())


def test_fashion_in_grey_for_the_heads_of_grey_data(fashion):
    data = FashionMNIST(binarise="none").load(files=fashion)
    assert np.array_equal(data.test[:256, 0, 0] * 256 - 0.5, np.arange(256))
    assert data.levels is None


def test_files_of_mnist_lying_flat_are_not_taken_for_fashion(tmp_path):
    for file in FashionMNIST.files:
        (tmp_path / file.name).write_bytes(b"MNIST's, of the same name")
    found = {entry.name: entry for entry in available(tmp_path)}
    assert found["fashion_mnist"].where == "downloads 30.9 MB"
    assert found["mnist"].found
    (tmp_path / "fashion-mnist").mkdir()
    (tmp_path / "fashion-mnist" / FashionMNIST.files[0].name).write_bytes(b"wrong")
    with pytest.raises(
        ValueError,
        match=r"fashion-mnist/train-images-idx3-ubyte.gz \(5 bytes\) has sha256 .* truncated or another version",
    ):
        load_dataset("fashion_mnist", data_dir=tmp_path)
