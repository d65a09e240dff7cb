"""The user's own data come back with the values they went in with, whatever the form, each row in exactly one split."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from jensen.datasets import load_dataset

TABLE = np.random.default_rng(7).normal(size=(50, 3)).astype(np.float32)


def rows_of(data):
    return np.concatenate([data.train, data.validation, data.test])


def sorted_rows(array):
    return np.asarray(sorted(array.reshape(len(array), -1).tolist()))


def write_csv(path, array, header=None):
    lines = [",".join(repr(v) for v in row) for row in array.tolist()]
    path.write_text("\n".join(([header] if header else []) + lines) + "\n")


def write(path, array):
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, anything=array)
    elif path.suffix == ".csv":
        write_csv(path, array, "a,b,c" if "header" in path.stem else None)
    else:
        pa.parquet.write_table(pa.table({name: array[:, i] for i, name in enumerate("abc")}), path)
    return path


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "header.csv", "bare.csv", "x.parquet", "X.NPY"])
def test_every_format_gives_the_same_dataset(tmp_path, name):
    path = tmp_path / name
    data = load_dataset(
        write(path, TABLE) if name != "X.NPY" else write(tmp_path / "x.npy", TABLE).rename(path)
    )
    in_memory = load_dataset(TABLE)
    for split in ("train", "validation", "test"):
        assert data.fingerprint(split) == in_memory.fingerprint(split)
    assert np.array_equal(sorted_rows(rows_of(data)), sorted_rows(TABLE))
    assert f"read from {path}" in data.notes
    assert load_dataset(str(path)).fingerprint("test") == data.fingerprint("test")


def test_rows_are_split_once_and_by_seed():
    images = np.arange(200 * 6).reshape(200, 2, 3)
    data = load_dataset(images, seed=4, validation_fraction=0.25, test_fraction=0.1)
    assert (len(data.train), len(data.validation), len(data.test)) == (130, 50, 20)
    assert np.array_equal(sorted_rows(rows_of(data)), sorted_rows(images))
    again, other = (
        load_dataset(images, seed=s, validation_fraction=0.25, test_fraction=0.1) for s in (4, 5)
    )
    assert again.fingerprint("test") == data.fingerprint("test")
    assert other.fingerprint("test") != data.fingerprint("test")
    assert "200 rows split by seed 4 into 130/50/20" in data.notes


def test_the_same_test_rows_are_held_out_whatever_the_validation_fraction():
    fractions = (0.0, 0.1, 0.3)
    assert (
        len({load_dataset(TABLE, validation_fraction=f).fingerprint("test") for f in fractions})
        == 1
    )
    assert len(load_dataset(TABLE, validation_fraction=0.0).validation) == 0


def test_a_contiguous_split_keeps_the_rows_in_their_order():
    rows = np.arange(50)[:, None] * 1.0
    data = load_dataset(rows, split="contiguous", validation_fraction=0.2, test_fraction=0.1)
    assert data.train.ravel().tolist() == list(range(35))
    assert data.validation.ravel().tolist() == list(range(35, 45))
    assert data.test.ravel().tolist() == list(range(45, 50))
    assert "50 rows split in their order into 35/10/5" in data.notes
    given = load_dataset((rows[:40], rows[40:]), split="contiguous", validation_fraction=0.25)
    assert given.validation.ravel().tolist() == list(range(30, 40))
    assert np.array_equal(given.test, rows[40:])
    with pytest.raises(
        ValueError,
        match="split='contiguous' has no use here: data comes split into train, validation, test; leave split out",
    ):
        load_dataset((rows, rows, rows), split="contiguous")
    with pytest.raises(
        ValueError,
        match=r"unknown split 'contigous' \(did you mean 'contiguous'\?\); known: random, contiguous",
    ):
        load_dataset(rows, split="contigous")


def test_the_split_is_the_same_on_every_machine():
    assert load_dataset(np.arange(30)[:, None]).test.ravel().tolist() == [2, 23, 16]


@pytest.mark.parametrize("form", ["mapping", "tuple", "npz"])
def test_data_that_come_split_stay_split(tmp_path, form):
    parts = {"train": TABLE[:30], "validation": TABLE[30:41], "test": TABLE[41:]}
    np.savez(tmp_path / "s.npz", **parts)
    data = load_dataset(
        {"mapping": parts, "tuple": tuple(parts.values()), "npz": tmp_path / "s.npz"}[form]
    )
    for split, array in parts.items():
        assert np.array_equal(data.split(split), array)


@pytest.mark.parametrize("form", ["mapping", "tuple", "npz"])
def test_train_and_test_give_validation_out_of_train(tmp_path, form):
    parts = {"train": TABLE[:40], "test": TABLE[40:]}
    np.savez(tmp_path / "s.npz", **parts)
    data = load_dataset(
        {"mapping": parts, "tuple": tuple(parts.values()), "npz": tmp_path / "s.npz"}[form],
        validation_fraction=0.2,
    )
    assert np.array_equal(data.test, TABLE[40:])
    assert len(data.validation) == 8
    assert np.array_equal(
        sorted_rows(np.concatenate([data.train, data.validation])), sorted_rows(TABLE[:40])
    )


def test_labels_follow_their_rows(tmp_path):
    labels = np.arange(50)
    rows = np.repeat(labels[:, None], 2, axis=1)
    np.savez(tmp_path / "one.npz", x=rows, labels=labels)
    np.savez(
        tmp_path / "two.npz",
        train=rows[:40],
        test=rows[40:],
        train_labels=labels[:40],
        test_labels=labels[40:],
    )
    for name in ("one.npz", "two.npz"):
        data = load_dataset(tmp_path / name)
        for split in ("train", "validation", "test"):
            assert np.array_equal(data.split(split)[:, 0], data.labels[split])
    assert load_dataset(TABLE).labels == {}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([True, False, True]), np.uint8),
        (np.array([0, 255, 7]), np.uint8),
        (np.array([0, 256, 7]), np.float32),
        (np.array([0, -1, 7]), np.float32),
        (np.array([0, 255, 7], np.uint64), np.uint8),
        (np.array([0.0, 1.0, 0.5], np.float16), np.float32),
    ],
)
def test_values_survive_the_cast(values, expected):
    data = load_dataset(np.tile(values, 4)[:, None])
    assert data.train.dtype == data.test.dtype == expected
    assert sorted(rows_of(data).ravel().tolist()) == sorted(np.tile(values, 4).tolist())
    assert not any("float32" in note for note in data.notes)


def test_all_splits_get_one_dtype():
    data = load_dataset((np.array([[1], [2]]), np.array([[3]]), np.array([[300]])))
    assert data.train.dtype == np.float32
    assert data.test.tolist() == [[300]]


def test_a_note_says_when_float32_loses_what_distinguishes_the_rows():
    spread = np.linspace(0, 1, 50)[:, None]
    assert not any("float32" in note for note in load_dataset(spread).notes)
    assert not any("float32" in note for note in load_dataset(np.full((50, 1), 0.1)).notes)
    assert any(
        "casting to float32 changed values" in note for note in load_dataset(spread + 1e7).notes
    )
    assert any(
        "casting to float32 changed values" in note for note in load_dataset(spread * 1e-42).notes
    )


def test_the_callers_later_changes_do_not_reach_the_dataset():
    parts = [TABLE[:30].copy(), TABLE[30:40].copy(), TABLE[40:].copy()]
    data = load_dataset(tuple(parts))
    before = data.fingerprint("train")
    parts[0][:] = 0
    assert data.fingerprint("train") == before


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("a,b\n", True),
        ("﻿a,b\n", True),
        ("x1,2\n", True),
        ("", False),
        ("nan,7\n", None),
    ],
)
def test_csv_headers_are_told_from_rows(tmp_path, text, header):
    body = "".join(f"{i},{i / 8}\n" for i in range(300, 340))
    (tmp_path / "t.csv").write_text(text + body, encoding="utf-8")
    if header is None:
        with pytest.raises(
            ValueError, match=r"1 values that are NaN or infinite.*first at index \(0, 0\)"
        ):
            load_dataset(tmp_path / "t.csv")
        return
    data = load_dataset(tmp_path / "t.csv")
    assert sorted(rows_of(data)[:, 0].tolist()) == list(range(300, 340))
    assert ("the first row was read as a header" in data.notes) == header


def test_a_single_column_csv(tmp_path):
    (tmp_path / "t.csv").write_text("height\n" + "".join(f"{i / 4}\n" for i in range(20)))
    data = load_dataset(tmp_path / "t.csv")
    assert data.event_shape == (1,)
    assert sorted(rows_of(data).ravel().tolist()) == [i / 4 for i in range(20)]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("columns", [["weight", "height"], [2, 0], ["weight", 0]])
def test_columns_are_chosen_in_the_order_asked(tmp_path, suffix, columns):
    path = tmp_path / f"people{suffix}"
    table = pa.table(
        {
            "height": [float(i) for i in range(20)],
            "name": ["ann"] * 20,
            "weight": [i + 0.5 for i in range(20)],
        }
    )
    if suffix == ".parquet":
        pa.parquet.write_table(table, path)
    else:
        path.write_text("height,name,weight\n" + "".join(f"{i},ann,{i + 0.5}\n" for i in range(20)))
    rows = rows_of(load_dataset(path, columns=columns))
    assert sorted(rows.tolist()) == [[i + 0.5, i] for i in range(20)]
    assert rows_of(load_dataset(path, columns=["height"])).shape == (20, 1)


def test_booleans_decimals_and_integers_of_a_parquet_file(tmp_path):
    columns = {
        "flag": [True, False] * 10,
        "price": pa.array(range(20), pa.decimal128(9, 2)),
        "count": list(range(20)),
    }
    pa.parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert sorted_rows(rows_of(load_dataset(tmp_path / "t.parquet"))).tolist() == sorted(
        [(i + 1) % 2, i, i] for i in range(20)
    )
    assert load_dataset(tmp_path / "t.parquet", columns=["flag"]).train.dtype == np.uint8
