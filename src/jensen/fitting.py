"""`jensen.fit`: training with everything a person expects around it: checks first, progress, a run folder, exact resume, Ctrl-C that loses nothing."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from jensen._files import write_atomically
from jensen._types import Key
from jensen.anatomy.in_training import InTraining
from jensen.bounds import AbstractBound
from jensen.bounds.elbo import ELBO
from jensen.checks import check_data, check_posterior, prepare_folder
from jensen.config import Config
from jensen.datasets import Dataset, dataset_names, load_dataset
from jensen.gradients import AbstractGradientEstimator
from jensen.gradients.pathwise import Pathwise
from jensen.model import Model
from jensen.progress import FitProgress
from jensen.recording import metrics_file, stop_on_signals, tensorboard
from jensen.runs import Run, RunError, create, outcome_record
from jensen.training import Outcome, Trained, TrainingOptions, train
from jensen.training.optimisers import make_optimiser
from jensen.training.state import initial_state


@dataclass(frozen=True)
class Fit:
    """What `fit` returns: `model` is the best by validation bound, `last` the last; `run` is None when nothing was written. `stop_requested` says whether a
    signal asked for the end, even if the training ended by itself in the same epoch. With `account_every`, records of `history` hold 'account': its cheap lines
    on a fixed subset of the training data (see `anatomy.in_training`)."""

    model: Model
    last: Model
    history: list[dict[str, Any]]
    outcome: Outcome
    seconds: float
    run: Run | None = None
    stop_requested: bool = False


def fit(
    model: Model,
    data: Dataset | np.ndarray,
    *,
    bound: AbstractBound | None = None,
    gradient: AbstractGradientEstimator | None = None,
    key: Key,
    out: str | Path | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **options: Any,
) -> Fit:
    """Trains a model on data.

    Args:
        model: from `jensen.vae`, or your own `jensen.Model`.
        data: a Dataset, or an array (split 80/10/10 by seed 0).
        bound: what to ascend; the ELBO by default.
        gradient: how to estimate its gradient; pathwise by default.
        key: a JAX random key.
        out: a run folder to write; nothing is written without one.
        overwrite: replace `out` if it exists.
        progress: show a progress line on stderr.
        options: epochs, batch_size, num_samples, learning_rate, beta, beta_schedule, warm_up, patience, account_every ...: see `TrainingOptions`.

    Returns:
        A `Fit`; a training that diverges returns too, and says where (`fit.outcome`).

    Raises:
        ValueError: data outside the likelihood's support, an option that does not exist, or a bound and gradient that do not go together,
            or `out` exists.


        jensen.fit(model, data, epochs=100, key=jax.random.key(1)).model
    """
    known = [f.name for f in fields(TrainingOptions)]
    for name in options:
        if name not in known:
            raise ValueError(
                f"fit has no option {name!r}; its training options: {', '.join(known)}."
            )
    bound, gradient, settings = bound or ELBO(), gradient or Pathwise(), TrainingOptions(**options)
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    check_data(model, dataset)
    check_posterior(model, dataset)
    gradient.check(bound, model, settings.num_samples)
    run = None
    if out is not None:
        prepare_folder(Path(out), overwrite=overwrite)
        recipe = (
            {}
            if model.recipe is None
            else {
                k: v
                for k, v in model.recipe.values.items()
                if k not in ("event_shape", "latent_dim", "model", "data")
            }
        )
        latent = (
            {}
            if model.recipe is None
            else {
                "model": {
                    "name": model.recipe.values["model"],
                    "latent_dim": model.recipe.values["latent_dim"],
                }
            }
        )
        strategies = {
            section: _record_of(member)
            for section, member in [("bound", bound), ("gradient", gradient)]
        }
        training = {name: getattr(settings, name) for name in known}
        config = Config.read(
            {
                "data": {"source": dataset.name, **dataset.options},
                **latent,
                **recipe,
                **strategies,
                "training": training,
            }
        )
        run = create(
            Path(out), config, model, dataset, key, reloadable=dataset.name in dataset_names()
        )
    return fit_run(model, dataset, bound, gradient, settings, key, run, progress=progress)


def fit_run(
    model: Model,
    dataset: Dataset,
    bound: AbstractBound,
    gradient: AbstractGradientEstimator,
    options: TrainingOptions,
    key: Key,
    run: Run | None,
    *,
    resume: bool = False,
    progress: bool = True,
) -> Fit:
    """Trains with a run folder around it; `resume` goes on from the run's newest checkpoint, exactly."""
    start, before = None, []
    if resume and run is not None:
        optimiser = make_optimiser(options.optimiser, options.learning_rate, options.adam_epsilon)
        start = run.checkpoints.restore(initial_state(model, optimiser), epoch=run._checkpoint)
        run.checkpoints.forget_after(int(start.epoch))
        before = [r for r in run.history if r["epoch"] <= int(start.epoch)]
        if int(start.epoch) >= options.epochs:
            raise RunError(
                f"{run.path} has done all its {options.epochs} epochs; to go on, give more of them: --epochs {2 * options.epochs}."
            )
        write_atomically(run.path / "metrics.jsonl", "".join(json.dumps(r) + "\n" for r in before))
        run.update(status="running")
    measure = None
    if options.account_every:
        watched = {"every": options.account_every, "rows": options.account_rows, "before": before}
        measure = InTraining(model, dataset.split("train"), key, **watched)
    with contextlib.ExitStack() as stack:
        stop_requested = stack.enter_context(stop_on_signals())
        line = stack.enter_context(
            FitProgress(
                options, shown=progress, first_epoch=len(before), objective=gradient.objective
            )
        )
        sinks: list[Callable[[dict[str, Any]], None]] = [line.epoch]
        if run is not None:
            sinks.append(stack.enter_context(metrics_file(run.path)))
            if run.config.get("record", {}).get("tensorboard"):
                sinks.append(stack.enter_context(tensorboard(run.path)))

        def on_epoch(record: dict[str, Any]) -> None:
            for sink in sinks:
                sink(record)

        trained: Trained = train(
            model,
            dataset.train,
            dataset.validation,
            bound=bound,
            gradient=gradient,
            options=options,
            key=key,
            levels=dataset.levels,
            checkpoints=None if run is None else run.checkpoints,
            start=start,
            on_epoch=on_epoch,
            on_compile=line.compiled,
            stop_requested=stop_requested,
            measure=measure,
        )
    if run is not None:
        run.update(
            status=trained.outcome.status,
            outcome=outcome_record(trained.outcome),
            seconds=round(trained.seconds, 2),
        )
    return Fit(
        trained.model,
        trained.last,
        before + trained.history,
        trained.outcome,
        trained.seconds,
        run,
        stop_requested(),
    )


def resume_run(
    run: Run,
    *,
    epochs: int | None = None,
    patience: int | None = None,
    dataset: Dataset | None = None,
    progress: bool = True,
) -> tuple[Fit, Dataset]:
    """Goes on with a run that was interrupted, exactly: the same weights, bit for bit, as if it had not been.

    `dataset` stands for the run's own data, for instance loaded from where they lie now (`run.load_data(None, data_dir=...)`).

    Raises:
        RunError, CheckpointError: nothing left to do, or nothing good to go on from.

        resume_run(jensen.load("runs/digits"))
    """
    from jensen.config import ROOMS

    config = Config.read(run.config)
    changes = {k: v for k, v in {"epochs": epochs, "patience": patience}.items() if v is not None}
    options = replace(config.training, **changes)
    if changes:
        config.training = options
        write_atomically(run.path / "config.toml", config.to_toml())
    bound, gradient = (
        ROOMS[s].build(getattr(config, s)["name"], _options(getattr(config, s)), {})
        for s in ("bound", "gradient")
    )
    dataset = dataset or run.dataset
    return fit_run(
        run.blank_model(),
        dataset,
        bound,
        gradient,
        options,
        run.key,
        run,
        resume=True,
        progress=progress,
    ), dataset


def _record_of(member: AbstractBound | AbstractGradientEstimator) -> dict[str, Any]:
    """{'name': 'iwae', option: value}: the room's name of a bound or gradient estimator, from the file its class lies in."""
    return {
        "name": type(member).__module__.rpartition(".")[2],
        **{f.name: getattr(member, f.name) for f in fields(member)},
    }


def _options(section: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in section.items() if k != "name"}
