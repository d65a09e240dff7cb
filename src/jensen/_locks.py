"""One writer at a time for a folder, and what becomes of the folder while it is written.

The lock is the operating system's, on the file `.lock` in the folder: a process that dies in
whatever way lets go of it. The file says who holds it, for the one who is refused.
"""

import contextlib
import errno
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

NAME = ".lock"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class FolderInUseError(BlockingIOError):
    """Another process writes the folder; the message names it and the remedy."""

    def __init__(self, folder: Path, message: str):
        super().__init__(errno.EWOULDBLOCK, message, str(folder))


class FolderLock:
    """The right to write a folder, from its making until `release`. The folder must exist.

    Attributes:
        taken_over: a sentence, where a process died while it held the lock; else empty.

    Raises:
        FolderInUseError: another process holds it.

        lock = FolderLock(Path("runs/digits")); lock.in_place(); lock.release()
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.taken_over = ""
        self._file = _open_locked(self.folder)
        self._folder_handle = _open_folder(self.folder)
        holder = _holder(self._file)
        if holder and _on_another_machine(holder):
            # A lock that another machine's system gave may not be visible here.
            self._close()
            raise FolderInUseError(self.folder, _in_use(holder, self.folder, elsewhere=True))
        if holder:
            self.taken_over = (
                f"process {holder.get('pid')} on {holder.get('host')} died while it wrote "
                f"{self.folder}; its lock was taken over."
            )
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, json.dumps(_this_process()).encode())

    def in_place(self) -> bool:
        """Whether the folder that was locked is still the one at its path."""
        try:
            now = os.stat(self.folder)
        except OSError:
            return False
        if self._folder_handle is None:
            return True
        then = os.fstat(self._folder_handle)
        return (now.st_dev, now.st_ino) == (then.st_dev, then.st_ino)

    def whereabouts(self) -> Path | None:
        """Where the folder is now; None if it was deleted, or the system cannot tell."""
        if self.in_place():
            return self.folder
        path = None if self._folder_handle is None else _path_of(self._folder_handle)
        if path is None or not path.is_dir():
            return None
        then, now = os.fstat(self._folder_handle or 0), os.stat(path)
        return path if (now.st_dev, now.st_ino) == (then.st_dev, then.st_ino) else None

    def release(self) -> None:
        """Lets the folder go and removes the lock's file, wherever the folder is now."""
        # Unlinked before it is let go: who opened the file meanwhile notices that it is not the
        # one at its path any more, and tries again.
        with contextlib.suppress(OSError):
            if self._folder_handle is not None and os.unlink in os.supports_dir_fd:
                os.unlink(NAME, dir_fd=self._folder_handle)
            else:
                os.unlink(self.folder / NAME)
        self._close()

    def _close(self) -> None:
        for handle in (self._file, self._folder_handle):
            if handle is not None:
                os.close(handle)
        self._file = self._folder_handle = None  # type: ignore[assignment]


def _open_locked(folder: Path) -> int:
    path = folder / NAME
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if not _try_lock(handle):
                holder = _holder(handle)
                raise FolderInUseError(folder, _in_use(holder, folder, elsewhere=False))
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(handle), os.stat(path)):
                    return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its holder removed the file between our two calls


def _try_lock(handle: int) -> bool:
    """Whether the system gave the lock; where it has none, whether the process that is named in
    the file is gone."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        os.lseek(handle, 1 << 20, os.SEEK_SET)  # a byte that nobody reads
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        holder = _holder(handle)
        return not holder or _on_another_machine(holder) or not _is_alive(holder)
    return True


def _open_folder(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except OSError:  # Windows does not open folders
        return None


def _path_of(handle: int) -> Path | None:
    """The present path of an open folder."""
    try:
        return Path(os.readlink(f"/proc/self/fd/{handle}"))
    except OSError:
        pass
    try:
        import fcntl

        raw = fcntl.fcntl(handle, fcntl.F_GETPATH, b"\0" * 1024)  # type: ignore[attr-defined]
        return Path(os.fsdecode(raw.rstrip(b"\0")))
    except (ImportError, AttributeError, OSError):
        return None


def _holder(handle: int) -> dict[str, Any]:
    """Who the lock's file names; empty when it names nobody."""
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        values = json.loads(os.read(handle, 4096))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _this_process() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "boot": _boot(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _boot() -> str:
    """What tells this start of this machine's kernel from all others: containers have host names
    of their own, and one kernel's locks."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def _on_another_machine(holder: dict[str, Any]) -> bool:
    same_kernel = bool(holder.get("boot")) and holder.get("boot") == _boot()
    return not same_kernel and holder.get("host") != socket.gethostname()


def _is_alive(holder: dict[str, Any]) -> bool:
    try:
        os.kill(int(holder["pid"]), 0)
    except (KeyError, ValueError, TypeError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _in_use(holder: dict[str, Any], folder: Path, *, elsewhere: bool) -> str:
    who = (
        f"process {holder.get('pid')} on {holder.get('host')}, since {holder.get('since')}"
        if holder
        else "another process"
    )
    remedy = (
        f"If that process has ended, remove {folder / NAME}."
        if elsewhere
        else f"Wait for it, or stop it with: kill {holder['pid']}"
        if "pid" in holder
        else "Wait for it."
    )
    return f"another process is at work here ({who}). {remedy}"
