"""The reader of binary tables as text: one datum a line, 0 or 1, separated by commas or blanks."""

import re
from pathlib import Path

import numpy as np

from jensen.datasets._files import read_bytes

_NEWLINE = ord("\n")
_FOREIGN = np.ones(256, bool)
_FOREIGN[list(b"01, \t\r\n")] = False


def read_binary_text(path: Path) -> np.ndarray:
    """The uint8 array [lines, values] of 0 and 1 in a text file, which may be gzipped (NAME.gz).

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
