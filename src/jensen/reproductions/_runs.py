"""One training of a reproduction: started, gone on with, or found done, whatever state an earlier attempt left its folder in."""

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
from jensen.evaluation import start_run, stream_key
from jensen.evidence import Evidence, estimate_evidence
from jensen.evidence.importance import Importance
from jensen.fitting import resume_run
from jensen.model import Model
from jensen.progress import CountProgress
from jensen.runs import Run, RunError, load, outcome_record
from jensen.training import CheckpointError, Outcome
from jensen.training.optimisers import make_optimiser
from jensen.training.state import initial_state

ENDED = ("completed", "stopped_early")
# What may differ between two runs that are trained alike.
ASIDE = {
    "data.data_dir",
    "account.num_samples",
    "account.num_draws",
    "account.aggregated_over",
    "record.tensorboard",
    "training.checkpoint_seconds",
}


@dataclass(frozen=True)
class KeptEvidence:
    """An estimate of log p(x) on the test split, and how long it took; `kept` when it was found in the run folder."""

    estimate: Evidence
    seconds: float
    kept: bool


def state_of(path: Path) -> str:
    """What a run folder holds, in words: 'not begun', 'interrupted at epoch 7', 'trained', or 'diverged'."""
    if not (path / "run.json").exists():
        return "not begun"
    run = load(path)
    if run.status in ENDED:
        return "trained"
    return (
        "diverged"
        if run.status == "diverged"
        else f"interrupted at epoch {run.history[-1]['epoch'] if run.history else 0}"
    )


def finished_run(config: Config, path: Path, *, progress: bool) -> Run:
    """The run at `path`, trained to its end (or to where it diverged): started, gone on with, or merely opened.

    Raises:
        KeyboardInterrupt: a signal asked for the end; the run folder holds what is needed to go on.
        RunError: the folder holds a run with other settings.
        ValueError, OSError: as `start_run`.

        finished_run(Config.read({"data": {"source": "digits"}}), Path("runs/digits"), progress=True).status  # 'completed'
    """
    run = load(path) if (path / "run.json").exists() else None
    if run is not None:
        check_same(run, config)
        if run.status in (*ENDED, "diverged"):
            return run
        if (
            max(run.checkpoints.epochs(), default=0) >= config.training.epochs
        ):  # killed between its last checkpoint and its record
            outcome = Outcome(
                "completed", f"all {config.training.epochs} epochs done.", config.training.epochs
            )
            run.update(status=outcome.status, outcome=outcome_record(outcome))
            return run
    try:
        if run is not None and run.checkpoints.epochs():
            fitted, _ = resume_run(
                run, dataset=run.load_data(None, data_dir=config.data.data_dir), progress=progress
            )
        else:  # nothing there, or stopped before anything was worth keeping
            fitted, _ = start_run(config, path, overwrite=path.exists(), progress=progress)
    except CheckpointError as error:
        raise RunError(f"{error} Or remove {path}, to train it again.") from error
    if fitted.outcome.status == "interrupted" or fitted.stop_requested:
        raise KeyboardInterrupt
    return load(path)


def check_same(run: Run, config: Config) -> None:
    """Raises RunError when a run was made with other settings than `config`, naming them."""
    before, now = (
        _flat(json.loads(c.model_dump_json())) for c in (Config.read(run.config), config)
    )
    differ = [
        key
        for key in before.keys() | now.keys()
        if key not in ASIDE and before.get(key) != now.get(key)
    ]
    if differ:
        what = ", ".join(
            f"{key} {before.get(key)!r}, now {now.get(key)!r}" for key in sorted(differ)[:3]
        )
        raise RunError(
            f"{run.path} was made with other settings ({what}). Remove it, or take another --out."
        )


def last_model(run: Run) -> Model:
    """The model of a run's last epoch, which need not be the best by validation data.

    last_model(load("runs/digits"))
    """
    options = Config.read(run.config).training
    blank = run.blank_model()
    state = run.checkpoints.restore(
        initial_state(blank, make_optimiser(options.optimiser, options.learning_rate))
    )
    return eqx.combine(state.parameters, state.constants, partition(blank).static)


def seconds_of(run: Run) -> float:
    """The time that the run's epochs took, over all its parts."""
    return float(sum(record["seconds"] for record in run.history))


def kept_evidence(
    run: Run, *, num_samples: int, seed: int, data_dir: str | None, progress: bool
) -> KeptEvidence:
    """log p(x) of the test split by importance sampling: that of an earlier call if it is for this state of the run, else made and kept beside the run.

    The draws are those of `jensen evidence RUN --num-samples S`.
    """
    path = run.path / "evidence" / f"test-{num_samples}.npz"
    wanted = {
        "fingerprint": run.record["data"]["fingerprints"]["test"],
        "epoch": run.checkpoints.epochs()[-1],
        "seed": seed,
        "best": run.history[-1]["best_epoch"],
    }
    found = _read(path, wanted, num_samples)
    if found is not None:
        return found
    dataset: Dataset = run.load_data(None, data_dir=data_dir)
    began = time.monotonic()
    with CountProgress(shown=progress) as bar:
        estimate = estimate_evidence(
            Importance(num_samples=num_samples),
            run.model,
            dataset.split("test"),
            stream_key(seed, "evidence"),
            on_progress=lambda done, total: bar.advance(
                f"evidence, S = {num_samples}", done, total
            ),
        )
    seconds = time.monotonic() - began
    arrays = {
        "value": estimate.values,
        "standard_error": estimate.standard_errors,
        "effective_samples": estimate.effective_samples,
    }
    arrays |= {
        "pareto_k": estimate.pareto_k,
        "made": np.asarray(json.dumps(wanted | {"seconds": seconds})),
    }
    write_atomically(path, npz_bytes(arrays))
    return KeptEvidence(estimate, seconds, kept=False)


def _read(path: Path, wanted: dict[str, Any], num_samples: int) -> KeptEvidence | None:
    arrays = read_npz(path)
    if arrays is None:
        return None
    made = json.loads(str(arrays["made"]))
    seconds = made.pop("seconds")
    value, error, effective, k = (
        arrays[name] for name in ("value", "standard_error", "effective_samples", "pareto_k")
    )
    return (
        KeptEvidence(
            Evidence(value, error, effective, k, num_samples, "Importance"), seconds, kept=True
        )
        if made == wanted
        else None
    )


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in values.items():
        out |= (
            _flat(value, f"{prefix}{key}.")
            if isinstance(value, dict)
            else {f"{prefix}{key}": value}
        )
    return out
