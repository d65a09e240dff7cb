"""What cannot be used is refused with the value, the reason and the remedy."""

import pickle
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from jensen.datasets import load_dataset
from jensen.datasets._read import SUFFIXES

GOOD = np.random.default_rng(0).normal(size=(60, 3))


def spoilt(index, value):
    array = GOOD.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3.0, r"data is a scalar \(3.0\); give an array of shape \[rows, \*event\]"),
        (np.zeros((0, 3)), r"data is empty \(shape \(0, 3\)\)"),
        (np.zeros((5, 0)), r"data is empty \(shape \(5, 0\)\)"),
        (np.zeros(0), r"data is empty \(shape \(0,\)\)"),
        (
            np.zeros(7),
            r"data has shape \(7,\); for 7 rows of one number each use reshape\(-1, 1\), giving \(7, 1\)",
        ),
        (np.zeros((2, 3)), "data has 2 rows; at least 3 are needed"),
        (
            spoilt((7, 1), np.nan),
            r"1 values that are NaN or infinite, in 1 of 60 rows, the first at index \(7, 1\); remove or impute",
        ),
        (
            spoilt(slice(4, 6), np.inf),
            r"6 values that are NaN or infinite, in 2 of 60 rows, the first at index \(4, 0\)",
        ),
        (
            {"train": GOOD, "validation": GOOD, "test": spoilt((0, 2), -np.inf)},
            r"data, split test, holds 1 values .* first at index \(0, 2\)",
        ),
        (GOOD.astype(complex), "dtype complex128; only real numbers"),
        (GOOD.astype(object), "dtype object; only real numbers"),
        (GOOD.astype(str), "dtype <U32; only real numbers"),
        (np.zeros((9, 2), "datetime64[s]"), "dtype datetime64"),
        (None, "dtype object"),
        ([[1, 2], [3]], "data: cannot be made an array"),
        (np.ma.masked_less(GOOD, -1), "values are masked; fill or remove them"),
        (GOOD * 1e300, r"beyond float32, whose limit is 3.4e\+38; rescale"),
        ((GOOD[:9], GOOD[:9, :2]), r"event shapes disagree \(train \(3,\), test \(2,\)\)"),
        (
            (GOOD, GOOD, np.zeros((0, 3))),
            r"split test, is empty \(shape \(0, 3\)\).*Leave out a split",
        ),
        ((GOOD,), "a tuple of 1 parts; give"),
        ({}, r"the keys \(none\) do not say"),
        (
            {"a_train": GOOD, "a_test": GOOD},
            r"the keys a_train, a_test do not say .* name them train, validation, test.*key=NAME",
        ),
        ({"train": GOOD, "validation": GOOD}, "the keys train, validation do not say"),
        ({"x": GOOD, "x_train": GOOD, "x_test": GOOD}, "the keys x, x_train, x_test do not say"),
        ({"x": GOOD, "y": GOOD[:, 0], "labels": GOOD[:, 0]}, "both 'y' and 'labels' look like"),
        ({"test": GOOD}, "the keys test do not say"),
        (
            {"train": GOOD, "test": GOOD, "trian_labels": GOOD},
            r"labels 'trian_labels' belong to no array \(did you mean 'train_labels'\?\)",
        ),
        (
            {"x": GOOD, "labels": np.zeros(59)},
            r"data has 60 rows but labels of shape \(59,\); give one label per row",
        ),
        ({"x": GOOD, "labels": np.float64(3)}, r"data has 60 rows but labels of shape \(\)"),
    ],
)
def test_arrays(source, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(source)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (
            GOOD,
            {"test_fraction": 0.0},
            "test_fraction must be above 0, since test may not be empty; got 0.0",
        ),
        (GOOD, {"test_fraction": float("nan")}, "test_fraction must be above 0"),
        (
            GOOD,
            {"validation_fraction": -0.1},
            "validation_fraction must be at least 0 and below 1; got -0.1",
        ),
        (
            GOOD,
            {"validation_fraction": 1.0},
            "validation_fraction must be at least 0 and below 1; got 1.0",
        ),
        (
            GOOD,
            {"validation_fraction": 0.5, "test_fraction": 0.5},
            "validation_fraction=0.5 and test_fraction=0.5 of the 60 rows of data leave train empty",
        ),
        (
            GOOD,
            {"test_fraction": 0.001},
            "test_fraction=0.001 of the 60 rows of data leaves test empty; use at least 0.017",
        ),
        (
            GOOD[:4],
            {},
            "validation_fraction=0.1 of the 4 rows of data leaves validation empty; use at least 0.25",
        ),
        (
            (GOOD[:2], GOOD),
            {},
            "validation_fraction=0.1 of the 2 rows of data, split train, leaves validation empty",
        ),
        (
            (GOOD, GOOD),
            {"test_fraction": 0.2},
            "test_fraction=0.2 has no use here: data comes split into train, test; leave test_fraction out",
        ),
        (
            (GOOD, GOOD, GOOD),
            {"validation_fraction": 0.2},
            "validation_fraction=0.2 has no use here",
        ),
        (GOOD, {"seed": -1}, "seed must be an integer in 0..4294967295; got -1"),
        (GOOD, {"seed": 2**32}, "got 4294967296"),
        (
            GOOD,
            {"columns": ["a"]},
            r"columns=\['a'\] has no use for it, only for .csv and .parquet",
        ),
        (GOOD, {"key": "x"}, "key='x' has no use for it, only for .npz files and mappings"),
        (GOOD, {"header": True}, "header=True has no use for it, only for .csv files"),
        ({"x": GOOD}, {"key": "X"}, "no array is called 'X'.*it has x"),
    ],
)
def test_options(source, options, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(source, **options)


def saved(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path.read_bytes()


def npy(path, array, **options):
    np.save(path, array, **options)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.npy",
            lambda p: npy(p, GOOD)[:-8],
            r"its header claims an array of shape \(60, 3\) and dtype float64, 1440 bytes, but 1432 "
            "follow; it may be truncated: write it again with np.save",
        ),
        (
            "a.npy",
            lambda p: npy(p, GOOD) + npy(p, GOOD),
            r"goes on for 1568 bytes after its array .* perhaps with further arrays, which would be "
            "lost; write one array to a file",
        ),
        ("a.npy", lambda p: npy(p, GOOD)[:20], "could not be read"),
        *((f"a{s}", lambda p: b"", r"is empty \(0 bytes\)") for s in SUFFIXES),
        (
            "a.npy",
            lambda p: npy(p, GOOD.astype(object), allow_pickle=True),
            "holds Python objects.*never unpickled",
        ),
        (
            "a.npy",
            lambda p: b"hello, world",
            r"is no NumPy file \(it starts with b'hello, world'\)",
        ),
        ("a.npy", lambda p: pickle.dumps({"a": 1}), r"holds Python objects \(a pickle\)"),
        (
            "a.npz",
            lambda p: saved(p, x=GOOD)[:-40],
            "could not be read .*truncated or no .npz file",
        ),
        (
            "a.npz",
            lambda p: saved(p, a=GOOD, b=GOOD),
            "the keys a, b do not say which array is which",
        ),
        ("a.npz", lambda p: saved(p, x=np.array([{}], dtype=object)), "holds Python objects"),
        ("a.csv", lambda p: b"a,b\n", r"a.csv is empty \(shape \(0, 2\)\)"),
        (
            "a.csv",
            lambda p: b"a,b\n1,2\n3\n",
            r"row 3 has 1 fields, but the first has 2 \(separated by commas\); it may be truncated",
        ),
        (
            "a.csv",
            lambda p: b"a,b\n" + b"1,2\n" * 99 + b"3",
            r"could not be read as .csv \(fields separated by commas, decimal mark '.'\): .*"
            "Expected 2 columns, got 1",
        ),
        (
            "a.csv",
            lambda p: b"a,b,c\n" + b"1,red,x\n" * 9,
            r"no numbers in 'b', 'c' \(row 0: 'red'\); choose columns without .*--set data.columns=\[...\]",
        ),
        (
            "a.csv",
            lambda p: b"ann,1.5\n" * 9,
            r"no numbers in 'f0' \(row 0: 'ann'\); choose columns",
        ),
        (
            "a.csv",
            lambda p: b",a,b\n" + b"0,1,2\n" * 9,
            r"the column '' \(position 0\) has no name and may be a row index or data; name it, or "
            r"give columns=\[...\] or index=POSITION",
        ),
        ("a.csv", lambda p: b"a,,b\n" + b"0,1,2\n" * 9, r"the column '' \(position 1\)"),
        (
            "a.csv",
            lambda p: b"a,b\n" + b"1,2\n" * 9 + b",3\nNA,4\n",
            r"2 values that are NaN or infinite, in 2 of 11 rows, the first at index \(9, 0\)",
        ),
        (
            "a.csv",
            lambda p: b"a,b\n" + b"true,2\n" * 9 + b",3\n",
            r"1 values that are NaN or infinite.* first at index \(9, 0\)",
        ),
        ("a.parquet", lambda p: b"PAR1 and nothing else", "could not be read as .parquet"),
        (
            "a.txt",
            lambda p: b"1 2",
            "ends in '.txt', which is not a known form; known: .npy, .npz, .csv, .parquet",
        ),
    ],
)
def test_files(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content(path))
    with pytest.raises(ValueError, match=message) as caught:
        load_dataset(path)
    assert name.split(".")[0] in str(caught.value)


def test_a_truncated_parquet_file(tmp_path):
    pa.parquet.write_table(pa.table({"a": GOOD[:, 0]}), tmp_path / "a.parquet")
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-6])
    with pytest.raises(
        ValueError,
        match=r"a.parquet could not be read as .parquet: .*It may be truncated or damaged",
    ):
        load_dataset(tmp_path / "a.parquet")


def test_missing_values_of_a_parquet_file(tmp_path):
    pa.parquet.write_table(
        pa.table({"a": [1, None, 3] * 5, "b": [1.0, 2.0, None] * 5}), tmp_path / "a.parquet"
    )
    with pytest.raises(
        ValueError,
        match=r"10 values that are NaN or infinite, in 10 of 15 rows, the first at index \(1, 0\)",
    ):
        load_dataset(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            ["heigth"],
            r"no column is called 'heigth' \(did you mean 'height'\?\); columns: 'height', 'age', 'age'; or give its position",
        ),
        (["age"], "several columns are called 'age'"),
        ([3], r"no column 3; positions are 0..2"),
        ([-1], r"no column -1"),
        ([], "columns is empty; choose at least one of 'height'"),
    ],
)
def test_columns(tmp_path, columns, message):
    (tmp_path / "a.csv").write_text("height,age,age\n" + "1,2,3\n" * 9)
    with pytest.raises(ValueError, match=message):
        load_dataset(tmp_path / "a.csv", columns=columns)


def test_paths(tmp_path):
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path} is a directory; name one file")):
        load_dataset(tmp_path)
    with pytest.raises(
        ValueError, match=re.escape(f"no such file: {tmp_path / 'absent.npy'}; check the path")
    ):
        load_dataset(tmp_path / "absent.npy")
    with pytest.raises(ValueError, match=r"no such file: mine.csv"):
        load_dataset("mine.csv")
    np.save(tmp_path / "a.npy", GOOD)
    with pytest.raises(ValueError, match=r"columns=.* has no use for it"):
        load_dataset(tmp_path / "a.npy", columns=["a"])
