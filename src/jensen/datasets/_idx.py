"""The reader of idx files, the form in which MNIST and its successors come."""

import math
from pathlib import Path

import numpy as np

from jensen.datasets._files import read_bytes


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array in a gzipped idx file; its shape is what the file's header says.

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
