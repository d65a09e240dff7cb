"""A new run folder, made or put in the place of an old run. What is not a run of jensen, or has
something else in it, is never removed."""

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from jensen._checksums import FIRST_LINE
from jensen._locks import NAME as LOCK
from jensen._locks import FolderLock
from jensen._notes import note

# What jensen writes into a run folder, by name in its folder; checkpoints are looked at by list.
OURS = {
    "": r"config\.toml|run\.json|metrics\.jsonl|report\.html|samples\.(npz|png)|codes-\w+\.npz",
    "accounts": r"[\w-]+(\.trial-[\w.-]+)?\.(json|npz)",
    "evidence": r"[\w.-]+\.npz",
    "figures": r"[\w.-]+\.(png|svg)",
    "tensorboard": r"events\.out\.tfevents\..+",
}
BEING_WRITTEN = r"\.[\w.-]+\.[a-z0-9_]{8}"  # the temporary files of `write_atomically`


@contextlib.contextmanager
def fresh_folder(path: Path, *, overwrite: bool) -> Iterator[FolderLock]:
    """Within it, an empty folder at `path`, and the lock that stays with it. If the block raises,
    all is as it was before; the old run is removed when the block ends.

    Raises:
        ValueError: the path exists and may not be replaced, or cannot be made.
        FolderInUseError: another process writes the old run.

        with fresh_folder(Path("runs/digits"), overwrite=True) as lock: ...
    """
    old = _set_aside(path, overwrite=overwrite) if os.path.lexists(path) else None
    lock = None
    try:
        _make(path)
        lock = FolderLock(path)
        yield lock
    except BaseException:
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            lock.release()
        if old is not None:
            with contextlib.suppress(OSError):
                path.rmdir()
            os.rename(old[0], path)
            old[1].release()
        raise
    if old is not None:
        old[1].release()
        shutil.rmtree(old[0], ignore_errors=True)
        if old[0].exists():
            note(f"what was at {path} before could not be removed in full; it is in {old[0]}.")


def check_replaceable(path: Path, *, overwrite: bool) -> None:
    """Raises ValueError when a new run may not be written at `path`; changes nothing.

    check_replaceable(Path("runs/digits"), overwrite=False)
    """
    if not os.path.lexists(path):
        return
    other = next(p for i in range(2, 10_000) if not (p := _beside(path, i)).exists())
    elsewhere = f"write elsewhere with --out {other}"
    if not overwrite:
        raise ValueError(
            f"{path} exists. Replace it with --overwrite, go on with it with --resume {path}, or "
            f"{elsewhere}."
        )
    if path.is_symlink() or not path.is_dir():
        kind = "a symbolic link" if path.is_symlink() else "no folder"
        raise ValueError(
            f"{path} is {kind}; it will not be overwritten. Remove it, or {elsewhere}."
        )
    foreign = first_foreign(path)
    if foreign is not None:
        raise ValueError(
            f"{path} will not be overwritten: {foreign} is nothing that jensen writes into a run. "
            f"Move it, or {elsewhere}."
        )
    names = {p.name for p in path.iterdir()} - {LOCK}
    if names and not _is_run(path):
        raise ValueError(
            f"{path} is not a run folder (it has no run.json of jensen's); it will not be "
            f"overwritten. Remove it yourself, or {elsewhere}."
        )


def first_foreign(path: Path) -> Path | None:
    """The first thing in a run folder that is none of jensen's, links among them; None where all
    is.

    first_foreign(Path("runs/digits"))  # None
    """
    for entry in sorted(path.iterdir()):
        if entry.is_symlink():
            return entry
        if entry.is_dir():
            within = (
                _foreign_checkpoint(entry)
                if entry.name == "checkpoints"
                else _foreign_file(entry, OURS[entry.name])
                if entry.name in OURS
                else entry
            )
            if within is not None:
                return within
        elif entry.name != LOCK and not _is_ours(entry, OURS[""]):
            return entry
    return None


def _set_aside(path: Path, *, overwrite: bool) -> tuple[Path, FolderLock]:
    """Moves an old run out of the way: where it is now, and its lock. One rename, so that a kill
    leaves it whole."""
    check_replaceable(path, overwrite=overwrite)
    lock = FolderLock(path)
    aside = path.with_name(f".{path.resolve().name}.replaced-{os.getpid()}")
    try:
        check_replaceable(path, overwrite=overwrite)  # now that nobody else writes it
        os.rename(path, aside)
    except BaseException:
        lock.release()
        raise
    return aside, lock


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(
            f"the run folder {path} cannot be made ({error.strerror}: {error.filename}). Choose "
            "another --out."
        ) from error


def _beside(path: Path, number: int) -> Path:
    # An absolute path, since '.' and '..' have no name to add a number to.
    return path.with_name(f"{path.name}-{number}") if path.name else Path(f"run-{number}")


def _is_run(path: Path) -> bool:
    """Whether there is a run.json of ours, or the configuration of a run that was killed while it
    was begun. Values may be damaged: a run that cannot be read can be replaced."""
    try:
        record = json.loads((path / "run.json").read_text(encoding="utf-8"))
        return isinstance(record, dict) and {"format", "status"} <= record.keys()
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RecursionError):
        return _has_our_config(path)
    return _has_our_config(path)


def _has_our_config(path: Path) -> bool:
    try:
        with open(path / "config.toml", encoding="utf-8", errors="replace") as file:
            return file.readline().startswith(FIRST_LINE)
    except OSError:
        return False


def _is_ours(entry: Path, names: str) -> bool:
    return (
        entry.is_file()
        and not entry.is_symlink()
        and re.fullmatch(f"{names}|{BEING_WRITTEN}", entry.name) is not None
    )


def _foreign_file(folder: Path, names: str) -> Path | None:
    return next((p for p in sorted(folder.iterdir()) if not _is_ours(p, names)), None)


def _foreign_checkpoint(folder: Path) -> Path | None:
    for entry in sorted(folder.iterdir()):
        if _is_ours(entry, r"\d+\.sha256"):
            continue
        unfinished = re.fullmatch(r"\d+(\.orbax-checkpoint-tmp.*)?", entry.name)
        if entry.is_symlink() or not entry.is_dir() or not unfinished:
            return entry
        listed = _listed(folder / f"{entry.name}.sha256")
        for file in sorted(entry.rglob("*")):
            if file.is_symlink():
                return file
            name = file.relative_to(entry).as_posix()
            if file.is_file() and listed is not None and name not in listed:
                return file
    return None


def _listed(checksums: Path) -> set[str] | None:
    """The files of a checkpoint; None where that was never finished, or its list is damaged."""
    try:
        names = json.loads(checksums.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return set(names) if isinstance(names, dict) else None
