"""Image sets out of .mat and .npy files: real files where they lie, miniatures of the same form elsewhere; orientation, polarity, splits and draws."""

import numpy as np
import pytest
from _miniatures import mat, need

from jensen.datasets import Caltech101, FreyFaces, Omniglot, load_dataset, omniglot
from jensen.datasets.caltech101 import silhouettes
from jensen.datasets.frey_faces import read_frames
from jensen.datasets.omniglot import from_arrays

# An L is neither its own transpose nor any of its mirror images.
L = np.zeros((28, 28))
L[4:24, 6:10] = 1
L[20:24, 6:20] = 1


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("JENSEN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def mirrored(images):
    """How much the mean image differs from its left-right and its up-down mirror image."""
    mean = images.mean(axis=0, dtype=np.float64)
    return np.abs(mean - mean[:, ::-1]).mean(), np.abs(mean - mean[::-1]).mean()


# OMNIGLOT


def columns(images):
    """Images in the form of the file: one a column, each in column-major order."""
    return np.stack([image.ravel(order="F") for image in images], axis=1)


def test_omniglot_is_upright_and_split_as_in_the_code_of_burda():
    grey = np.random.default_rng(0).integers(0, 256, (40, 1, 1)) / 255 * L
    data = from_arrays(columns(grey), columns(grey[:6] / 2), 7, "dynamic", "mini")
    expected = grey[np.random.RandomState(123).permutation(40)]
    assert np.array_equal(data.train, np.rint(expected[:-7] * 255))
    assert data.levels == 255
    assert data.train[0, 22, 18] == data.train[0, 5, 7] != data.train[0, 7, 18] == 0
    assert (data.validation <= (expected[-7:] > 0)).all()
    assert not any(
        "rounded" in note and "frozen draws were not" in note
        for note in from_arrays(columns(grey), columns(grey[:6]), 7, "none", "mini").notes
    )
    assert "permuted with seed 123, its last 7 rows are validation" in data.notes[2]


def test_omniglots_other_floats_are_rounded_for_train_alone_and_said_to_be():
    grey = np.random.default_rng(1).uniform(size=(400, 28, 28))
    data = from_arrays(columns(grey[:300]), columns(grey[300:]), 100, "dynamic", "mini")
    assert any(
        "rounded to multiples of 1/255, which changed them by up to 0.002; frozen draws were not"
        in note
        for note in data.notes
    )
    expected = grey[:300][np.random.RandomState(123).permutation(300)]
    assert np.abs(data.train / 255 - expected[:200]).max() <= 0.5 / 255 + 1e-9
    for drawn, means in ((data.validation, expected[200:]), (data.test, grey[300:])):
        assert abs((drawn - means).sum()) < 5 * np.sqrt((means * (1 - means)).sum())
        assert abs(((drawn - means) * means).sum()) < 5 * np.sqrt((means**3 * (1 - means)).sum())


def test_omniglot_is_read_from_its_file(tmp_path, monkeypatch):
    grey = np.random.default_rng(2).integers(0, 256, (20, 28, 28)) / 255
    path = mat(
        tmp_path / "chardata.mat",
        data=columns(grey[:12]),
        testdata=columns(grey[12:]),
        targetchar=np.ones((1, 12)),
    )
    with pytest.raises(
        ValueError,
        match=r"chardata.mat: 'data' has shape \(784, 12\), but it should have \(784, 24345\); this is another file",
    ):
        Omniglot().load(files={"chardata.mat": path})
    monkeypatch.setattr(omniglot, "_ROWS", {"data": 12, "testdata": 8})
    monkeypatch.setattr(omniglot, "_NUM_VALIDATION", 3)
    data = Omniglot(binarise="none").load(files={"chardata.mat": path})
    assert np.array_equal(np.rint(data.test * 256 - 0.5), np.rint(grey[12:] * 255))
    mat(path, data=columns(grey[:12]) * 255, testdata=columns(grey[12:]))
    with pytest.raises(
        ValueError,
        match=r"'data' should hold grey values in \[0, 1\], but they lie in 0..255; this is another file",
    ):
        Omniglot().load(files={"chardata.mat": path})


# Caltech 101 Silhouettes


def test_silhouettes_are_transposed_and_inverted():
    raw = (1 - columns([L, L.T])).T.astype(np.uint8)
    assert np.array_equal(silhouettes(raw, "mini"), np.stack([L, L.T]))
    with pytest.raises(
        ValueError,
        match=r"mini should hold 0 and 1 only, but its values lie in 0..255; this is another file",
    ):
        silhouettes(raw * np.uint8(255), "mini")


def test_caltech_is_read_from_its_file(tmp_path, monkeypatch):
    raw = (1 - columns([L] * 9)).T.astype(np.uint8)
    labels = np.arange(1, 10, dtype=np.uint8)[:, None]
    parts = {"train": slice(0, 4), "val": slice(4, 6), "test": slice(6, 9)}
    arrays = {f"{p}_data": raw[rows] for p, rows in parts.items()} | {
        f"{p}_labels": labels[rows] for p, rows in parts.items()
    }
    path = mat(tmp_path / "split1.mat", classnames=np.array(["cell"], object), **arrays)
    files = {Caltech101.files[0].name: path}
    with pytest.raises(
        ValueError,
        match=r"split1.mat: 'train_data' has shape \(4, 784\), but it should have \(4100, 784\)",
    ):
        Caltech101().load(files=files)
    monkeypatch.setattr(Caltech101, "sizes", (4, 2, 3))
    data = Caltech101().load(files=files)
    assert (data.train == L).all() and (data.validation == L).all() and (data.test == L).all()
    assert data.labels["test"].tolist() == [7, 8, 9]


def test_caltechs_real_file():
    data = load_dataset(
        "caltech101",
        data_dir=need("caltech101_silhouettes", "caltech101_silhouettes_28_split1.mat"),
    )
    assert [len(data.split(s)) for s in ("train", "validation", "test")] == [4100, 2264, 2307]
    # The object is 1 and lies in the middle; the raw file's mean is 0.5511.
    assert data.train.mean() == pytest.approx(1 - 0.5510546, abs=1e-6)
    assert (
        data.train[:, 10:18, 10:18].mean()
        > 0.7
        > 0.3
        > np.delete(data.train[:, [0, -1]], slice(4, 24), axis=2).mean()
    )
    # Things stand on the ground: their mean is mirror-symmetric from left to right, not from top to bottom.
    sideways, upside_down = mirrored(data.train)
    assert sideways < upside_down
    assert sorted(set(data.labels["train"].tolist())) == list(range(1, 102))
    assert (
        data.fingerprint("test")
        == "dffaaf60b49f873ad0ead0c1487c5f071dd6833fb3467922dcbcf4087db7cee6"
    )


# Frey faces


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Frames whose first two pixels count them: v = (i // 256, i % 256)."""
    path = tmp_path_factory.mktemp("frey") / "freyfaces_u8.npy"
    array = np.random.default_rng(0).integers(0, 256, (1965, 560)).astype(np.uint8)
    array[:, 0], array[:, 1] = np.divmod(np.arange(1965), 256)
    np.save(path, array)
    return {"freyfaces_u8.npy": path}


def frame_numbers(images):
    v = np.rint(images * 256 - 0.5).astype(int)
    return v[:, 0, 0] * 256 + v[:, 0, 1]


def test_frey_frames_are_split_at_random_or_in_their_order(frames):
    parts = [FreyFaces(split=how).load(files=frames) for how in ("random", "contiguous")]
    shuffled, ordered = (
        [frame_numbers(data.split(s)) for s in ("train", "validation", "test")] for data in parts
    )
    assert [len(n) for n in shuffled] == [len(n) for n in ordered] == [1565, 200, 200]
    assert np.array_equal(np.concatenate(shuffled), np.random.RandomState(1965).permutation(1965))
    assert np.array_equal(np.concatenate(ordered), np.arange(1965))
    assert "a random split leaks" in parts[0].notes[1]
    assert "not comparable with the papers' random split" in parts[1].notes[1]


def test_frey_values_are_bin_centres_in_row_major_order(frames):
    raw = np.load(frames["freyfaces_u8.npy"]).reshape(-1, 28, 20)
    data = FreyFaces(split="contiguous").load(files=frames)
    assert np.array_equal(data.test.astype(np.float64) * 256, raw[1765:] + 0.5)
    assert np.array_equal(
        FreyFaces(split="contiguous", binarise="threshold").load(files=frames).test,
        raw[1765:] >= 128,
    )
    drawn = FreyFaces(split="contiguous", binarise="dynamic").load(files=frames)
    assert drawn.levels == 255
    assert abs((drawn.test - raw[1765:] / 255).sum()) < 5 * np.sqrt(
        (raw[1765:] / 255 * (1 - raw[1765:] / 255)).sum()
    )


def test_frey_files_of_another_form_are_refused(tmp_path):
    path = tmp_path / "freyfaces_u8.npy"
    for array, message in [
        (
            np.zeros((1965, 28, 20), np.uint8),
            r"holds uint8 of shape \(1965, 28, 20\), but should hold uint8 of shape \(1965, 560\)",
        ),
        (np.zeros((1965, 560)), r"holds float64 of shape \(1965, 560\)"),
        (
            np.array([{"code": 1}], object),
            r"could not be read as .npy .*another file: remove it and make it again",
        ),
    ]:
        np.save(path, array)
        with pytest.raises(ValueError, match=message):
            read_frames(path)
    np.save(path, np.zeros((1965, 560), np.uint8))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"could not be read as .npy"):
        read_frames(path)


def test_freys_file_is_missed_with_a_recipe(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"freyfaces_u8.npy of frey_faces was not found in .*not downloaded. Make it from frey_rawface.mat .*Put it into",
    ):
        load_dataset("frey_faces", data_dir=tmp_path)


def test_freys_real_file():
    data_dir = need("freyfaces", "freyfaces_u8.npy")
    data = load_dataset("frey_faces", data_dir=data_dir)
    everything = np.concatenate([data.train, data.validation, data.test])
    assert everything.mean(dtype=np.float64) == pytest.approx(
        (154.46086968375135 + 0.5) / 256, abs=1e-6
    )
    # A face is symmetric from left to right alone; the rows of the eyes are darker than the forehead above them.
    sideways, upside_down = mirrored(everything)
    assert sideways < upside_down
    mean = everything.mean(axis=0)
    assert mean[7:10, 4:16].mean() < mean[1:4, 4:16].mean()
    assert (
        data.fingerprint("test")
        == "36e29fbf9531a3b6c117bb7126bdf547a3a77ecbe1d8706c935e05b9b6debea5"
    )
    ordered = load_dataset("frey_faces", data_dir=data_dir, split="contiguous")
    sums = [
        np.sort(np.concatenate([d.train, d.validation, d.test]).sum(axis=(1, 2), dtype=np.float64))
        for d in (data, ordered)
    ]
    assert np.array_equal(*sums)
