"""Atomic checkpoints with checksums: a kill at any moment leaves a good one, and damage is noticed before anything is loaded.

orbax writes each checkpoint to a temporary folder and renames it; then we write the sha256 of every file beside it. A checkpoint without that list was never
finished; one whose files differ from it was damaged. Restoring reads arrays only and executes nothing.
"""

import json
import logging
import shutil
from collections.abc import Callable
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


class CheckpointError(RuntimeError):
    """A checkpoint that is missing or damaged; the message names the remedy."""


class Checkpoints:
    """The checkpoints of one run, in one folder; the newest two are kept.

    checkpoints = Checkpoints(Path("runs/digits/checkpoints"))
    checkpoints.save(state); state = checkpoints.restore(state_like)
    """

    def __init__(self, folder: Path, *, keep: int = 2):
        self.folder = Path(folder)
        self._keep = keep

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

        logging.getLogger("absl").setLevel(logging.ERROR)
        epoch = str(int(state.epoch))
        if (self.folder / f"{epoch}.sha256").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.folder / epoch, ignore_errors=True)  # an unfinished one
        named = jax.tree.map(np.asarray, state.named)
        with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
            items = {part: ocp.args.StandardSave(arrays) for part, arrays in named.items()}
            checkpointer.save((self.folder / epoch).resolve(), args=ocp.args.Composite(**items))
        write_atomically(
            self.folder / f"{epoch}.sha256", json.dumps(_digests(self.folder / epoch), indent=0)
        )
        for old in self.epochs()[: -self._keep]:
            self._remove(old)

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

        logging.getLogger("absl").setLevel(logging.ERROR)
        chosen = self._verified(epoch)
        template = {
            part: {k: jax.ShapeDtypeStruct(v.shape, v.dtype) for k, v in arrays.items()}
            for part, arrays in named.items()
        }
        try:
            with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
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
