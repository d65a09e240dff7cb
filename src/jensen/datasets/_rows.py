"""Row numbers and names: which row of the source each datum is, for every output of rows."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class RowOrigin(NamedTuple):
    """Where the rows of a split come from.

    Attributes:
        array: which array of the source: "data", or "train", "validation", "test" where it came
            in splits.
        numbers: the row numbers in that array, from 0; a header is no row.
        names: the rows' names, under the name of each index column; usually none or one.
    """

    array: str
    numbers: np.ndarray
    names: Mapping[str, np.ndarray]


def origins(order: np.ndarray, bounds: tuple[int, int]) -> dict[str, RowOrigin]:
    """Makes the origins of three splits: the rows in a given order, split at `bounds`.

    origins(np.random.RandomState(0).permutation(100), (80, 90))["test"].numbers  # 10 of them
    """
    parts = zip(("train", "validation", "test"), np.split(order, bounds))
    return {split: RowOrigin("data", numbers, {}) for split, numbers in parts}


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows for evaluation, in the order of their source.

    Attributes:
        name: a split, or the stem of a file.
        values: [rows, *event], uint8 or float32.
        numbers: [rows], their row numbers in the source, from 0 (see `RowOrigin`).
        names: the rows' names, under the name of each index column of the source.
        splits: [rows], the split of each, if there are several; otherwise None.
        labels: one per row, or None.
        notes: what was assumed when they were read.

        load_rows("new.npy").values
    """

    name: str
    values: np.ndarray
    numbers: np.ndarray
    names: Mapping[str, np.ndarray] = field(default_factory=dict)
    splits: np.ndarray | None = None
    labels: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @property
    def fingerprint(self) -> str:
        """The sha256 of the values, as `Dataset.fingerprint` has it."""
        return fingerprint_of(self.values)

    def columns(self, beside: Iterable[str] = ()) -> dict[str, np.ndarray]:
        """The columns that name the rows in a table: row, split (where there are several), and
        the index columns. An index column called as one of those or as one in `beside` is
        written as index_NAME.

            load_rows("new.csv").columns()["row"]  # array([0, 1, 2, ...])
        """
        columns = {"row": self.numbers}
        if self.splits is not None:
            columns["split"] = self.splits
        taken = {*columns, *beside}
        for name, values in self.names.items():
            columns[f"index_{name}" if name in taken else name] = values
        return columns


def fingerprint_of(values: np.ndarray) -> str:
    """The sha256 (hexadecimal) of shape, dtype and bytes."""
    digest = hashlib.sha256(f"{values.shape} {values.dtype.name} ".encode())
    digest.update(np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
