"""Small files of the published forms, and where the real ones may lie."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.io

DATA = Path(os.environ.get("JENSEN_DATA") or Path(__file__).parents[2].parent / "shared" / "data")


def need(folder: str, file: str) -> Path:
    """DATA, or a skip that says what is missing."""
    if not (DATA / folder / file).is_file():
        pytest.skip(
            f"{file} is not in {DATA / folder}; set JENSEN_DATA to the directory that holds {folder}/"
        )
    return DATA


def idx_gz(array: np.ndarray) -> bytes:
    return gzip.compress(
        struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes(),
        compresslevel=1,
        mtime=0,
    )


def binary_text(array: np.ndarray, separator: str = ",", end: str = "\n") -> bytes:
    return "".join(separator.join(map(str, row)) + end for row in array.tolist()).encode()


def mat(path: Path, **arrays) -> Path:
    scipy.io.savemat(path, arrays, do_compression=True)
    return path


def bits(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, shape).astype(np.uint8)
