"""Reads .npy and .npz files: their headers first, so that nothing is allocated or unpacked that the
file cannot hold. It never unpickles.

Format: NEP 1 (numpy.lib.format); an .npz is a zip archive of .npy files.
"""

import io
import math
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jensen.datasets._memory import in_units, refuse_beyond_memory

MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK"
_HEADER_BYTES = 1 << 16
# Deflate cannot pack more than 1032 bytes into one; a header that claims more is wrong.
_DEFLATE_RATIO = 1032
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OTHER_METHODS = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "lzma"}


class Header(NamedTuple):
    """The header of an .npy file; its values begin at byte `offset`."""

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int

    @property
    def size(self) -> int:
        """The bytes of the values."""
        return math.prod(self.shape) * self.dtype.itemsize


class Archive:
    """An .npz file whose arrays are read one by one.

    `headers` has the header of each array, or the reason why it cannot be read.

    Raises:
        ValueError: no zip archive, a damaged one, or one without arrays.

        Archive(Path("x.npz")).read("train")
    """

    def __init__(self, path: Path):
        self.path = path
        self.headers: dict[str, Header | str] = {}
        try:
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if not info.filename.endswith(".npy"):
                        continue
                    key = info.filename.removesuffix(".npy")
                    repeated = key in self.headers
                    self.headers[key] = (
                        "it is there twice" if repeated else self._header(archive, info)
                    )
        # A damaged archive makes zipfile fail in many ways; whichever it is, it is unusable.
        except Exception as error:
            raise _damaged(path, str(error)) from error
        if not self.headers:
            raise ValueError(f"{path} holds no arrays; write it with np.savez(path, x=...).")

    def readable(self, key: str) -> bool:
        """Whether the array called `key` has a valid header."""
        return isinstance(self.headers[key], Header)

    def read(self, key: str) -> np.ndarray:
        """Reads the array called `key`.

        Raises:
            ValueError: it cannot be read, or not held in memory; with the reason.
        """
        header = self.headers[key]
        if isinstance(header, str):
            raise ValueError(f"{self.path}: {key!r} cannot be read: {header}.")
        refuse_beyond_memory(header.size, f"{self.path}: {key!r} is {_described(header)}")
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{key}.npy") as file:
                return np.lib.format.read_array(file, allow_pickle=False)  # type: ignore[arg-type]
        except MemoryError:
            raise
        except Exception as error:
            raise _damaged(self.path, f"{key!r}: {error}") from error

    def _header(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Header | str:
        if info.flag_bits & 0x1:
            return "it is encrypted; write the file again without a password"
        if info.compress_type not in _METHODS:
            method = _OTHER_METHODS.get(info.compress_type, f"method {info.compress_type}")
            return f"it is compressed by {method}; write the file with np.savez_compressed"
        packed = min(info.compress_size, self.path.stat().st_size)
        limit = packed * (1 if info.compress_type == zipfile.ZIP_STORED else _DEFLATE_RATIO)
        if info.file_size > limit:
            return (
                f"it claims {in_units(info.file_size)} of values packed into {in_units(packed)}, "
                "which is impossible; the file is damaged: write it again"
            )
        with archive.open(info) as file:
            header = _parsed(file.read(_HEADER_BYTES))
        if isinstance(header, Header) and header.offset + header.size != info.file_size:
            return (
                f"it claims {_described(header)}, {header.size} bytes, but holds "
                f"{info.file_size - header.offset}; it is damaged: write it again"
            )
        return header


def read_npy(path: Path) -> np.ndarray:
    """Reads the array of an .npy file.

    Raises:
        ValueError: no .npy file, Python objects, fewer or more bytes than the header says, or more
            than the machine's memory.

        read_npy(Path("x.npy"))
    """
    with path.open("rb") as file:
        header = _parsed(file.read(_HEADER_BYTES))
        if isinstance(header, str):
            raise ValueError(f"{path} could not be read: {header}.")
        num_bytes = path.stat().st_size - header.offset
        if num_bytes < header.size:
            raise ValueError(
                f"{path} could not be read: its header claims {_described(header)}, "
                f"{header.size} bytes, but {num_bytes} follow; it may be truncated: "
                "write it again with np.save."
            )
        if num_bytes > header.size:
            raise ValueError(
                f"{path} goes on for {num_bytes - header.size} bytes after its array "
                f"({_described(header)}), perhaps with further arrays, which would be lost; write "
                "one array to a file, or several with np.savez."
            )
        refuse_beyond_memory(header.size, f"{path} holds {_described(header)}")
        file.seek(0)
        return np.load(file, allow_pickle=False)


def _parsed(start: bytes) -> Header | str:
    """Parses the header at the start of a file; returns the reason if that fails."""
    if not start.startswith(MAGIC):
        if start.startswith(b"\x80"):
            return "it holds Python objects (a pickle), which are never unpickled: save arrays"
        return f"it is no NumPy file (it starts with {start[:12]!r}): write it with np.save"
    stream = io.BytesIO(start)
    try:
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            return f"its format version {version} is not one of plain numbers: write it again"
        shape, _, dtype = read(stream)
    # A header is a Python literal: a damaged one fails in many ways, a deeply nested one too.
    except Exception as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        return f"its header is damaged ({reason}): write it again with NumPy"
    if dtype.hasobject:
        return "it holds Python objects, which are never unpickled: save arrays of numbers"
    if any(size < 0 for size in shape):
        return f"its header claims the shape {shape}: write it again with NumPy"
    return Header(tuple(int(size) for size in shape), dtype, stream.tell())


def _described(header: Header) -> str:
    return f"an array of shape {header.shape} and dtype {header.dtype}"


def _damaged(path: Path, reason: str) -> ValueError:
    return ValueError(
        f"{path} could not be read ({reason}); it may be truncated or no {path.suffix} file: "
        "write it again with NumPy."
    )
