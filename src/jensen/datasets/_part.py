"""The output of the readers: an array of the user's data with row names, columns and notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from jensen._rooms import nearest


@dataclass(frozen=True)
class Part:
    """An array [rows, *event] as it was read.

    Attributes:
        values: the array.
        names: the rows' names, under the name of each index column.
        columns: the names of a table's columns; empty if it has none.
        notes: the assumptions of the reader.
    """

    values: np.ndarray
    names: Mapping[str, np.ndarray] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Like(NamedTuple):
    """How the training data were read, for reading further rows in the same way.

    Attributes:
        columns, index: the names of a table's columns, in order, and of its index columns.
        threshold: of binarise="threshold", the value above which a datum is 1; otherwise None.
    """

    columns: Sequence[str] = ()
    index: Sequence[str] = ()  # pyright: ignore[reportIncompatibleMethodOverride]
    threshold: float | None = None


class Reading(NamedTuple):
    """The options of reading a source; see `load_dataset`, and for `like` `load_rows`."""

    columns: Sequence[str | int] | None = None
    header: bool | None = None
    index: str | int | None = None  # pyright: ignore[reportIncompatibleMethodOverride]
    key: str | None = None
    like: Like = Like()

    def index_positions(self, where: str, names: Sequence[str]) -> list[int]:
        """The positions of the index columns, given or as in the training data."""
        if self.index is not None:
            return positions_of(where, names, self.index)
        return [names.index(name) for name in self.like.index if name in names]


def positions_of(
    where: str, names: Sequence[str], columns: Sequence[str | int] | str | int
) -> list[int]:
    """Finds the positions of columns given by name or position.

    Raises:
        ValueError: none or several of that name, a position out of range, or no columns.
    """
    positions = []
    for column in (columns,) if isinstance(columns, str | int) else columns:
        if isinstance(column, str):
            if names.count(column) != 1:
                problem = "several columns are called" if column in names else "no column is called"
                raise ValueError(
                    f"{where}: {problem} {column!r}{nearest(column, tuple(names))}; "
                    f"columns: {listed(names)}; or give its position from 0."
                )
            positions.append(names.index(column))
        elif 0 <= column < len(names):
            positions.append(column)
        else:
            raise ValueError(f"{where}: no column {column}; positions are 0..{len(names) - 1}.")
    if not positions:
        raise ValueError(f"{where}: columns is empty; choose at least one of {listed(names)}.")
    return positions


def chosen_positions(
    where: str, names: Sequence[str], named: bool, index: Sequence[int], reading: Reading
) -> tuple[list[int], tuple[str, ...]]:
    """Chooses the columns that are data: the given ones, those of the training data, or all but the
    index. Returns their positions, and a note if some are left out.

    Raises:
        ValueError: columns that the table does not have.
    """
    if reading.columns is not None:
        return positions_of(where, names, reading.columns), ()
    all_positions = [i for i in range(len(names)) if i not in index]
    expected = reading.like.columns
    if not expected or not named:
        return all_positions, ()
    missing = [column for column in expected if names.count(column) != 1]
    if missing:
        raise ValueError(
            f"{where}: the model was fitted to the columns {listed(expected)}, and "
            f"{missing[0]!r} is not one of {listed(names)}; rename the columns, or choose them in "
            "that order with columns=[...] (--set data.columns=[...])."
        )
    positions = [names.index(column) for column in expected]
    if positions == all_positions:
        return positions, ()
    spare = [names[i] for i in all_positions if i not in positions]
    without = f", without {listed(spare)}" if spare else ""
    return positions, (f"the columns were taken by name, as the model was fitted{without}",)


def listed(names: Sequence[str]) -> str:
    """Formats the first ten names, quoted, and the number of further ones."""
    return ", ".join(repr(name) for name in names[:10]) + (
        f" and {len(names) - 10} more" if len(names) > 10 else ""
    )


def index_note(names: Sequence[str]) -> str:
    """The note about index columns.

    index_note(["id"])  # "the column 'id' was taken for the rows' names, not for data"
    """
    columns = f"columns {listed(names)} were" if len(names) > 1 else f"column {names[0]!r} was"
    return f"the {columns} taken for the rows' names, not for data"
