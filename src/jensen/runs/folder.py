"""How a run folder is begun, and how it is opened again: its record in run.json, and the versions
that can be read."""

import dataclasses
import platform
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.random as jr
import numpy as np

import jensen
from jensen._checksums import (
    Checked,
    DamageError,
    from_checked_json,
    from_checked_toml,
)
from jensen._notes import note
from jensen.datasets import Dataset
from jensen.model import Model
from jensen.runs._errors import RunError
from jensen.runs.code import code_digests
from jensen.runs.history import write_history
from jensen.runs.replacing import fresh_folder
from jensen.runs.run import Run
from jensen.training import Outcome

FORMAT = 1
ENTRIES = {"status": str, "data": dict, "key": list, "versions": dict}


def load(path: str | Path, *, checkpoint: int | None = None, trust_code: bool = False) -> Run:
    """A run folder, opened. Nothing in it is executed; what is read is held against its checksums.

    Args:
        path: the folder.
        checkpoint: the epoch of the checkpoint to take; the newest by default.
        trust_code: allow code from .py files outside jensen to be imported, in whatever section of
            the configuration it is named, if its checksum is the recorded one.

    Raises:
        ValueError: no such folder.
        RunError: not a run, half-written, damaged, or made by another version.

        jensen.load("runs/digits").model
    """
    path = Path(path)
    if not path.is_dir():
        raise ValueError(f"no run at {path}.{_runs_beside(path)}")
    if not (path / "run.json").exists():
        raise RunError(
            f"{path} is not a run folder, or only half written: it has no run.json. Fit again with "
            f"--out {path} --overwrite."
        )
    record = _read_record(path)
    config = _read_config(path)
    unverified = [
        name for name, file in [("run.json", record), ("config.toml", config)] if not file.verified
    ]
    if unverified:
        note(
            f"{path}: no checksum in {' and '.join(unverified)} (an older version of jensen wrote "
            "it, or it was edited); used as it is."
        )
    return Run(path, record.values, config.values, checkpoint=checkpoint, trust_code=trust_code)


def create(
    path: Path,
    settings: Mapping[str, Any],
    model: Model,
    dataset: Dataset,
    key,
    *,
    objective: str = "",
    reloadable: bool,
    overwrite: bool = False,
    by_hand: Mapping[str, str] | None = None,
) -> Run:
    """A new run folder with its configuration and record, status 'running'; the caller has its
    lock, until `Run.release`. If anything fails, nothing has changed.

    Args:
        path: the folder; with `overwrite` it may be a run.
        settings: the configuration, nested plain values.
        model, dataset, key: what is trained, on what, with which random key.
        objective: what the gradient estimator ascends where that is not the bound.
        reloadable: whether `settings["data"]` says how to load the data again.
        by_hand: {section: what stands there} of all that no configuration can describe.

    Raises:
        ValueError: the folder exists and may not be replaced, or cannot be made.
        FolderInUseError: another process writes it.
    """
    from jensen.datasets._dataset import SPLITS

    recipe = None if model.recipe is None else model.recipe.values
    record = {
        "format": FORMAT,
        "jensen": jensen.__version__,
        "status": "running",
        "outcome": None,
        "objective": objective,
        "recipe": recipe,
        "by_hand": dict(by_hand or {}),
        "code": code_digests(settings, recipe or {}),
        "key": np.asarray(jr.key_data(key)).tolist(),
        "data": {
            "name": dataset.name,
            "reloadable": reloadable,
            "levels": dataset.levels,
            "rows": {s: len(getattr(dataset, s)) for s in SPLITS},
            "fingerprints": {s: dataset.fingerprint(s) for s in SPLITS},
            "notes": list(dataset.notes),
            "like": dataset.like._asdict(),
        },
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "numpy": np.__version__,
            "device": jax.devices()[0].device_kind,
        },
    }
    with fresh_folder(path, overwrite=overwrite) as lock:
        run = Run(path, record, settings, trust_code=True, lock=lock)
        run.write_config()
        write_history(path, [])
        run.update()
    return run


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain values."""
    return dataclasses.asdict(outcome) | {"warnings": list(outcome.warnings)}


def _read_record(path: Path) -> Checked:
    file = path / "run.json"
    try:
        record = from_checked_json(file.read_text(encoding="utf-8"))
        written_by = record.values.get("format")
        if written_by is not None and written_by != FORMAT:
            raise RunError(
                f"{path} was made by another version of jensen ({record.values.get('jensen')}, run "
                f"format {written_by}); this is {jensen.__version__}, format {FORMAT}."
            )
        for name, kind in ENTRIES.items():
            if not isinstance(record.values.get(name), kind):
                raise DamageError(f"its entry {name!r} is missing or of another kind")
    except (OSError, ValueError) as error:
        raise RunError(
            f"{file} cannot be read ({error}); the run is damaged. Restore the file, or fit again "
            "with --overwrite."
        ) from error
    return record


def _read_config(path: Path) -> Checked:
    file = path / "config.toml"
    try:
        text, verified = from_checked_toml(file.read_text(encoding="utf-8"))
        return Checked(tomllib.loads(text), verified)
    except RecursionError:
        raise RunError(f"{file} is nested too deeply to be read; the run is damaged.") from None
    except (OSError, ValueError) as error:
        raise RunError(
            f"{file} cannot be read ({error}); the run is damaged. Restore the file; if you "
            "changed it on purpose, remove its first line, the checksum."
        ) from error


def _runs_beside(path: Path) -> str:
    near = (
        sorted(p.parent.name for p in path.parent.glob("*/run.json"))
        if path.parent.is_dir()
        else []
    )
    if near:
        return f" Runs beside it: {', '.join(near[:8])}."
    return " Make one with: jensen fit digits"
