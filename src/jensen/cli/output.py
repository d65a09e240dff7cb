"""Writing what a command was asked to keep."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jensen._files import npz_bytes, write_atomically
from jensen.anatomy import Account
from jensen.anatomy.storage import STORED_ROWS
from jensen.datasets import Rows

TABLES = (".npz", ".csv")


def check_suffix(path: str | None, suffixes: tuple[str, ...] = TABLES) -> None:
    """Raises ValueError, before anything is computed, for a file with another suffix."""
    if path is not None and Path(path).suffix not in suffixes:
        raise ValueError(
            f"--out wants a file that ends in {', '.join(suffixes[:-1])} or {suffixes[-1]}; got "
            f"{path!r}."
        )


def write_account(path: str, account: Account, rows: Rows) -> None:
    """Writes an account's values per datum, with the numbers and names of the rows: .nc (netCDF)
    and .npz hold all there are, .csv those with one row per datum."""
    if Path(path).suffix == ".nc":
        dataset = account.to_dataset()
        names = rows.columns(beside=map(str, dataset.variables))
        dataset = dataset.assign_coords(
            {k: ("datum", v.astype(str) if _beyond_netcdf(v) else v) for k, v in names.items()}
        )
        buffer = io.BytesIO()
        dataset.to_netcdf(buffer, engine="scipy")
        write_atomically(Path(path), buffer.getvalue())
        return
    arrays = {
        k: v
        for k, v in account.arrays().items()
        if not k.startswith(STORED_ROWS) and (Path(path).suffix == ".npz" or len(v) == account.n)
    }
    write_arrays(path, rows.columns(beside=arrays) | arrays)


def row_lists(rows: Rows, index: np.ndarray | None = None) -> dict[str, list]:
    """The numbers and names of the rows, or of those in `index`, as lists for JSON.

    row_lists(load_rows("new.csv"))  # {'row': [0, 1, 2], 'sample_id': ['s2', 's0', 's1']}
    """
    columns = {name: np.asarray(column) for name, column in rows.columns().items()}
    return {k: (v if index is None else v[index]).tolist() for k, v in columns.items()}


def _beyond_netcdf(column: np.ndarray) -> bool:
    """Whether whole numbers are too large for netCDF 3, which has 32 bits for them."""
    limits = np.iinfo(np.int32)
    return column.dtype.kind in "iu" and bool(
        len(column) and (column.min() < limits.min or column.max() > limits.max)
    )


def write_arrays(path: str, arrays: Mapping[str, np.ndarray]) -> Path:
    """Writes arrays as .npz, or as .csv when all have one row per datum; truth values are 0 and 1
    there, whole numbers are written whole, text is quoted where it has to be.

    Raises:
        ValueError: another suffix, or arrays that do not fit a table.
    """
    check_suffix(path)
    target = Path(path)
    if target.suffix == ".npz":
        write_atomically(target, npz_bytes(arrays))
        return target
    columns = {}
    for name, values in arrays.items():
        array = np.asarray(values)
        if array.ndim == 1:
            columns[name] = array
        elif array.ndim == 2:
            columns |= {f"{name}_{i}": array[:, i] for i in range(array.shape[1])}
        else:
            raise ValueError(
                f"{name} has shape {array.shape}, which does not fit a table; write --out as .npz."
            )
    text = io.StringIO()
    cells = [
        column.tolist() if column.dtype.kind in "Uiu" else [f"{float(v):.9g}" for v in column]
        for column in columns.values()
    ]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*cells, strict=True))
    write_atomically(target, text.getvalue())
    return target
