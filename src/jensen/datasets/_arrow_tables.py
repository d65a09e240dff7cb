"""Reads Apache Arrow tables, which come from .csv and .parquet files and other frames."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jensen.datasets._memory import refuse_beyond_memory
from jensen.datasets._part import Part, Reading, chosen_positions, index_note, listed

_PANDAS_INDEX = "__index_level_"


def read_parquet(path: Path, reading: Reading) -> Part:
    """Reads a .parquet file. An index that pandas recorded gives the rows' names.

    Raises:
        ValueError: no .parquet file, a damaged one, one larger than the memory, columns that are
            no numbers.

        read_parquet(Path("x.parquet"), Reading()).columns
    """
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            rows, columns = file.metadata.num_rows, file.metadata.num_columns
            # As float64, whatever the file packs them into.
            refuse_beyond_memory(
                8 * rows * columns, f"{path} claims {rows} rows of {columns} columns"
            )
            table = file.read()
    except MemoryError:
        raise
    # A damaged file makes Arrow fail in many ways; whichever it is, it is unusable.
    except Exception as error:
        if isinstance(error, ValueError) and "of memory" in str(error):
            raise
        raise ValueError(
            f"{path} could not be read as .parquet: {' '.join(str(error).split()).rstrip('.')}. "
            "It may be truncated or damaged: write it again."
        ) from error
    return table_part(table, str(path), reading)


def table_part(
    table: Any,
    where: str,
    reading: Reading,
    *,
    named: bool = True,
    notes: tuple[str, ...] = (),
    index: Mapping[str, int] | None = None,
) -> Part:
    """Reads the numbers of an Arrow table, and its index.

    Args:
        table: a pyarrow.Table.
        where: the file or the object, for messages.
        reading: which columns and index to read.
        named: whether the table's file names the columns.
        notes: how the table was read, put first.
        index: the index columns by name, if the reader knows; by default as pandas recorded them.

    Raises:
        ValueError: columns that are not there, or are no numbers.
    """
    names = list(table.column_names)
    row_names: dict[str, np.ndarray] = {}
    asked = reading.index_positions(where, names)
    if asked:
        index = {names[at]: at for at in asked}
    elif index is None:
        index, row_names = _recorded_index(table, where)
    row_names |= {name: _row_names(table.column(at)) for name, at in index.items()}
    positions, column_notes = chosen_positions(where, names, named, [*index.values()], reading)
    types = table.schema.types  # made anew at each call
    wrong = [names[at] for at in positions if not _is_number(types[at])]
    if wrong:
        raise ValueError(
            f"{where}: no numbers in {listed(wrong)}{_first_text(table, names.index(wrong[0]))}; "
            "choose columns without them, or take one as the rows' names: columns=[...], "
            "index=NAME (--set data.columns=[...], --set data.index=NAME)."
        )
    values = [_column(table.column(at)) for at in positions]
    index_notes = (index_note(list(row_names)),) if row_names else ()
    return Part(
        np.column_stack(values) if values else np.empty((0, 0)),
        row_names,
        tuple(names[at] for at in positions) if named else (),
        (*notes, *index_notes, *column_notes),
    )


def _first_text(table: Any, position: int) -> str:
    """The first value of a column that is no number, in brackets, with its row."""
    for row, value in enumerate(table.column(position)):
        text = "" if value.as_py() is None else str(value)
        try:
            float(text or "nan")
        except ValueError:
            return f" (row {row}: {text[:40]!r})"
    return ""


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    is_a = (
        types.is_integer,
        types.is_floating,
        types.is_boolean,
        types.is_decimal,
        types.is_null,
    )
    return any(check(kind) for check in is_a)


def _column(column: Any) -> np.ndarray:
    import pyarrow as pa

    # Missing values must become NaN, which the checks count; only floats have one.
    whole = pa.types.is_integer(column.type) and not column.null_count
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
        whole = not column.null_count
    return column.to_numpy() if whole else column.cast(pa.float64(), safe=False).to_numpy()


def _row_names(column: Any) -> np.ndarray:
    from pyarrow import types

    if (types.is_integer(column.type) or types.is_floating(column.type)) and not column.null_count:
        return column.to_numpy()
    return np.array(["" if name is None else str(name) for name in column.to_pylist()], dtype=str)


def _recorded_index(table: Any, where: str) -> tuple[dict[str, int], dict[str, np.ndarray]]:
    """Index columns by name, and the names of rows that pandas counted from elsewhere than 0."""
    names: Sequence[str] = table.column_names
    try:
        recorded = (table.schema.pandas_metadata or {}).get("index_columns", [])
        counted = [entry for entry in recorded if isinstance(entry, dict)]
        columns = [entry for entry in recorded if isinstance(entry, str) and entry in names]
        ranges = {
            str(entry["name"] or "index"): np.arange(entry["start"], entry["stop"], entry["step"])
            for entry in counted
            if entry["name"] or entry["start"] != 0 or entry["step"] != 1
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{where}: what pandas recorded of its index cannot be read ({error}); write the file "
            "again, or without an index: df.to_parquet(path, index=False)."
        ) from error
    columns += [c for c in names if c.startswith(_PANDAS_INDEX) and c not in columns]
    index = {
        (f"index{at or ''}" if column.startswith(_PANDAS_INDEX) else column): names.index(column)
        for at, column in enumerate(columns)
    }
    return index, {name: values for name, values in ranges.items() if len(values) == len(table)}
