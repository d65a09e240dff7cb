"""Laws of every named data set: it says what it is, and what lies on this machine is what it says."""

import os
from pathlib import Path

import numpy as np
import pytest

from jensen.datasets import available, dataset_names, load_dataset
from jensen.datasets._dataset import SPLITS
from jensen.datasets._load import find_source

DATA = Path(os.environ.get("JENSEN_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
LISTED = {
    entry.name: entry for entry in available(DATA if DATA.is_dir() else Path(__file__).parent)
}
every_data_set = pytest.mark.parametrize("name", dataset_names())


@pytest.fixture
def dataset(name, monkeypatch, tmp_path):
    monkeypatch.delenv("JENSEN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    files = LISTED[name].files
    if not all(file.path and Path(file.path).is_relative_to(DATA) for file in files):
        pytest.skip(
            f"the files of {name} are not in {DATA}; set JENSEN_DATA to a directory that holds them"
        )
    return load_dataset(name, data_dir=DATA if files else None)


@every_data_set
def test_it_says_what_it_is(name):
    entry, source = LISTED[name], find_source(name)
    assert entry.name == name
    assert 0 < len(entry.description) <= 78 and 0 < len(entry.licence) <= 78  # a line of a terminal
    assert min(entry.sizes) > 0 and np.prod(entry.event_shape) > 0
    assert entry.values in ("binary", "drawn", "grey")
    # Nothing is downloaded that is not pinned, and what is not downloaded comes with a way to get it.
    assert (
        all(file.downloadable == (file.checksum is not None) for file in source.files)
        or source.remedy
    )
    assert all(file.checksum is not None for file in source.files if file.urls)
    assert all(
        len(file.checksum.removeprefix("md5:")) == (32 if file.checksum.startswith("md5:") else 64)
        for file in source.files
        if file.checksum
    )


@every_data_set
def test_its_values_are_of_the_kind_it_says(name, dataset):
    assert dataset.name == name
    assert tuple(len(getattr(dataset, split)) for split in SPLITS) == LISTED[name].sizes
    assert dataset.event_shape == LISTED[name].event_shape
    assert any(LISTED[name].licence in note for note in dataset.notes)
    for split in SPLITS:
        values = dataset.split(split)
        if LISTED[name].values == "grey":
            assert values.min() > 0 and values.max() < 1
        else:
            assert set(np.unique(values)) == {0, 1}
    assert (dataset.levels is not None) == (LISTED[name].values == "drawn")


@every_data_set
def test_its_splits_are_of_one_kind(name, dataset):
    # The mean of a held-out split lies within the scatter of train's row means; a transposed axis, a wrong polarity or an unscaled split does not.
    train = dataset.split("train").reshape(len(dataset.train), -1)
    scatter = train.mean(axis=1, dtype=np.float64).std()
    for split in ("validation", "test"):
        held_out = dataset.split(split)
        profile = held_out.reshape(len(held_out), -1).mean(axis=0, dtype=np.float64)
        assert abs(profile.mean() - train.mean(dtype=np.float64)) < scatter
        assert np.corrcoef(profile, train.mean(axis=0, dtype=np.float64))[0, 1] > 0.9
