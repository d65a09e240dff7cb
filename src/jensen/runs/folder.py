"""How a run folder is begun, and how it is opened again: its record in run.json, and the versions that can be read."""

import dataclasses
import json
import platform
import tomllib
from pathlib import Path
from typing import Any

import jax
import jax.random as jr
import numpy as np

import jensen
from jensen._files import write_atomically
from jensen._rooms import file_digest
from jensen.config import ROOMS, Config
from jensen.datasets import Dataset
from jensen.model import Model
from jensen.runs.run import Run, RunError
from jensen.training import Outcome

FORMAT = 1


def load(path: str | Path, *, checkpoint: int | None = None, trust_code: bool = False) -> Run:
    """A run folder, opened. Nothing in it is executed.

    Args:
        path: the folder.
        checkpoint: the epoch of the checkpoint to take; the newest by default.
        trust_code: allow a model part from a .py file outside jensen to be imported, if its checksum is the recorded one.

    Raises:
        ValueError: no such folder.
        RunError: not a run, half-written, damaged, or made by another version.

        jensen.load("runs/digits").model
    """
    path = Path(path)
    if not path.is_dir():
        near = (
            sorted(p.parent.name for p in path.parent.glob("*/run.json"))
            if path.parent.is_dir()
            else []
        )
        raise ValueError(
            f"no run at {path}."
            + (
                f" Runs beside it: {', '.join(near[:8])}."
                if near
                else " Make one with: jensen fit digits"
            )
        )
    if not (path / "run.json").exists():
        raise RunError(
            f"{path} is not a run folder, or only half written: it has no run.json. Fit again with --out {path} --overwrite."
        )
    try:
        record = json.loads((path / "run.json").read_text())
        written_by, status = record["format"], record["status"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path / 'run.json'} cannot be read ({type(error).__name__}: {error}); the run is damaged. Fit again with --overwrite."
        ) from error
    if written_by != FORMAT:
        raise RunError(
            f"{path} was made by another version of jensen ({record.get('jensen')}, run format {written_by}); this is {jensen.__version__}, format {FORMAT}."
        )
    try:
        config = tomllib.loads((path / "config.toml").read_text())
    except (OSError, ValueError) as error:
        raise RunError(
            f"{path / 'config.toml'} cannot be read ({error}); the run is damaged."
        ) from error
    del status
    return Run(path, record, config, checkpoint=checkpoint, trust_code=trust_code)


def create(
    path: Path, config: Config, model: Model, dataset: Dataset, key, *, reloadable: bool
) -> Run:
    """A new run folder with its configuration and record, status 'running'. The folder must not exist."""
    from jensen.datasets._dataset import SPLITS

    recipe = None if model.recipe is None else model.recipe.values
    gradient = dict(config.gradient)
    code = {
        v["name"]: file_digest(Path(v["name"]))
        for v in (recipe or {}).values()
        if isinstance(v, dict) and v.get("name", "").endswith(".py")
    }
    record = {
        "format": FORMAT,
        "jensen": jensen.__version__,
        "status": "running",
        "outcome": None,
        "objective": ROOMS["gradient"].build(gradient.pop("name"), gradient, {}).objective,
        "recipe": recipe,
        "code": code,
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
    write_atomically(path / "config.toml", config.to_toml())
    write_atomically(path / "metrics.jsonl", "")
    run = Run(path, record, tomllib.loads(config.to_toml()), trust_code=True)
    run.update()
    return run


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain values."""
    return dataclasses.asdict(outcome) | {"warnings": list(outcome.warnings)}
