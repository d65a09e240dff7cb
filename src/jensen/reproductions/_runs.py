"""Trainings of a reproduction: started, resumed or loaded, whatever an earlier call left there."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from jensen._files import npz_bytes, read_npz, write_atomically
from jensen._parameters import partition
from jensen.config import Config
from jensen.datasets import Dataset
from jensen.evidence import Evidence, estimate_evidence
from jensen.evidence.importance import Importance
from jensen.model import Model
from jensen.progress import CountProgress, renamed
from jensen.runs import Run, RunError, load
from jensen.sessions import (
    record_completion,
    restored_state,
    resume_run,
    start_run,
    stream_key,
)
from jensen.training import CheckpointError

ENDED = ("completed", "stopped_early")
# Settings that do not change the trained weights: runs may differ in them.
NOT_COMPARED = {
    "data.data_dir",
    "account.num_samples",
    "account.num_draws",
    "account.aggregated_over",
    "record.tensorboard",
    "training.checkpoint_seconds",
}


@dataclass(frozen=True)
class TimedEvidence:
    """An estimate of log p(x) on the test split, and the seconds that it took."""

    estimate: Evidence
    seconds: float


def state_of(path: Path) -> str:
    """Describes a run folder: 'not begun', 'interrupted at epoch 7', 'trained' or 'diverged'."""
    if not (path / "run.json").exists():
        return "not begun"
    run = load(path)
    if run.status in ENDED:
        return "trained"
    if run.status == "diverged":
        return "diverged"
    return f"interrupted at epoch {run.history[-1]['epoch'] if run.history else 0}"


def finished_run(config: Config, path: Path, *, progress: bool) -> Run:
    """Returns the run at `path`, trained to its end or to where it diverged.

    It is started if there is none, resumed if it was interrupted, and otherwise loaded.

    Raises:
        KeyboardInterrupt: a signal stopped the training; the folder holds what a resume needs.
        RunError: the folder holds a run with other settings.
        ValueError, OSError: as `start_run`.

        config = Config.read({"data": {"source": "digits"}})
        finished_run(config, Path("runs/digits"), progress=True).status  # 'completed'
    """
    run = load(path) if (path / "run.json").exists() else None
    if run is not None:
        _check_same(run, config)
        if run.status in (*ENDED, "diverged"):
            return run
        if max(run.checkpoints.epochs(), default=0) >= config.training.epochs:
            record_completion(run)  # the process was killed between the last checkpoint and this
            return run
    try:
        if run is not None and run.checkpoints.epochs():
            dataset = run.load_data(None, data_dir=config.data.data_dir)
            fit, _ = resume_run(run, dataset=dataset, progress=progress)
        else:
            # No run, or one that stopped before its first checkpoint: nothing is lost.
            fit, _ = start_run(config, path, overwrite=path.exists(), progress=progress)
    except CheckpointError as error:
        raise RunError(f"{error} Or remove {path}, to train it again.") from error
    if fit.outcome.status == "interrupted" or fit.stop_requested:
        raise KeyboardInterrupt
    return load(path)


def last_model(run: Run) -> Model:
    """Returns the model of a run's last epoch, which need not be the best on validation data.

    last_model(load("runs/digits"))
    """
    blank = run.blank_model()
    state = restored_state(run, blank, Config.read(run.config).training)
    return eqx.combine(state.parameters, state.constants, partition(blank).static)


def seconds_of(run: Run) -> float:
    """Returns the seconds that the run's epochs took, resumed parts included."""
    return float(sum(record["seconds"] for record in run.history))


def evidence_of_test_split(
    run: Run, *, num_samples: int, seed: int, data_dir: str | None, progress: bool
) -> TimedEvidence:
    """Estimates log p(x) of the test split by importance sampling, and stores it in the run folder.

    An estimate stored by an earlier call for the same state of the run is read instead. The draws
    are those of `jensen evidence RUN --num-samples S`.
    """
    path = run.path / "evidence" / f"test-{num_samples}.npz"
    signature = {
        "fingerprint": run.record["data"]["fingerprints"]["test"],
        "epoch": run.checkpoints.epochs()[-1],
        "seed": seed,
        "best": run.history[-1]["best_epoch"],
    }
    stored = _read_evidence(path, signature, num_samples)
    if stored is not None:
        return stored
    dataset: Dataset = run.load_data(None, data_dir=data_dir)
    start = time.monotonic()
    with CountProgress(shown=progress) as bar:
        estimate = estimate_evidence(
            run.model,
            dataset.split("test"),
            Importance(num_samples=num_samples),
            key=stream_key(seed, "evidence"),
            on_progress=renamed(bar.advance, f"evidence, S = {num_samples}"),
        )
    seconds = time.monotonic() - start
    arrays = {
        "value": estimate.values,
        "standard_error": estimate.standard_errors,
        "effective_samples": estimate.effective_samples,
        "pareto_k": estimate.pareto_k,
        "made": np.asarray(json.dumps(signature | {"seconds": seconds})),
    }
    write_atomically(path, npz_bytes(arrays))
    return TimedEvidence(estimate, seconds)


def _check_same(run: Run, config: Config) -> None:
    """Checks that a run was made with the settings of `config`.

    Raises:
        RunError: it was made with others; the message names the first three.
    """
    recorded, requested = (
        _flat(json.loads(each.model_dump_json())) for each in (Config.read(run.config), config)
    )
    differing = sorted(
        key
        for key in recorded.keys() | requested.keys()
        if key not in NOT_COMPARED and recorded.get(key) != requested.get(key)
    )
    if differing:
        listed = ", ".join(
            f"{key} {recorded.get(key)!r}, now {requested.get(key)!r}" for key in differing[:3]
        )
        raise RunError(
            f"{run.path} was made with other settings ({listed}). Remove it, or take another --out."
        )


def _read_evidence(path: Path, signature: dict[str, Any], num_samples: int) -> TimedEvidence | None:
    arrays = read_npz(path)
    if arrays is None:
        return None
    made = json.loads(str(arrays["made"]))
    seconds = made.pop("seconds")
    if made != signature:
        return None
    estimate = Evidence(
        arrays["value"],
        arrays["standard_error"],
        arrays["effective_samples"],
        arrays["pareto_k"],
        num_samples,
        "Importance",
    )
    return TimedEvidence(estimate, seconds)


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns {dotted key: value} of nested values."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            out |= _flat(value, f"{prefix}{key}.")
        else:
            out[f"{prefix}{key}"] = value
    return out
