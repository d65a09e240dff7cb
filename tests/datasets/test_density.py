"""The binary tables called density/NAME: names, forms, checks."""

import gzip
import hashlib

import numpy as np
import pytest
from _miniatures import binary_text, bits, need

from jensen.datasets import Density, available, dataset_names, density, load_dataset


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("JENSEN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def mini(monkeypatch, tmp_path):
    """A table 'dna' of 4 variables with 6/2/3 rows, unpinned, in tmp_path/dna; its parts."""
    monkeypatch.setitem(density._TABLES, "dna", ("pairs", 4, 6, 2, 3))
    parts = {
        part: bits(i, rows, 4)
        for i, (part, rows) in enumerate((("train", 6), ("valid", 2), ("test", 3)))
    }
    (tmp_path / "dna").mkdir()
    for part, array in parts.items():
        (tmp_path / "dna" / f"dna.{part}.data").write_bytes(binary_text(array))
    return parts


def test_the_twenty_names():
    names = [name for name in dataset_names() if name.startswith("density/")]
    assert len(names) == 20
    assert {"density/nltcs", "density/plants", "density/jester"} < set(names)


@pytest.mark.parametrize("name", ["nltcs", "plants", "jester"])
def test_real_tables(name):
    need("density_binary", f"{name}.train.data.gz")
    folder = need("density_binary", f"{name}.train.data.gz")
    data = load_dataset(f"density/{name}", data_dir=folder)
    for split, part in (("train", "train"), ("validation", "valid"), ("test", "test")):
        lines = (
            gzip.decompress((folder / "density_binary" / f"{name}.{part}.data.gz").read_bytes())
            .decode()
            .split()
        )
        assert np.array_equal(
            data.split(split), np.array([line.split(",") for line in lines]).astype(np.uint8)
        )
    assert data.levels is None
    assert data.train.mean() == pytest.approx(
        {"nltcs": 0.33174, "plants": 0.17980, "jester": 0.60987}[name], abs=1e-5
    )


def test_an_unpinned_table_is_read_and_says_what_was_not_checked(mini, tmp_path):
    data = load_dataset("density/dna", data_dir=tmp_path)
    assert np.array_equal(data.train, mini["train"])
    assert np.array_equal(data.validation, mini["valid"])
    assert np.array_equal(data.test, mini["test"])
    assert data.name == "density/dna"
    assert any(
        "no checksum of these files is known: only their numbers of rows and variables were checked"
        in note
        for note in data.notes
    )


def test_a_table_of_another_size_is_refused(mini, tmp_path, monkeypatch):
    (tmp_path / "dna" / "dna.test.data").write_bytes(binary_text(mini["test"][:2]))
    with pytest.raises(
        ValueError,
        match=r"density/dna: its files hold 6/2/2 rows .*, but should hold 6/2/3; these are other files than dna.tr.*UCLA",
    ):
        load_dataset("density/dna", data_dir=tmp_path)
    (tmp_path / "dna" / "dna.test.data").write_bytes(binary_text(mini["test"]))
    monkeypatch.setitem(density._TABLES, "dna", ("pairs", 5, 6, 2, 3))
    with pytest.raises(
        ValueError,
        match=r"density/dna: its files hold data of shape \(4,\), but should hold \(5,\)",
    ):
        load_dataset("density/dna", data_dir=tmp_path)


def test_an_unpinned_table_is_never_downloaded(tmp_path):
    assert all(not file.downloadable for file in Density("bbc").files)
    with pytest.raises(
        ValueError,
        match=r"bbc.train.data of density/bbc was not found in .*; or with .gz\), and it is not downloaded. The files, NAME",
    ):
        load_dataset("density/bbc", data_dir=tmp_path)
    entry = available(tmp_path, ["density/bbc"])[0]
    assert not entry.found
    assert entry.where == "not found: bbc.train.data, bbc.valid.data, bbc.test.data"


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("folder", ["density/dna", "dna", "density_binary", "density", "."])
def test_pinned_tables_are_found_packed_or_not_and_verified_by_what_is_inside(
    mini, tmp_path, monkeypatch, gzipped, folder
):
    contents = {part: binary_text(array) for part, array in mini.items()}
    monkeypatch.setitem(
        density._CHECKSUMS,
        "dna",
        tuple(hashlib.sha256(contents[part]).hexdigest() for part in ("train", "valid", "test")),
    )
    place = tmp_path / "elsewhere" / folder
    place.mkdir(parents=True)
    for part, content in contents.items():
        (place / f"dna.{part}.data{'.gz' if gzipped else ''}").write_bytes(
            gzip.compress(content, mtime=len(part)) if gzipped else content
        )
    data = load_dataset("density/dna", data_dir=tmp_path / "elsewhere")
    assert np.array_equal(data.train, mini["train"])
    assert not any("no checksum" in note for note in data.notes)
    wrong = binary_text(1 - mini["test"])
    (place / f"dna.test.data{'.gz' if gzipped else ''}").write_bytes(
        gzip.compress(wrong) if gzipped else wrong
    )
    with pytest.raises(
        ValueError,
        match=r"dna.test.data(.gz)? \(24 bytes.*\) has sha256 .*truncated or another version. Remove it, and it is down",
    ):
        load_dataset("density/dna", data_dir=tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "density/nltc",
            r"unknown data set 'density/nltc' \(did you mean 'density/nltcs'\?\); known: .*density/\.\.\.",
        ),
        ("densty/plants", r"did you mean 'density/plants'"),
        (
            "density",
            r"'density' is a family of data sets: name one of them, as density/NAME; NAME: accidents, ad, .*tretail\.",
        ),
        ("./density/nltcs", r"no such file: density/nltcs"),
        ("a/b/c", r"no such file: a/b/c"),
        ("density/nltcs.npy", r"no such file: density/nltcs.npy"),
    ],
)
def test_names_that_are_not_there(name, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(name)
