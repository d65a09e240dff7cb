"""Writing what a command was asked to keep."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jensen._files import npz_bytes, write_atomically


def write_arrays(path: str, arrays: Mapping[str, np.ndarray]) -> Path:
    """Writes arrays as .npz, or as .csv when all have one row per datum; truth values are 0 and 1 there, text is quoted where it has to be.

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
        text = io.StringIO()
        cells = [column.tolist() if column.dtype.kind == "U" else [f"{float(v):.9g}" for v in column] for column in columns.values()]
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*cells, strict=True))
        write_atomically(target, text.getvalue())
        return target
    raise ValueError(f"--out wants a file that ends in .npz or .csv; got {path!r}.")
