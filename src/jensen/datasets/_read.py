"""Readers of the user's own data: .npy, .npz, .csv and .parquet files, mappings, tuples, frames and
arrays, all made into one form, `Raw`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from jensen.datasets._arrow_tables import read_parquet
from jensen.datasets._dataset import SPLITS
from jensen.datasets._frames import frame_part, is_sparse, is_table, sparse_part
from jensen.datasets._keys import WHOLE, choose
from jensen.datasets._numpy_files import MAGIC, ZIP_MAGIC, Archive, read_npy
from jensen.datasets._part import Part, Reading, listed
from jensen.datasets._rows import RowOrigin
from jensen.datasets._text_tables import read_csv

SUFFIXES = (".npy", ".npz", ".csv", ".parquet")
# What scipy.sparse.save_npz writes.
_SPARSE_KEYS = {"format", "shape", "data"}


@dataclass(frozen=True)
class Raw:
    """The user's arrays as they came: under the key WHOLE when they are yet to be split, else under
    train, test and perhaps validation; labels and the origin of each row likewise. `columns` are
    the names of a table's columns, `where` is what messages call the source."""

    name: str
    arrays: dict[str, np.ndarray]
    labels: dict[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rows: dict[str, RowOrigin] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    where: str = "data"


def read_path(path: Path, reading: Reading) -> Raw:
    """What the file holds.

    Raises:
        ValueError: no such file, a directory, an unknown suffix, an empty or damaged file, one that
            is larger than the memory, and what `choose` and the readers of tables raise.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        raise ValueError(f"{path} is a directory; name one file ({', '.join(SUFFIXES)}) in it.")
    if not path.is_file():
        raise ValueError(
            f"no such file: {path}; check the path, which is relative to {Path.cwd()}."
        )
    if suffix not in SUFFIXES:
        remedy = "; rename a table of text to .csv" if suffix in (".txt", ".tsv", ".dat") else ""
        raise ValueError(
            f"{path} ends in {suffix or 'no suffix'!r}, which is not a known form; known: "
            f"{', '.join(SUFFIXES)}{remedy}."
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty (0 bytes); write it again.")
    if suffix in (".npy", ".npz"):
        raw = _read_numpy(path, reading)
    else:
        _refuse(str(path), key=reading.key)
        part = (read_csv if suffix == ".csv" else read_parquet)(path, reading)
        raw = _raw(path.stem, {WHOLE: part}, {})
    return replace(raw, notes=(f"read from {path}", *raw.notes), where=str(path))


def from_object(source: Any, reading: Reading, name: str = "data") -> Raw:
    """The arrays in a mapping, a tuple (train, test) or (train, validation, test), each perhaps
    with labels as in ((x_train, y_train), (x_test, y_test)), or one array-like or frame."""
    if isinstance(source, Mapping):
        return _from_mapping(source, reading, name)
    if isinstance(source, tuple):
        if len(source) not in (2, 3):
            raise ValueError(
                f"{name}: a tuple of {len(source)} parts; give (train, test), (train, "
                "validation, test), or one array."
            )
        parts = dict(zip(SPLITS if len(source) == 3 else ("train", "test"), source))
        if all(isinstance(part, tuple) and len(part) == 2 for part in source):
            labels = {f"{split}_labels": part[1] for split, part in parts.items()}
            parts = {split: part[0] for split, part in parts.items()} | labels
        return _from_mapping(parts, reading, name)
    _refuse(name, key=reading.key)
    return _raw(name, {WHOLE: _part(source, name, reading)}, {})


def _from_mapping(mapping: Mapping[Any, Any], reading: Reading, name: str) -> Raw:
    named = {str(key): value for key, value in mapping.items()}
    return _from_keys(
        list(named),
        lambda key, where: _part(named[key], where, reading),
        lambda key, where: _array(named[key], where),
        reading,
        name,
        name,
    )


def _from_keys(
    keys: Sequence[str],
    read: Callable[[str, str], Part],
    read_labels: Callable[[str, str], np.ndarray | None],
    reading: Reading,
    where: str,
    name: str,
) -> Raw:
    """The arrays that the keys stand for (see `choose`); `read` makes one of them of a key and of
    what it is called in messages, `read_labels` labels, or None of what cannot be read."""
    choice = choose(keys, where, reading.key)
    parts = {split: read(key, f"{where}, {key}") for split, key in choice.arrays.items()}
    read_as = {key: read_labels(key, f"{where}, {key}") for key in choice.labels.values()}
    labels = {
        split: values
        for split, key in choice.labels.items()
        if (values := read_as[key]) is not None
    }
    left_out = [*choice.left_out, *(key for key, values in read_as.items() if values is None)]
    notes = []
    if (*choice.arrays, *choice.arrays.values()) != (WHOLE, WHOLE):
        renamed = [key for split, key in choice.arrays.items() if key != split]
        notes += [f"the data are {listed(renamed)}"] if renamed else []
    if labels:
        notes.append(f"labels, not data: {listed([choice.labels[split] for split in labels])}")
    if left_out:
        notes.append(f"left out: {listed(left_out)}")
    raw = _raw(name, parts, labels)
    return replace(raw, notes=(*notes, *raw.notes))


def _raw(name: str, parts: Mapping[str, Part], labels: dict[str, np.ndarray]) -> Raw:
    columns = {part.columns for part in parts.values() if part.columns}
    if len(columns) > 1:
        first, second = list(columns)[:2]
        raise ValueError(
            f"{name}: the columns of the splits disagree ({listed(first)}; {listed(second)}); give "
            "all splits the same columns in the same order."
        )
    return Raw(
        name,
        {key: part.values for key, part in parts.items()},
        labels,
        tuple(dict.fromkeys(note for part in parts.values() for note in part.notes)),
        {
            key: RowOrigin(key, np.arange(len(part.values)), part.names)
            for key, part in parts.items()
            if part.values.ndim
        },
        columns.pop() if columns else (),
    )


def _refuse(name: str, **options: Any) -> None:
    """Raises ValueError for an option of another form of data."""
    what = {
        "columns": "only for .csv and .parquet files and frames; index the array instead",
        "index": "only for .csv and .parquet files and frames; leave it out",
        "header": "only for .csv files; leave it out",
        "key": "only for .npz files and mappings; leave it out",
    }
    for option, value in options.items():
        if value is not None:
            raise ValueError(f"{name}: {option}={value!r} has no use for it, {what[option]}.")


def _part(value: Any, where: str, reading: Reading) -> Part:
    if is_table(value):
        _refuse(where, header=reading.header)
        return frame_part(value, where, reading)
    _refuse(where, columns=reading.columns, index=reading.index, header=reading.header)
    return sparse_part(value, where) if is_sparse(value) else Part(_array(value, where))


def _array(value: Any, where: str) -> np.ndarray:
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(
            f"{where}: {int(np.ma.count_masked(value))} values are masked; fill or remove them "
            "first."
        )
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{where}: cannot be made an array ({error}); give numbers of one shape per row."
        ) from error


def _read_numpy(path: Path, reading: Reading) -> Raw:
    _refuse(str(path), columns=reading.columns, index=reading.index, header=reading.header)
    with path.open("rb") as file:
        magic = file.read(len(MAGIC))
    # The content decides, not the suffix: both are written under either.
    if magic.startswith(ZIP_MAGIC):
        archive = Archive(path)
        if archive.headers.keys() >= _SPARSE_KEYS and reading.key is None:
            return _raw(path.stem, {WHOLE: _read_sparse(path, archive)}, {})
        return _from_keys(
            list(archive.headers),
            lambda key, where: Part(archive.read(key)),
            # Labels that are Python objects are no reason to refuse the data.
            lambda key, where: archive.read(key) if archive.readable(key) else None,
            reading,
            str(path),
            path.stem,
        )
    _refuse(str(path), key=reading.key)
    return _raw(path.stem, {WHOLE: Part(read_npy(path))}, {})


def _read_sparse(path: Path, archive: Archive) -> Part:
    import scipy.sparse

    for key in archive.headers:  # each is read once by itself, which refuses what is damaged
        archive.read(key)
    try:
        matrix = scipy.sparse.load_npz(path)
    except Exception as error:  # indices that contradict the shape fail in many ways
        raise ValueError(
            f"{path} could not be read as a sparse matrix of SciPy ({error}); write it again with "
            "scipy.sparse.save_npz, or its dense array with np.savez."
        ) from error
    return sparse_part(matrix, str(path))
