"""Reads frames and sparse matrices in memory: pandas, polars, Arrow, SciPy."""

from typing import Any

import numpy as np

from jensen.datasets._arrow_tables import table_part
from jensen.datasets._memory import in_units, refuse_beyond_memory
from jensen.datasets._part import Part, Reading, chosen_positions, index_note, listed


def is_table(value: Any) -> bool:
    """Whether the value has columns: a frame of pandas, polars or Arrow, a series of pandas."""
    return _is_pandas(value) or hasattr(value, "__arrow_c_stream__")


def frame_part(frame: Any, where: str, reading: Reading) -> Part:
    """Reads the numbers of a frame, and its index.

    Raises:
        ValueError: columns that are not there, or are no numbers; they are named.

        frame_part(pd.DataFrame({"a": [1, 2]}, dtype="Int64"), "data", Reading()).values
    """
    if not _is_pandas(frame):
        import pyarrow as pa

        return table_part(pa.table(frame), where, reading)
    frame = frame.to_frame() if not hasattr(frame, "columns") else frame
    names = [str(name) for name in frame.columns]
    index = reading.index_positions(where, names)
    positions, notes = chosen_positions(where, names, True, index, reading)
    numbers = {at: _numbers(frame.iloc[:, at]) for at in positions}
    wrong = [f"{names[at]} ({frame.dtypes.iloc[at]})" for at, v in numbers.items() if v is None]
    if wrong:
        raise ValueError(
            f"{where}: no real numbers in {listed(wrong)}; choose columns without them, or take "
            "one as the rows' names: columns=[...], index=NAME."
        )
    sparse = [at for at in positions if hasattr(frame.iloc[:, at], "sparse")]
    if sparse:
        size = 8 * len(frame) * len(positions)
        notes += (f"{len(sparse)} sparse columns were made dense, {in_units(size)} in all",)
    row_names = (
        {names[at]: _row_names(frame.iloc[:, at]) for at in index} if index else _index_of(frame)
    )
    index_notes = (index_note(list(row_names)),) if row_names and index else ()
    columns = [column for column in numbers.values() if column is not None]
    values = np.column_stack(columns) if columns else np.empty((len(frame), 0))
    return Part(values, row_names, tuple(names[at] for at in positions), (*notes, *index_notes))


def is_sparse(value: Any) -> bool:
    """Whether the value is a sparse matrix or array, as SciPy has them."""
    return hasattr(value, "toarray") and hasattr(value, "nnz")


def sparse_part(matrix: Any, where: str) -> Part:
    """Makes a dense copy of a sparse matrix.

    Raises:
        ValueError: the copy is larger than the memory.

        sparse_part(scipy.sparse.eye(3), "data").values
    """
    size = matrix.shape[0] * matrix.shape[1] * matrix.dtype.itemsize
    refuse_beyond_memory(size, f"{where}: a sparse matrix of shape {matrix.shape} is to be dense")
    note = f"a sparse matrix of {matrix.nnz} stored values was made dense, {in_units(size)}"
    return Part(matrix.toarray(), notes=(note,))


def _is_pandas(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "pandas" and hasattr(value, "iloc")


def _numbers(column: Any) -> np.ndarray | None:
    """A pandas column as NumPy numbers, its missing values NaN; None if it holds no numbers."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if hasattr(column, "sparse"):
        column = column.sparse.to_dense()
    if column.dtype == object:
        column = column.infer_objects()  # Python numbers become numbers, text stays what it is
    numeric = is_numeric_dtype(column.dtype) or is_bool_dtype(column.dtype)
    if not numeric or column.dtype.kind == "c":
        return None
    if isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    # Nullable and pyarrow dtypes: float64 has a value for what is missing, integers have none.
    if column.isna().any():
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    if is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=bool)
    kinds = {"i": np.int64, "u": np.uint64}
    return column.to_numpy(dtype=kinds.get(column.dtype.kind, np.float64))


def _index_of(frame: Any) -> dict[str, np.ndarray]:
    """The index of a pandas frame, unless it only counts the rows."""
    index = frame.index
    levels = [index.get_level_values(at) for at in range(index.nlevels)]
    counted = len(levels) == 1 and index.name is None and index.dtype.kind in "iu"
    if counted and np.array_equal(index.to_numpy(), np.arange(len(index))):
        return {}
    return {
        str(level.name) if level.name is not None else f"index{at or ''}": _row_names(level)
        for at, level in enumerate(levels)
    }


def _row_names(values: Any) -> np.ndarray:
    array = np.asarray(values)
    return array if array.dtype.kind in "iufU" else np.array([str(v) for v in array], dtype=str)
