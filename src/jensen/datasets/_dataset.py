"""`Dataset`: three splits of arrays, with fingerprints that show whether two runs were evaluated on
the same data.

Images of grey levels are no Bernoulli data. *Dynamic binarisation* (Burda, Grosse &
Salakhutdinov 2016, "Importance Weighted Autoencoders", after Salakhutdinov & Murray 2008) reads a
grey value v as the mean v / levels of a Bernoulli variable: train is drawn afresh every time an
image is used, whereas validation and test are here drawn once and frozen.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from jensen._rooms import nearest
from jensen.datasets._part import Like
from jensen.datasets._rows import RowOrigin, Rows, fingerprint_of

SPLITS: tuple[str, ...] = ("train", "validation", "test")
ALL = "all"
TRAIN_DRAW_SEED = 1


def frozen_draws(grey: np.ndarray, levels: int, seed: int | tuple[int, ...]) -> np.ndarray:
    """Makes one Bernoulli draw per grey value, with mean grey / levels exactly.

    The same seed gives the same draws with every version of NumPy.

    Args:
        grey: uint8 of any shape, values 0..levels.
        levels: the grey level that means certainty, 1..255.
        seed: of NumPy's legacy generator, whose stream never changes.

    Returns:
        uint8 array of 0 and 1, in grey's shape.

        frozen_draws(np.array([0, 8, 16], np.uint8), levels=16, seed=0)
    """
    # P(u < v) = v / levels for u uniform on 0..levels-1: no rounding of v / levels enters.
    u = np.random.RandomState(seed).randint(0, levels, size=grey.shape, dtype=np.uint8)
    return (u < grey).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Train, validation and test data, each an array of shape [rows, *event_shape], made read-only.

    Attributes:
        name: of the data set.
        train, validation, test: uint8 or float32; validation may have no rows.
        levels: None if values are used as they are. With an integer L a *train* value v is the
            Bernoulli mean v / L, drawn afresh at every use, and validation and test hold frozen 0/1
            draws.
        labels: per split, one label per row; may be empty.
        notes: what was done to the data, and its licence.
        options: the options of `load_dataset` for a named data set, with which a run loads the same
            data again.
        rows: per split, which rows of the source these are, and their names (see `RowOrigin`);
            by default the rows of a split are counted from 0.
        columns: the names of a table's columns; empty if there are none.
        threshold: of binarise="threshold", the value above which a datum is 1; otherwise None.

    Raises:
        ValueError: a dtype other than uint8 and float32, an empty train or test split, event shapes
            or dtypes that disagree, levels that the values contradict, labels of a wrong length.

        data = Dataset("coins", train, validation, test)
        data.split("test"), data.fingerprint("test")
    """

    name: str
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    levels: int | None = None
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, RowOrigin] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    threshold: float | None = None

    def __post_init__(self):
        for split in SPLITS:
            array = getattr(self, split)
            _check_split(self.name, split, array, self.train)
            object.__setattr__(self, split, _read_only(array))
        if self.levels is not None:
            _check_levels(self.name, self.levels, self.train, self.validation, self.test)
        for split, labels in self.labels.items():
            if split not in SPLITS:
                raise ValueError(
                    f"{self.name}: labels for an unknown split "
                    f"{split!r}{nearest(split, SPLITS)}; splits: {', '.join(SPLITS)}."
                )
            rows = len(getattr(self, split))
            if np.ndim(labels) == 0 or len(labels) != rows:
                raise ValueError(
                    f"{self.name}: {split} has {rows} rows but labels of shape "
                    f"{np.shape(labels)}; give one label per row."
                )
        for split, origin in self.rows.items():
            lengths = {len(part) for part in (origin.numbers, *origin.names.values())}
            if lengths != {len(getattr(self, split))}:
                raise ValueError(
                    f"{self.name}: {split} has {len(getattr(self, split))} rows, but row numbers "
                    f"or names of {sorted(lengths)}; give one per row."
                )

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one datum: (28, 28) for an image, (5,) for a row of a table."""
        return self.train.shape[1:]

    def split(self, name: str) -> np.ndarray:
        """Returns the array [rows, *event_shape] of a split for evaluation, always the same values.

        The split "all" is all rows, in the order of their source.

        A train split with `levels` is drawn once, by `frozen_draws` with seed TRAIN_DRAW_SEED = 1,
        whatever seed the run has.

        Raises:
            ValueError: an unknown split.

            load_dataset("digits").split("train")  # uint8 0/1, (1257, 8, 8)
        """
        if name == ALL:
            return self.take(ALL).values
        if name not in SPLITS:
            splits = (*SPLITS, ALL)
            raise ValueError(
                f"unknown split {name!r}{nearest(name, splits)}; known: {', '.join(splits)}."
            )
        return (
            self._frozen_train
            if name == "train" and self.levels is not None
            else getattr(self, name)
        )

    def fingerprint(self, name: str) -> str:
        """Computes the sha256 (hexadecimal) of shape, dtype and bytes of `split(name)`.

        Equal fingerprints mean the same data in the same order.

        Raises:
            ValueError: an unknown split.

            assert ours.fingerprint("test") == theirs.fingerprint("test")
        """
        return fingerprint_of(self.split(name))

    def take(self, name: str) -> Rows:
        """Returns the rows of a split with their numbers and names.

        "all" is every row of the data in the order of their source, with the split of each.

        Raises:
            ValueError: an unknown split.

            load_dataset("mine.csv").take("all").splits  # array(['train', 'test', 'train', ...])
        """
        if name == ALL:
            return self._all_rows
        values = self.split(name)
        origin = self._origin(name)
        return Rows(name, values, origin.numbers, origin.names, labels=self.labels.get(name))

    @property
    def like(self) -> Like:
        """What `load_rows` needs of these data to read further rows in the same way."""
        return Like(self.columns, tuple(self._origin("train").names), self.threshold)

    def _origin(self, split: str) -> RowOrigin:
        default = RowOrigin(split, np.arange(len(getattr(self, split))), {})
        return self.rows.get(split, default)

    @cached_property
    def _all_rows(self) -> Rows:
        parts = [self.take(split) for split in SPLITS]
        origins = [self._origin(split) for split in SPLITS]
        arrays = list(dict.fromkeys(origin.array for origin in origins))
        splits, numbers, array = (
            np.concatenate(columns)
            for columns in (
                [np.full(len(part), part.name) for part in parts],
                [part.numbers for part in parts],
                [np.full(len(p), arrays.index(o.array)) for p, o in zip(parts, origins)],
            )
        )
        # By array of the source and by row number, which undoes a random split.
        order = np.lexsort((numbers, array))
        filled = [part for part in parts if len(part)]
        names = {
            column: np.concatenate([part.names[column] for part in filled])[order]
            for column in filled[0].names
            if all(column in part.names for part in filled)
        }
        labels = [part.labels for part in filled if part.labels is not None]
        return Rows(
            ALL,
            _read_only(np.concatenate([part.values for part in parts])[order]),
            numbers[order],
            names,
            splits[order],
            np.concatenate(labels)[order] if len(labels) == len(filled) else None,
        )

    @cached_property
    def _frozen_train(self) -> np.ndarray:
        assert self.levels is not None
        return _read_only(frozen_draws(self.train, self.levels, TRAIN_DRAW_SEED))


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _check_split(name: str, split: str, array: np.ndarray, train: np.ndarray) -> None:
    if array.dtype not in (np.uint8, np.float32):
        raise ValueError(
            f"{name}: {split} has dtype {array.dtype}; a Dataset holds uint8 or float32, so cast "
            "it, or use load_dataset, which does."
        )
    if array.ndim < 2:
        raise ValueError(
            f"{name}: {split} has shape {array.shape}; give [rows, *event], for numbers "
            "reshape(-1, 1)."
        )
    if array.dtype != train.dtype:
        raise ValueError(
            f"{name}: {split} is {array.dtype} but train is {train.dtype}; cast both to one dtype."
        )
    if array.shape[1:] != train.shape[1:]:
        raise ValueError(
            f"{name}: {split} has event shape {array.shape[1:]} but train has {train.shape[1:]}; "
            "give all splits one event shape."
        )
    if array.size == 0 and (split != "validation" or 0 in array.shape[1:]):
        raise ValueError(
            f"{name}: {split} is empty (shape {array.shape}); train and test need at least one "
            "row each."
        )
    if array.dtype == np.float32 and not np.isfinite(array).all():
        raise ValueError(
            f"{name}: {split} holds {int((~np.isfinite(array)).sum())} values that are NaN or "
            "infinite; remove or impute those rows."
        )


def _check_levels(
    name: str, levels: int, train: np.ndarray, validation: np.ndarray, test: np.ndarray
) -> None:
    if not 1 <= levels <= 255:
        raise ValueError(f"{name}: levels must be in 1..255; got {levels}.")
    if train.dtype != np.uint8 or train.max() > levels:
        raise ValueError(
            f"{name}: levels={levels} wants train as uint8 in 0..{levels}; got {train.dtype} up "
            f"to {train.max()}. Rescale it, or drop levels."
        )
    for split, array in (("validation", validation), ("test", test)):
        if array.dtype != np.uint8 or array.max(initial=0) > 1:
            raise ValueError(
                f"{name}: with levels={levels}, {split} must hold frozen 0/1 draws as uint8; got "
                f"{array.dtype} up to {array.max(initial=0)}."
            )
