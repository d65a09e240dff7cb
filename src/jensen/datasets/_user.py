"""Makes a Dataset from the user's own data: reads, checks, splits (unless they are split already),
casts and binarises them.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jensen._rooms import nearest
from jensen.datasets._convert import (
    binarised,
    binarised_rows,
    check_array,
    threshold_of,
    to_storage,
)
from jensen.datasets._dataset import ALL, SPLITS, Dataset
from jensen.datasets._keys import WHOLE
from jensen.datasets._memory import in_units, physical_memory
from jensen.datasets._part import Reading
from jensen.datasets._read import Raw, from_object, read_path
from jensen.datasets._rows import RowOrigin, Rows

DEFAULT_FRACTION = 0.1


SPLIT_WAYS = ("random", "contiguous")


def user_dataset(
    source: Any,
    *,
    seed: int,
    validation_fraction: float,
    test_fraction: float,
    binarise: str,
    split: str,
    reading: Reading,
) -> Dataset:
    """Makes a Dataset from a path, an array, a mapping or a tuple; arguments and errors are those
    of `load_dataset`.
    """
    _check_seed(seed)
    if split not in SPLIT_WAYS:
        raise ValueError(
            f"unknown split {split!r}{nearest(split, SPLIT_WAYS)}; known: {', '.join(SPLIT_WAYS)}."
        )
    with _within_memory(source):
        raw = _read(source, reading)
        rows = sum(len(array) for array in raw.arrays.values())
        if rows < 3:
            raise ValueError(
                f"{raw.where} has {rows} rows; at least 3 are needed, one each for train, "
                "validation and test."
            )
        divide = _with_test if WHOLE in raw.arrays else _with_validation
        order = None if split == "contiguous" else seed
        raw = divide(raw, order, validation_fraction, test_fraction)
        arrays, cast_notes = to_storage(raw.arrays)
        threshold = threshold_of(arrays["train"], binarise)
        arrays, levels, binary_notes = binarised(arrays, binarise, seed)
    return Dataset(
        raw.name,
        arrays["train"],
        arrays["validation"],
        arrays["test"],
        levels=levels,
        labels=raw.labels,
        notes=(*raw.notes, *cast_notes, *binary_notes),
        rows=raw.rows,
        columns=raw.columns,
        threshold=threshold,
    )


def user_rows(
    source: Any,
    *,
    split: str | None,
    seed: int,
    binarise: str,
    reading: Reading,
) -> Rows:
    """Loads all rows of a path, an array, a mapping or a tuple, or those of one of its splits;
    arguments and errors are those of `load_rows`.
    """
    _check_seed(seed)
    with _within_memory(source):
        raw = _read(source, reading)
        splits = (ALL,) if WHOLE in raw.arrays else (*raw.arrays, ALL)
        if split is not None and split not in splits:
            has = (
                "has no splits: all its rows are used, in their order; leave split out"
                if WHOLE in raw.arrays
                else f"has no split {split!r}{nearest(split, splits)}; it has {', '.join(splits)}"
            )
            raise ValueError(f"{raw.where} {has}.")
        chosen = [key for key in raw.arrays if split in (None, ALL, key)]
        arrays, cast_notes = to_storage({key: raw.arrays[key] for key in chosen})
        parts = [arrays[key] for key in chosen]
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        values, binary_notes = binarised_rows(joined, binarise, seed, reading.like.threshold)
    origins = [raw.rows[key] for key in chosen]
    labels = [raw.labels[key] for key in chosen if key in raw.labels]
    return Rows(
        chosen[0] if split == chosen[0] else raw.name,
        values,
        np.concatenate([origin.numbers for origin in origins]),
        {
            name: np.concatenate([origin.names[name] for origin in origins])
            for name in origins[0].names
            if all(name in origin.names for origin in origins)
        },
        None
        if len(chosen) == 1
        else np.concatenate([np.full(len(arrays[key]), key) for key in chosen]),
        np.concatenate(labels) if len(labels) == len(chosen) else None,
        (*raw.notes, *cast_notes, *binary_notes),
    )


def _read(source: Any, reading: Reading) -> Raw:
    is_path = isinstance(source, str | os.PathLike)
    raw = read_path(Path(source).expanduser(), reading) if is_path else from_object(source, reading)
    _check(raw)
    return raw


@contextlib.contextmanager
def _within_memory(source: Any) -> Iterator[None]:
    """Turns a failed allocation into an error that names the source, the sizes and the remedy."""
    try:
        yield
    except MemoryError as error:
        where = os.fspath(source) if isinstance(source, str | os.PathLike) else "data"
        memory = physical_memory()
        machine = f" of the machine's {in_units(memory)}" if memory else ""
        reason = f" ({error})" if str(error) else ""
        raise ValueError(
            f"{where} does not fit into the memory that is free{machine}{reason}; take fewer rows "
            "or columns, store it as float32 or uint8, or free some memory."
        ) from error


def _check_seed(seed: int) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be an integer in 0..{2**32 - 1}; got {seed!r}.")


def _check(raw: Raw) -> None:
    for key, array in raw.arrays.items():
        where = raw.where if key == WHOLE else f"{raw.where}, split {key},"
        check_array(array, where, raw.columns)
        if key in raw.labels and raw.labels[key].shape[:1] != (len(array),):
            raise ValueError(
                f"{where} has {len(array)} rows but labels of shape {raw.labels[key].shape}; "
                "give one label per row."
            )
    shapes = {key: array.shape[1:] for key, array in raw.arrays.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{key} {shape}" for key, shape in shapes.items())
        raise ValueError(
            f"{raw.where}: the splits' event shapes disagree ({listed}); give all splits one event "
            "shape."
        )


def _with_test(raw: Raw, seed: int | None, validation_fraction: float, test_fraction: float) -> Raw:
    rows = len(raw.arrays[WHOLE])
    if not test_fraction > 0:
        raise ValueError(
            f"test_fraction must be above 0, since test may not be empty; got {test_fraction}. Use "
            f"for example {DEFAULT_FRACTION}."
        )
    counts = _counts(raw.where, rows, {"validation": validation_fraction, "test": test_fraction})
    train, validation, test = _parts(rows, seed, counts["validation"], counts["test"])
    note = f"{rows} rows split {_how(seed)} into {len(train)}/{len(validation)}/{len(test)}"
    return _taken(
        raw,
        {"train": (WHOLE, train), "validation": (WHOLE, validation), "test": (WHOLE, test)},
        note,
    )


def _with_validation(
    raw: Raw, seed: int | None, validation_fraction: float, test_fraction: float
) -> Raw:
    unused = {
        "test_fraction": test_fraction,
        **({"validation_fraction": validation_fraction} if "validation" in raw.arrays else {}),
    }
    # A value other than the default was given on purpose.
    for option, value in unused.items():
        if value != DEFAULT_FRACTION:
            raise ValueError(
                f"{option}={value} has no use here: {raw.where} comes split into "
                f"{', '.join(raw.arrays)}; leave {option} out."
            )
    rows = {key: np.arange(len(array)) for key, array in raw.arrays.items()}
    if "validation" in raw.arrays:
        if seed is None:
            raise ValueError(
                f"split='contiguous' has no use here: {raw.where} comes split into "
                f"{', '.join(raw.arrays)}; leave split out."
            )
        return _taken(raw, {split: (split, rows[split]) for split in SPLITS}, "split as given")
    count = _counts(
        f"{raw.where}, split train,", len(rows["train"]), {"validation": validation_fraction}
    )["validation"]
    train, validation, _ = _parts(len(rows["train"]), seed, count, 0)
    note = (
        f"test as given; {count} of {len(rows['train'])} rows of train were made "
        f"validation {_how(seed)}"
    )
    return _taken(
        raw,
        {
            "train": ("train", train),
            "validation": ("train", validation),
            "test": ("test", rows["test"]),
        },
        note,
    )


def _parts(rows: int, seed: int | None, validation: int, test: int) -> list[np.ndarray]:
    """The row numbers of train, validation and test: permuted, or in their order when there is no
    seed.
    """
    if seed is None:
        return np.split(np.arange(rows), (rows - test - validation, rows - test))
    # Test comes first, so that the same rows are held out whatever the validation fraction.
    return np.split(np.random.RandomState((seed, 0)).permutation(rows), (test, test + validation))[
        ::-1
    ]


def _how(seed: int | None) -> str:
    return "in their order" if seed is None else f"by seed {seed}"


def _counts(name: str, rows: int, fractions: dict[str, float]) -> dict[str, int]:
    for split, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise ValueError(f"{split}_fraction must be at least 0 and below 1; got {fraction}.")
    counts = {split: round(rows * fraction) for split, fraction in fractions.items()}
    for split, count in counts.items():
        if count == 0 and fractions[split] > 0:
            raise ValueError(
                f"{split}_fraction={fractions[split]} of the {rows} rows of {name} leaves "
                f"{split} empty; use at least {1 / rows:.2g}."
            )
    if sum(counts.values()) >= rows:
        asked = " and ".join(
            f"{split}_fraction={fraction}" for split, fraction in fractions.items()
        )
        raise ValueError(
            f"{asked} of the {rows} rows of {name} leave train empty; use smaller fractions."
        )
    return counts


def _taken(raw: Raw, rows: dict[str, tuple[str, np.ndarray]], note: str) -> Raw:
    """Split -> (the array it comes from, its row numbers), applied to arrays and labels."""
    arrays = {split: raw.arrays[key][index] for split, (key, index) in rows.items()}
    labels = {
        split: raw.labels[key][index] for split, (key, index) in rows.items() if key in raw.labels
    }
    origins = {}
    for split, (key, index) in rows.items():
        array, numbers, names = raw.rows[key]
        origins[split] = RowOrigin(
            array, numbers[index], {name: values[index] for name, values in names.items()}
        )
    return replace(raw, arrays=arrays, labels=labels, notes=(*raw.notes, note), rows=origins)
