"""Readers of the file formats in which data sets are published: idx (MNIST), MATLAB 5, and binary
tables as text.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jensen.datasets._files import read_bytes

_NEWLINE = ord("\n")
# Bytes that may not occur in a binary table.
_FOREIGN = np.ones(256, bool)
_FOREIGN[list(b"01, \t\r\n")] = False


def read_idx(path: Path) -> np.ndarray:
    """Reads the uint8 array of a gzipped idx file, whose header gives the shape.

    The form: two zero bytes, the type (8 is uint8), the number of axes, each axis's length as a
    big-endian 32-bit integer, then the values in row-major order.

    Raises:
        ValueError: no gzip file, truncated, not of unsigned bytes, or a length that the header
            contradicts.

        read_idx(Path("train-images-idx3-ubyte.gz"))  # (60000, 28, 28)
    """
    raw = read_bytes(path)
    if raw[:3] != b"\0\0\x08" or len(raw) < 4 or len(raw) < 4 + 4 * raw[3]:
        raise ValueError(
            f"{path} is no idx file of unsigned bytes: it starts with "
            f"{raw[:4].hex(' ') or 'nothing'}, not with 00 00 08; remove it."
        )
    shape = tuple(int(n) for n in np.frombuffer(raw, ">u4", count=raw[3], offset=4))
    values = len(raw) - 4 - 4 * raw[3]
    if values != math.prod(shape):
        raise ValueError(
            f"{path} holds {values} values, but its header promises {shape}, that is "
            f"{math.prod(shape)}; it is damaged: fetch it again."
        )
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def read_mat(path: Path, expected: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Reads the arrays named by the keys of `expected`, which gives their shapes.

    Raises:
        ValueError: no MATLAB 5 file, a damaged one, a missing array, or one that is not of real
            numbers or of another shape.

        read_mat(Path("chardata.mat"), {"data": (784, 24345)})["data"]
    """
    with path.open("rb") as file:
        header = file.read(128)
    if not header.startswith(b"MATLAB 5.0 MAT-file") or len(header) < 128:
        raise ValueError(
            f"{path} is no MATLAB 5 file: it starts with {header[:19]!r}, not with b'MATLAB 5.0 "
            "MAT-file'. Remove it and fetch it again."
        )
    import scipy.io

    try:
        arrays = scipy.io.loadmat(str(path), variable_names=list(expected))
    # A damaged file can make scipy's reader fail in many ways; whichever it is, the file is
    # unusable.
    except Exception as error:
        raise ValueError(
            f"{path} could not be read ({type(error).__name__}: {error}); it is truncated or "
            "damaged: remove it and fetch it again."
        ) from error
    for key, shape in expected.items():
        array = arrays.get(key)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
            held = (
                "it is missing"
                if array is None
                else f"it is {getattr(array, 'dtype', type(array).__name__)}"
            )
            raise ValueError(
                f"{path} should hold numbers called {key!r}, but {held}; this is another file. "
                "Remove it and fetch the right one."
            )
        if array.shape != shape:
            raise ValueError(
                f"{path}: {key!r} has shape {array.shape}, but it should have {shape}; this is "
                "another file. Remove it and fetch the right one."
            )
    return {key: arrays[key] for key in expected}


def read_binary_text(path: Path) -> np.ndarray:
    """Reads a text file of 0 and 1, which may be gzipped (NAME.gz), as uint8 [lines, values].

    Raises:
        ValueError: an empty or truncated file, anything but 0 and 1 between separators, or lines of
            different lengths; with the line's number.

        read_binary_text(Path("nltcs.train.data.gz"))  # (16181, 16)
    """
    text = np.frombuffer(read_bytes(path).rstrip() + b"\n", np.uint8)
    digit = (text == ord("0")) | (text == ord("1"))
    if not digit.any():
        raise ValueError(
            f"{path} holds no 0 or 1; it should be a table of them, one datum a line. Remove it "
            "and fetch it again."
        )
    ends = np.flatnonzero(text == _NEWLINE)
    foreign = _FOREIGN[text]
    # Two digits side by side are a number other than 0 and 1.
    foreign[1:] |= digit[1:] & digit[:-1]
    if foreign.any():
        line = int(np.searchsorted(ends, np.argmax(foreign)))
        begin = 0 if line == 0 else int(ends[line - 1]) + 1
        values = re.split("[, \t\r]+", text[begin : ends[line]].tobytes().decode("latin-1"))
        value = next(value for value in values if value not in ("0", "1", ""))
        raise ValueError(
            f"{path}, line {line + 1}: {value[:20]!r} is neither 0 nor 1; it is no such table, "
            "or damaged: remove it and fetch it again."
        )
    counts = np.add.reduceat(digit, np.concatenate([[0], ends[:-1] + 1]), dtype=np.int64)
    if (counts != counts[0]).any():
        line = int(np.argmax(counts != counts[0]))
        raise ValueError(
            f"{path}, line {line + 1} holds {counts[line]} values, but line 1 holds {counts[0]}; "
            "it is truncated or damaged: fetch it again."
        )
    return (text[digit] - np.uint8(ord("0"))).reshape(len(counts), -1)
