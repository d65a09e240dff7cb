"""Writing files so that a kill, a full disk or a crash never leaves half of one."""

import contextlib
import io
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from jensen._locks import FolderLock
from jensen._notes import note

# What NumPy and zipfile raise over an .npz file that was truncated or altered.
UNREADABLE_NPZ = (
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an .npz file that holds these arrays.

    npz_bytes({"x": np.zeros(3)})
    """
    buffer = io.BytesIO()
    np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
    return buffer.getvalue()


def read_npz(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of an .npz file; None when there is none, or it is damaged (a note says so): for
    what can be made again. Every array is held against the checksum that the format has.

    read_npz(Path("kept.npz"))
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        return None
    except (*UNREADABLE_NPZ, OSError) as error:
        note(f"{path} is damaged ({error}); what it held is made again.")
        return None


def write_atomically(path: Path, content: str | bytes, *, parents: bool = True) -> None:
    """Writes `content` to `path` through a temporary file in the same folder and a rename.

    The folder is made if need be; without `parents` only the last of its folders, so that a run
    folder that was deleted does not come to life again.

    Raises:
        OSError: no space left, no permission; what was at `path` before is untouched.

        write_atomically(Path("run.json"), "{}")
    """
    path.parent.mkdir(parents=parents, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Within it, no other process is in the same block for the same folder; a process that dies
    lets go.

    Raises:
        FolderInUseError: another process is.

        with exclusive(Path("runs/vampprior")): ...
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock(folder)
    try:
        yield
    finally:
        lock.release()
