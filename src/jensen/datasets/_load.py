"""`load_dataset` and `load_rows`: named data sets and the user's own data by one function each."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jensen._rooms import Room, nearest
from jensen.datasets._dataset import ALL, SPLITS, Dataset
from jensen.datasets._files import locate
from jensen.datasets._part import Like, Reading
from jensen.datasets._read import SUFFIXES
from jensen.datasets._rows import Rows
from jensen.datasets._source import AbstractSource
from jensen.datasets._user import DEFAULT_FRACTION, user_dataset, user_rows

sources = Room("jensen.datasets", "data set")


def load_dataset(
    source: Any,
    *,
    data_dir: str | Path | None = None,
    seed: int = 0,
    validation_fraction: float = DEFAULT_FRACTION,
    test_fraction: float = DEFAULT_FRACTION,
    binarise: str | None = None,
    split: str | None = None,
    columns: Sequence[str | int] | None = None,
    header: bool | None = None,
    index: str | int | None = None,
    key: str | None = None,
) -> Dataset:
    """Loads a named data set, or makes one from the user's own data.

    Args:
        source: a name (see `available`), a path to .npy, .npz, .csv or .parquet, a path to a .py
            file with one AbstractSource, an array-like [rows, *event], a frame of pandas, polars or
            Arrow, a sparse matrix, a mapping or an .npz with the keys train, validation, test or
            train, test (each perhaps with train_labels etc.; x_train, y_train, valid and the like
            are understood, see `_keys`), or a tuple of arrays in that order.
        data_dir: the directory of the files of named data sets; by default the environment variable
            JENSEN_DATA, or the user's cache, into which missing files are downloaded.
        seed: of the random split of the user's own data and of its frozen draws. Named data sets
            have fixed splits and draws and ignore it.
        validation_fraction: share of the rows for validation, 0 for none; only for data without a
            validation split.
        test_fraction: share of the rows for the test split; only for data without splits.
        binarise: "dynamic": values are Bernoulli means, as v for floats in [0, 1] and as v / 255
            for integers; "threshold": 1 where v lies above the middle of train's range; "none": own
            data as they are, a named data set's grey levels v = 0..L as the centres of their bins,
            (v + .5) / (L + 1). By default "none" for own data, and for a named data set what its
            literature does.
        split: "random" or "contiguous", for data that come without splits; contiguous: first train,
            then validation, then test. By default random.
        columns: of a table, by name or position; all of them by default, without an index.
        header: whether the first row of a .csv names the columns; by default as the file says, and
            where it could be either the file is refused.
        index: the column of a table that holds the rows' names, by name or position; by default an
            index that pandas recorded, or a first column without a name.
        key: the array of an .npz or a mapping that is the data; by default as the names say.

    Returns:
        a Dataset of uint8 (from bool, and from integers within 0..255) or of float32 (from all
        else).

    Raises:
        ValueError: an unknown name, data that cannot be found, read or used (the message says what,
            where and the remedy), or an option that does not apply to the source.
        OSError: a failed download.

        load_dataset("digits")
        load_dataset(np.random.default_rng(0).normal(size=(500, 5)), seed=1)
    """
    fractions = {"validation_fraction": validation_fraction, "test_fraction": test_fraction}
    if isinstance(source, str | os.PathLike) and _is_named(os.fspath(source)):
        name = os.fspath(source)
        options = {
            option: value
            for option, value in (("binarise", binarise), ("split", split))
            if value is not None
        }
        reading = {"columns": columns, "header": header, "index": index, "key": key}
        _refuse_options(name, {**fractions, **reading}, options)
        return _named(name, options, data_dir)
    return user_dataset(
        source,
        seed=seed,
        **fractions,
        binarise=binarise or "none",
        split=split or "random",
        reading=Reading(columns, header, index, key),
    )


def load_rows(
    source: Any,
    *,
    split: str | None = None,
    data_dir: str | Path | None = None,
    seed: int = 0,
    binarise: str | None = None,
    columns: Sequence[str | int] | None = None,
    header: bool | None = None,
    index: str | int | None = None,
    key: str | None = None,
    like: Dataset | Like | None = None,
) -> Rows:
    """Loads every row of the data in order, for evaluation; one row is enough.

    Args:
        source, data_dir, columns, header, index, key: as for `load_dataset`.
        split: which split to take; by default all of them, and `Rows.splits` says which split each
            row belongs to.
        seed: of the draws for binarise="dynamic", which are made once.
        binarise: as for `load_dataset`; by default a named data set's own.
        like: the training data, if any. The columns of a table are then matched to theirs by name,
            and further columns left out; binarise="threshold" uses their threshold.

    Raises:
        ValueError: data that cannot be found, read or used, an unknown split, columns of `like`
            that are missing in the table, or binarise="threshold" without `like`.

        load_rows("new.csv", like=data).values
    """
    if isinstance(source, str | os.PathLike) and _is_named(os.fspath(source)):
        reading = {"columns": columns, "header": header, "index": index, "key": key}
        chosen = {k: v for k, v in {**reading, "binarise": binarise}.items() if v is not None}
        rows = load_dataset(source, data_dir=data_dir, **chosen).take(split or ALL)
        return rows if split else replace(rows, name=os.fspath(source))
    return user_rows(
        source,
        split=split,
        seed=seed,
        binarise=binarise or "none",
        reading=Reading(
            columns, header, index, key, like.like if isinstance(like, Dataset) else like or Like()
        ),
    )


def dataset_names() -> tuple[str, ...]:
    """Lists the names of all named data sets, sorted, with each member of a family.

    "density/nltcs" in dataset_names()
    """
    return tuple(sorted(name for file in sources.names() for name in _names_in(file)))


def find_source(name: str, options: dict[str, Any] | None = None) -> AbstractSource:
    """Builds the source of the data set called `name` with its options.

    Raises:
        ValueError: an unknown name or option.

        find_source("density/nltcs").sizes
    """
    family, _, member = name.partition("/")
    if not name.endswith(".py") and member and family in sources.names():
        return sources.build(family, options or {}, {"member": member})
    return sources.build(name, options or {}, {})


def _names_in(file: str) -> tuple[str, ...]:
    members = sources.find(file).members
    return tuple(f"{file}/{member}" for member in members) if members else (file,)


def _is_named(source: str) -> bool:
    if source.endswith(".py"):
        return True
    names = dataset_names()
    if source in names:
        return True
    path = Path(source).expanduser()
    looks_like_a_path = os.sep in source and (
        source.startswith((".", "~", os.sep)) or source.count("/") > 1
    )
    if path.suffix.lower() in SUFFIXES or looks_like_a_path or path.exists():
        return False
    if source in sources.names():
        listed = ", ".join(
            name.partition("/")[2] for name in names if name.startswith(f"{source}/")
        )
        raise ValueError(
            f"{source!r} is a family of data sets: name one of them, as {source}/NAME; NAME: "
            f"{listed}."
        )
    listed = ", ".join(
        f"{name}/..." if sources.find(name).members else name for name in sources.names()
    )
    raise ValueError(
        f"unknown data set {source!r}{nearest(source, names)}; known: {listed} (see jensen "
        f"datasets); or a path to your own {', '.join(SUFFIXES)} or .py file."
    )


def _named(name: str, options: dict[str, Any], data_dir: str | Path | None) -> Dataset:
    source = find_source(name, options)
    # A file of the user's own is found under its stem.
    short = Path(name).stem if name.endswith(".py") else name
    dataset = source.load(
        files={
            file.name: locate(file, short, data_dir=data_dir, remedy=source.remedy)
            for file in source.files
        }
    )
    _check_shapes(source, dataset)
    return replace(dataset, options=options)


def _check_shapes(source: AbstractSource, dataset: Dataset) -> None:
    sizes = getattr(source, "sizes", None)
    actual = tuple(len(getattr(dataset, split)) for split in SPLITS)
    if sizes is not None and actual != sizes:
        expected, got = ("/".join(map(str, counts)) for counts in (sizes, actual))
        raise ValueError(
            f"{dataset.name}: its files hold {got} rows of train/validation/test, but should "
            f"hold {expected}; {_other_files(source)}"
        )
    shape = getattr(source, "event_shape", None)
    if shape is not None and dataset.event_shape != shape:
        raise ValueError(
            f"{dataset.name}: its files hold data of shape {dataset.event_shape}, but should "
            f"hold {shape}; {_other_files(source)}"
        )


def _other_files(source: AbstractSource) -> str:
    names = ", ".join(file.name for file in source.files)
    return (
        f"these are other files than {names or 'those expected'}: replace them. {source.remedy}"
    ).rstrip()


def _refuse_options(name: str, arguments: dict[str, Any], options: dict[str, Any]) -> None:
    defaults = {
        "validation_fraction": DEFAULT_FRACTION,
        "test_fraction": DEFAULT_FRACTION,
    }
    unused = [
        (option, value) for option, value in arguments.items() if value != defaults.get(option)
    ]
    has = sources.options(name if name.endswith(".py") else name.partition("/")[0])
    unused += [(option, value) for option, value in options.items() if option not in has]
    for option, value in unused:
        raise ValueError(
            f"{option}={value!r} has no use for the data set {name!r}, which comes split and "
            f"prepared; leave {option} out."
        )
