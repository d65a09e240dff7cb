"""`load_dataset`: the friendly layer over named sources and the user's own data; `available`: what there is and where it lies."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jensen._rooms import Room, nearest
from jensen.datasets._dataset import Dataset
from jensen.datasets._files import find_locally, locate
from jensen.datasets._read import SUFFIXES
from jensen.datasets._user import DEFAULT_FRACTION, user_dataset

sources = Room("jensen.datasets", "data set")


@dataclass(frozen=True)
class Availability:
    """What is known of a named data set before it is loaded: its name, description, shape, licence, and where its files lie (all texts).

    [a.name for a in available() if not a.where.startswith("downloads")]
    """

    name: str
    description: str
    shape: str
    licence: str
    where: str


def load_dataset(
    source: Any,
    *,
    data_dir: str | Path | None = None,
    seed: int = 0,
    validation_fraction: float = DEFAULT_FRACTION,
    test_fraction: float = DEFAULT_FRACTION,
    binarise: str = "none",
    columns: Sequence[str | int] | None = None,
) -> Dataset:
    """The data set called `source`, or made of the user's own data.

    Args:
        source: a name (see `available`), a path to .npy, .npz, .csv or .parquet, a path to a .py file with one AbstractSource, an array-like
            [rows, *event], a mapping or an .npz with the keys train, validation, test or train, test (each perhaps with train_labels etc.), or a tuple
            of arrays in that order.
        data_dir: where the files of named data sets lie; else JENSEN_DATA; else the user's cache, into which missing files are downloaded.
        seed: splits the user's own data and freezes its draws; named data sets have fixed splits and draws, which it leaves alone.
        validation_fraction: of the rows that are to be split, 0 for none; only for data that come without validation.
        test_fraction: of the rows that are to be split; only for data that come without splits.
        binarise: "none"; "dynamic": values are Bernoulli means, as v for floats in [0, 1] and as v / 255 for integers; "threshold": 1 where v lies above the
            middle of train's range.
        columns: of a .csv or .parquet, by name or position; all of them by default.

    Returns:
        a Dataset of uint8 (from bool, and from integers within 0..255) or of float32 (from all else).

    Raises:
        ValueError: an unknown name, data that cannot be read or used (the message says what, where and the remedy), or an option that has no use here.
        OSError: a download that failed.

        load_dataset("digits")
        load_dataset(np.random.default_rng(0).normal(size=(500, 5)), seed=1)
    """
    fractions = {"validation_fraction": validation_fraction, "test_fraction": test_fraction}
    if isinstance(source, str | os.PathLike) and _is_named(os.fspath(source)):
        _refuse_options(os.fspath(source), {**fractions, "binarise": binarise, "columns": columns})
        return _named(os.fspath(source), data_dir)
    return user_dataset(source, seed=seed, **fractions, binarise=binarise, columns=columns)


def available(data_dir: str | Path | None = None) -> tuple[Availability, ...]:
    """The named data sets, sorted by name, and where each was found or how much is to be downloaded. Nothing is downloaded, and no checksum verified.

    Raises:
        ValueError: the data directory named does not exist.

        for entry in available(): print(entry.name, entry.where)
    """
    return tuple(_availability(name, sources.find(name), data_dir) for name in sources.names())


def _availability(name: str, cls: Any, data_dir: str | Path | None) -> Availability:
    found = {file: find_locally(file, name, data_dir=data_dir) for file in cls.files}
    missing = sum(file.size for file, path in found.items() if path is None)
    folders = dict.fromkeys(str(path.parent) for path in found.values() if path is not None)
    where = f"downloads {missing / 1e6:.1f} MB" if missing else ", ".join(folders) or cls.origin
    return Availability(name, cls.description, cls.shape, cls.licence, where)


def _is_named(source: str) -> bool:
    if source in sources.names() or source.endswith(".py"):
        return True
    path = Path(source).expanduser()
    if path.suffix.lower() in SUFFIXES or os.sep in source or path.exists():
        return False
    known = ", ".join(sources.names())
    raise ValueError(f"unknown data set {source!r}{nearest(source, sources.names())}; known: {known}; or a path to your own {', '.join(SUFFIXES)} or .py file.")


def _named(name: str, data_dir: str | Path | None) -> Dataset:
    source = sources.build(name, {}, {})
    short = Path(name).stem
    return source.load(files={file.name: locate(file, short, data_dir=data_dir) for file in source.files})


def _refuse_options(name: str, options: dict[str, Any]) -> None:
    defaults = {"validation_fraction": DEFAULT_FRACTION, "test_fraction": DEFAULT_FRACTION, "binarise": "none", "columns": None}
    for option, value in options.items():
        if value != defaults[option]:
            raise ValueError(f"{option}={value!r} has no use for the data set {name!r}, which comes split and prepared; leave {option} out.")
