"""The reader of numeric arrays in MATLAB 5 files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def read_mat(path: Path, expected: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """The arrays called as the keys of `expected`, which gives their shapes; nothing else in the
    file is read.

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
        found = arrays.get(key)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "biuf":
            held = (
                "it is missing"
                if found is None
                else f"it is {getattr(found, 'dtype', type(found).__name__)}"
            )
            raise ValueError(
                f"{path} should hold numbers called {key!r}, but {held}; this is another file. "
                "Remove it and fetch the right one."
            )
        if found.shape != shape:
            raise ValueError(
                f"{path}: {key!r} has shape {found.shape}, but it should have {shape}; this is "
                "another file. Remove it and fetch the right one."
            )
    return {key: arrays[key] for key in expected}
