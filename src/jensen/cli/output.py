"""Writing what a command was asked to keep."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jensen._files import npz_bytes, write_atomically


def write_arrays(path: str, arrays: Mapping[str, np.ndarray]) -> Path:
    """Writes arrays as .npz, or as .csv when all have one row per datum.

    Raises:
        ValueError: another suffix, or arrays that do not fit a table.
    """
    target = Path(path)
    if target.suffix == ".npz":
        write_atomically(target, npz_bytes(arrays))
        return target
    if target.suffix == ".csv":
        columns = {}
        for name, array in arrays.items():
            array = np.asarray(array)
            if array.ndim == 1:
                columns[name] = array
            elif array.ndim == 2:
                columns |= {f"{name}_{i}": array[:, i] for i in range(array.shape[1])}
            else:
                raise ValueError(f"{name} has shape {array.shape}, which does not fit a table; write --out as .npz.")
        table = np.column_stack(list(columns.values()))
        text = io.StringIO()
        np.savetxt(text, table, delimiter=",", header=",".join(columns), comments="", fmt="%.9g")
        write_atomically(target, text.getvalue())
        return target
    raise ValueError(f"--out wants a file that ends in .npz or .csv; got {path!r}.")
