"""Atomic checkpoints with checksums: a kill at any moment leaves a good one, and damage is noticed before anything is loaded.

orbax writes each checkpoint to a temporary folder and renames it; then we write the sha256 of every file beside it. A checkpoint without that list was never
finished; one whose files differ from it was damaged. Restoring reads arrays only and executes nothing.
"""

import contextlib
import errno
import json
import logging
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from jensen._files import write_atomically
from jensen._parameters import partition
from jensen._rooms import file_digest
from jensen.model import Model
from jensen.training.state import TrainingState, name_leaves, named_constants, set_leaves

OVERHEAD = 2**18  # bytes of a checkpoint beside its arrays: names, manifests, blocks half filled


class CheckpointError(RuntimeError):
    """A checkpoint that is missing or damaged; the message names the remedy."""


class Checkpoints:
    """The checkpoints of one run, in one folder; the newest two are kept. Where the folder may
    move, `locate` gives its path before each write.

    checkpoints = Checkpoints(Path("runs/digits/checkpoints"))
    checkpoints.save(state); state = checkpoints.restore(state_like)
    """

    def __init__(self, folder: Path, *, keep: int = 2, locate: Callable[[], Path] | None = None):
        self.folder = Path(folder)
        self._keep = keep
        self._locate = locate

    def epochs(self) -> list[int]:
        """The epochs of all finished checkpoints, ascending."""
        return sorted(
            int(p.stem)
            for p in self.folder.glob("*.sha256")
            if p.stem.isdigit() and (self.folder / p.stem).is_dir()
        )

    def save(self, state: TrainingState) -> None:
        """Writes `state` as the checkpoint of its epoch, then removes the oldest.

        Raises:
            OSError: the disk is full, or the folder cannot be written; earlier checkpoints are untouched.
        """
        import orbax.checkpoint as ocp

        if self._locate is not None:
            self.folder = self._locate()
        epoch = str(int(state.epoch))
        if (self.folder / f"{epoch}.sha256").exists():
            return
        self.folder.mkdir(exist_ok=True)
        self.remove_unfinished()
        named = jax.tree.map(np.asarray, state.named)
        needed = sum(array.nbytes for array in jax.tree.leaves(named)) + OVERHEAD
        if shutil.disk_usage(self.folder).free < needed:
            # Before orbax begins, whose threads each have words of their own on a full disk.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder / epoch))
        try:
            with _quiet(), ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
                items = {part: ocp.args.StandardSave(arrays) for part, arrays in named.items()}
                checkpointer.save((self.folder / epoch).resolve(), args=ocp.args.Composite(**items))
            write_atomically(
                self.folder / f"{epoch}.sha256",
                json.dumps(_digests(self.folder / epoch), indent=0),
                parents=False,
            )
        except Exception as error:
            self.remove_unfinished()
            raise _as_os_error(error, self.folder / epoch) from error
        for old in self.epochs()[: -self._keep]:
            self._remove(old)

    def remove_unfinished(self) -> None:
        """Removes what a kill or a full disk left half written: folders without checksums,
        checksums without a folder."""
        if not self.folder.is_dir():
            return
        finished = {name for epoch in self.epochs() for name in (f"{epoch}", f"{epoch}.sha256")}
        for entry in self.folder.iterdir():
            if entry.name in finished:
                continue
            if re.fullmatch(r"\d+|\d+\.orbax-checkpoint-tmp.*", entry.name) and entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            elif re.fullmatch(r"\d+\.sha256|\.\d+\.sha256\.[a-z0-9_]{8}", entry.name):
                entry.unlink(missing_ok=True)

    def forget_after(self, epoch: int) -> None:
        """Removes the checkpoints of later epochs: a run that goes on from `epoch` writes them anew."""
        for later in [e for e in self.epochs() if e > epoch]:
            self._remove(later)

    def restore(self, like: TrainingState, *, epoch: int | None = None) -> TrainingState:
        """The state of the newest checkpoint (or of `epoch`), verified; `like` gives the structure.

        Raises:
            CheckpointError: none there, damaged (the previous good one is offered), or of another model.
        """
        return self._read(like.named, like.with_named, epoch)

    def restore_best(self, like: Model, *, epoch: int | None = None) -> Model:
        """The best model of the newest checkpoint (or of `epoch`), verified; `like` gives the structure.

        Raises:
            CheckpointError: as `restore`.
        """
        parameters, constants, static = partition(like)

        def rebuild(named: dict[str, dict[str, Any]]) -> Model:
            return eqx.combine(
                set_leaves(parameters, named["best"]),
                set_leaves(constants, named.get("constants", {})),
                static,
            )

        return self._read(
            {"best": name_leaves(parameters)} | named_constants(constants), rebuild, epoch
        )

    def _read(
        self,
        named: dict[str, dict[str, Any]],
        rebuild: Callable[[dict[str, dict[str, Any]]], Any],
        epoch: int | None,
    ) -> Any:
        import orbax.checkpoint as ocp

        chosen = self._verified(epoch)
        template = {
            part: {k: jax.ShapeDtypeStruct(v.shape, v.dtype) for k, v in arrays.items()}
            for part, arrays in named.items()
        }
        try:
            with _quiet(), ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
                items = {
                    part: ocp.args.StandardRestore(arrays) for part, arrays in template.items()
                }
                restored = checkpointer.restore(
                    (self.folder / str(chosen)).resolve(), args=ocp.args.Composite(**items)
                )
            return rebuild({part: dict(restored[part]) for part in template})
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(
                f"{self.folder / str(chosen)} does not hold this model: {str(error).splitlines()[0]}"
            ) from error

    def _remove(self, epoch: int) -> None:
        (self.folder / f"{epoch}.sha256").unlink(missing_ok=True)
        shutil.rmtree(self.folder / str(epoch), ignore_errors=True)

    def _verified(self, epoch: int | None) -> int:
        known = self.epochs()
        if not known:
            raise CheckpointError(
                f"{self.folder} holds no finished checkpoint: the run stopped before its first one. Start it again with --overwrite."
            )
        chosen = known[-1] if epoch is None else epoch
        if chosen not in known:
            raise CheckpointError(
                f"{self.folder} has no checkpoint of epoch {chosen}; it has {', '.join(map(str, known))}."
            )
        damage = self._damage(chosen)
        if damage:
            good = [e for e in known if e != chosen and not self._damage(e)]
            remedy = (
                f"The checkpoint of epoch {good[-1]} is good: choose it with --checkpoint {good[-1]}."
                if good
                else "No other good checkpoint is left."
            )
            raise CheckpointError(
                f"the checkpoint of epoch {chosen} in {self.folder} is damaged ({damage}). {remedy}"
            )
        return chosen

    def _damage(self, epoch: int) -> str:
        try:
            expected = json.loads((self.folder / f"{epoch}.sha256").read_text())
            found = _digests(self.folder / str(epoch))
        except (OSError, ValueError) as error:
            return f"its checksums cannot be read: {error}"
        for name in sorted(expected.keys() | found.keys()):
            if name not in found:
                return f"{name} is missing"
            if name not in expected:
                return f"{name} was added"
            if expected[name] != found[name]:
                return f"{name} was altered or truncated"
        return ""


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): file_digest(p) for p in sorted(folder.rglob("*")) if p.is_file()
    }


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without orbax's own words: what goes wrong comes as an exception, and is said once. Threads
    that it began have ended, so that none of them speaks later."""
    running = set(threading.enumerate())
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio")]
    before, hook = [logger.level for logger in loggers], sys.excepthook

    def only_main(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            hook(kind, error, trace)

    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    sys.excepthook = only_main
    try:
        yield
    except BaseException:
        for thread in set(threading.enumerate()) - running:
            thread.join(timeout=5)
        raise  # and the hook stays: threads that are none of Python's may speak later still
    else:
        sys.excepthook = hook
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _as_os_error(error: Exception, path: Path) -> Exception:
    """The OSError behind an exception of orbax, which names the system's error in its text."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause if cause.filename else OSError(cause.errno, cause.strerror, str(path))
        code = re.search(r"os_error_code='(\d+)'", str(cause))
        if code or "No space left on device" in str(cause):
            number = int(code[1]) if code else errno.ENOSPC
            return OSError(number, os.strerror(number), str(path))
        cause = cause.__cause__ or cause.__context__
    return error
