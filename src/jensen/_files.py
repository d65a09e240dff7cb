"""Writing files so that a kill, a full disk or a crash never leaves half of one."""

import contextlib
import errno
import io
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np


def npz_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an .npz file that holds these arrays.

    npz_bytes({"x": np.zeros(3)})
    """
    buffer = io.BytesIO()
    np.savez(buffer, **dict(arrays))  # type: ignore[arg-type]
    return buffer.getvalue()


def read_npz(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of an .npz file; None when there is none, or it is damaged: for what can be made again.

    read_npz(Path("kept.npz"))
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes `content` to `path` through a temporary file in the same folder and a rename.

    Raises:
        OSError: no space left, no permission; what was at `path` before is untouched.

        write_atomically(Path("run.json"), "{}")
    """
    path.parent.mkdir(parents=True, exist_ok=True)
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
    """Within it, no other process is in the same block for the same folder; a process that dies lets go. Without effect where the system has no such locks.

    Raises:
        BlockingIOError: another process is.

        with exclusive(Path("runs/vampprior")): ...
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BlockingIOError(
                errno.EWOULDBLOCK,
                "another process is at work here; wait for it, or take another --out",
                str(folder),
            ) from None
        yield
