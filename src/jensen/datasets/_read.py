"""Readers of the user's own data: .npy, .npz, .csv and .parquet files, mappings, tuples and arrays, all made into one form, `Raw`."""

import csv
import itertools
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jensen._rooms import nearest
from jensen.datasets._dataset import SPLITS

WHOLE = "data"
SUFFIXES = (".npy", ".npz", ".csv", ".parquet")
_INDEX_NAMES = ("Unnamed: ", "__index_level_")
_MISSING = {"", "na", "n/a", "#n/a", "nan", "null", "none", "?"}


@dataclass(frozen=True)
class Raw:
    """The user's arrays as they came: under the key WHOLE when they are yet to be split, else under train, test and perhaps validation; labels likewise."""

    name: str
    arrays: dict[str, np.ndarray]
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_path(path: Path, columns: Sequence[str | int] | None) -> Raw:
    """What the file holds.

    Raises:
        ValueError: no such file, a directory, an unknown suffix, a file that is truncated or no such format, and what `from_mapping` and `columns` raise.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        raise ValueError(f"{path} is a directory; name one file ({', '.join(SUFFIXES)}) in it.")
    if not path.is_file():
        raise ValueError(
            f"no such file: {path}; check the path, which is relative to {Path.cwd()}."
        )
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{path} ends in {suffix or 'no suffix'!r}, which is not a known form; known: {', '.join(SUFFIXES)}."
        )
    if suffix in (".npy", ".npz"):
        refuse_columns(columns, str(path))
        return _read_numpy(path)
    return _read_table(path, columns)


def from_object(source: Any, name: str = "data") -> Raw:
    """The arrays in a mapping, a tuple (train, test) or (train, validation, test), or one array-like."""
    if isinstance(source, Mapping):
        return from_mapping(source, name)
    if isinstance(source, tuple):
        if len(source) not in (2, 3):
            raise ValueError(
                f"{name}: a tuple of {len(source)} parts; give (train, test), (train, validation, test), or one array."
            )
        return from_mapping(
            dict(zip(SPLITS if len(source) == 3 else ("train", "test"), source)), name
        )
    return Raw(name, {WHOLE: _array(source, name)})


def from_mapping(mapping: Mapping[str, Any], name: str) -> Raw:
    """The arrays under train, validation, test, or train, test, or one other key; labels under train_labels etc., or labels beside a single array.

    Raises:
        ValueError: keys that do not say which array is which, or labels for no array.
    """
    keys = [str(key) for key in mapping]
    data_keys = [key for key in keys if key != "labels" and not key.endswith("_labels")]
    split = set(data_keys) in ({"train", "test"}, set(SPLITS))
    if not split and (len(data_keys) != 1 or data_keys[0] in ("validation", "test")):
        raise ValueError(
            f"{name}: the keys {', '.join(keys) or '(none)'} do not say which array is which; "
            "name them train, validation, test, or train, test, or give one array (labels: train_labels etc.)."
        )
    label_keys = (
        {f"{key}_labels": key for key in data_keys}
        if split
        else {"labels": WHOLE, f"{data_keys[0]}_labels": WHOLE}
    )
    labels = {}
    for key in keys:
        if key in data_keys:
            continue
        if key not in label_keys:
            raise ValueError(
                f"{name}: the labels {key!r} belong to no array{nearest(key, tuple(label_keys))}; name them {' or '.join(label_keys)}."
            )
        labels[label_keys[key]] = _array(mapping[key], f"{name}, {key}")
    return Raw(
        name,
        {key if split else WHOLE: _array(mapping[key], f"{name}, {key}") for key in data_keys},
        labels,
    )


def refuse_columns(columns: Sequence[str | int] | None, name: str) -> None:
    """Raises ValueError if columns are asked of something that has none."""
    if columns is not None:
        raise ValueError(
            f"{name}: columns={columns!r} has no use for it, only for .csv and .parquet files; index the array instead."
        )


def _array(value: Any, where: str) -> np.ndarray:
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(
            f"{where}: {int(np.ma.count_masked(value))} values are masked; fill or remove them first."
        )
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{where}: cannot be made an array ({error}); give numbers of one shape per row."
        ) from error


def _read_numpy(path: Path) -> Raw:
    try:
        # Opened here: given a path, np.load leaves a damaged .npz open.
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return Raw(path.stem, {WHOLE: loaded}, notes=(f"read from {path}",))
            with loaded:
                mapping = {key: loaded[key] for key in loaded.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        pickled = "allow_pickle" in str(error)
        reason = (
            "it holds Python objects, or is no NumPy file; objects are never unpickled: save arrays of numbers"
            if pickled
            else str(error)
        )
        raise ValueError(
            f"{path} could not be read ({reason}); it may be truncated or no {path.suffix} file: write it again with NumPy."
        ) from error
    raw = from_mapping(mapping, str(path))
    return Raw(path.stem, raw.arrays, raw.labels, (f"read from {path}",))


def _read_table(path: Path, columns: Sequence[str | int] | None) -> Raw:
    import pyarrow as pa

    try:
        table, notes = _csv_table(path) if path.suffix.lower() == ".csv" else _parquet_table(path)
    except (pa.ArrowException, OSError, csv.Error) as error:
        raise ValueError(
            f"{path} could not be read as {path.suffix}: {error}. It may be truncated or damaged: write it again."
        ) from error
    positions = _positions(path, list(table.column_names), columns)
    index = [
        name for name in table.column_names if not name.strip() or name.startswith(_INDEX_NAMES)
    ]
    if columns is None and index:
        raise ValueError(
            f"{path}: the column {index[0]!r} looks like a row index, as pandas writes it; write the file without it, or choose columns=[...]."
        )
    types = pa.types
    number = (
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_decimal,
        types.is_null,
    )
    wrong = [
        table.column_names[i]
        for i in positions
        if not any(is_a(table.schema.types[i]) for is_a in number)
    ]
    if wrong:
        raise ValueError(
            f"{path}: no numbers in {_some(wrong)}; choose columns=[...] without them (a .csv wants commas between fields)."
        )
    chosen = [_column(table.column(i)) for i in positions]
    return Raw(
        path.stem,
        {WHOLE: np.column_stack(chosen) if chosen else np.empty((0, 0))},
        notes=(f"read from {path}", *notes),
    )


def _column(column: Any) -> np.ndarray:
    import pyarrow as pa

    # Missing values must become NaN, which the checks count; only floats have one.
    whole = pa.types.is_integer(column.type) and not column.null_count
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
        whole = not column.null_count
    return column.to_numpy() if whole else column.cast(pa.float64(), safe=False).to_numpy()


def _parquet_table(path: Path) -> tuple[Any, tuple[str, ...]]:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path), ()


def _csv_table(path: Path) -> tuple[Any, tuple[str, ...]]:
    import pyarrow.csv

    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = list(itertools.islice((row for row in csv.reader(file) if row), 2))
    header = _has_header(rows)
    options = pyarrow.csv.ReadOptions(autogenerate_column_names=not header)
    note = (
        "the first row was read as a header"
        if header
        else "no header was found: columns are named f0, f1, ..."
    )
    return pyarrow.csv.read_csv(path, read_options=options), (note,)


def _has_header(rows: list[list[str]]) -> bool:
    # Text above a number is a header; so is a first row without any number. Text above text is a column of text. Positions 0, 1, 2, ... are a header too:
    # pandas writes them for an unnamed table, and taking them for a datum would add an outlier.
    if not rows:
        return False
    names = rows[0][0 if rows[0][0] else 1 :]
    if len(names) > 2 and names == [str(i) for i in range(len(names))]:
        return True
    first = [_is_number(text) for text in rows[0]]
    second = [_is_number(text) for text in rows[1]] if len(rows) > 1 else []
    named = [
        text.strip().lower() not in _MISSING and not number for text, number in zip(rows[0], first)
    ]
    return any(name and number for name, number in zip(named, second)) or (
        any(named) and not any(first)
    )


def _is_number(text: str) -> bool:
    if text.strip().lower() in ("true", "false"):
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def _positions(path: Path, names: list[str], columns: Sequence[str | int] | None) -> list[int]:
    if columns is None:
        return list(range(len(names)))
    positions = []
    for column in (columns,) if isinstance(columns, str | int) else columns:
        if isinstance(column, str):
            if names.count(column) != 1:
                problem = "several columns are called" if column in names else "no column is called"
                raise ValueError(
                    f"{path}: {problem} {column!r}{nearest(column, tuple(names))}; columns: {_some(names)}; or give its position from 0."
                )
            positions.append(names.index(column))
        elif 0 <= column < len(names):
            positions.append(column)
        else:
            raise ValueError(f"{path}: no column {column}; positions are 0..{len(names) - 1}.")
    if not positions:
        raise ValueError(f"{path}: columns is empty; choose at least one of {_some(names)}.")
    return positions


def _some(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:10]) + (
        f" and {len(names) - 10} more" if len(names) > 10 else ""
    )
