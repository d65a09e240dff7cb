"""Training with everything a person expects around it: checks first, progress, a run folder, exact
resume, Ctrl-C that loses nothing.

`fit`, `start_run` and `resume_run` differ in where their `Setup` comes from. From there on all take
the one way: `_begin` or `_continue`, then `_train`.
"""

import contextlib
import errno
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Unpack

import equinox as eqx
import numpy as np

from jensen._parameters import partition
from jensen._rooms import ROOMS
from jensen._types import Key
from jensen._words import in_python_words
from jensen.anatomy.in_training import InTraining
from jensen.bounds import BoundChoice
from jensen.config import Config
from jensen.datasets import Dataset, dataset_names
from jensen.gradients import GradientChoice
from jensen.model import Model
from jensen.progress import FitProgress, tell
from jensen.recording import stop_on_signals, tensorboard
from jensen.runs import (
    HistoryFile,
    Run,
    RunError,
    check_replaceable,
    create,
    outcome_record,
    write_history,
)
from jensen.runs.result import Fit
from jensen.sessions.setup import (
    Setup,
    restored_state,
    setup_from_config,
    setup_from_objects,
    setup_from_run,
    training_options,
)
from jensen.training import Outcome, TrainingOptions, train
from jensen.training.options import TrainingKeywords, options_from
from jensen.training.state import TrainingState


@in_python_words
def fit(
    model: Model,
    data: Dataset | np.ndarray,
    *,
    bound: BoundChoice = ROOMS["bound"].default,
    gradient: GradientChoice = ROOMS["gradient"].default,
    key: Key,
    out: str | Path | None = None,
    overwrite: bool = False,
    progress: bool = True,
    **options: Unpack[TrainingKeywords],
) -> Fit:
    """Trains a model on data.

    Args:
        model: from `jensen.vae`, or your own `jensen.Model`.
        data: a Dataset, or an array (split 80/10/10 by seed 0).
        bound: what to ascend: a name ("iwae"), {"name": "iwae", option: value}, or a bound of
            `jensen.bounds` or of your own.
        gradient: how to estimate its gradient: as `bound`, of `jensen.gradients`.
        key: a JAX random key.
        out: a run folder to write; nothing is written without one.
        overwrite: replace `out` if it is a run.
        progress: show a progress line on stderr.
        **options: epochs, batch_size, num_samples, learning_rate, beta, beta_schedule, warm_up,
            patience, account_every ...: see `jensen.training.TrainingOptions`.

    Returns:
        A `Fit`; a training that diverges returns too, and says where (`fit.outcome`).

    Raises:
        ValueError: data outside the likelihood's support, an option that does not exist, or a bound
            and gradient that do not go together, or `out` exists. Nothing has been written then.
        RunError: the run folder cannot be written any more (a full disk, a folder that was
            removed); it says what is kept.

    Example:
        fitted = jensen.fit(model, data, bound="iwae", num_samples=5, key=jax.random.key(1))
        fitted.model
    """
    checked = options_from(options, caller="fit")
    if out is not None:
        check_replaceable(Path(out), overwrite=overwrite)
    setup = setup_from_objects(
        model, data, bound=bound, gradient=gradient, options=checked, key=key
    )
    run = _begin(setup, None if out is None else Path(out), overwrite=overwrite)
    return _train(setup, run, progress=progress)


def start_run(
    config: Config,
    out: Path | None,
    *,
    overwrite: bool,
    progress: bool = True,
    hold: bool = False,
) -> tuple[Fit, Dataset]:
    """Builds everything that a configuration describes, checks it, and trains. Nothing is written
    before the checks have passed.

    Args:
        config: what to train; see `Config.read`.
        out: the run folder; runs/DATA by default.
        overwrite: replace `out` if it is a run.
        progress: show a progress line on stderr.
        hold: keep the run's lock, for what the caller writes next (`run.release()`).

    Raises:
        ValueError: anything wrong with the configuration, the data or the folder.
        RunError: the run folder cannot be written any more.

        start_run(Config.read({"data": {"source": "digits"}}), None, overwrite=False)
    """
    named = config.data.source in dataset_names()
    path = out or _default_folder(config)
    check_replaceable(path, overwrite=overwrite)
    setup = setup_from_config(config)
    run = _begin(setup, path, overwrite=overwrite)
    if progress:
        tell(() if named else setup.dataset.notes)
        _print_summary(config, setup.dataset, path)
    return _train(setup, run, progress=progress, hold=hold), setup.dataset


@in_python_words
def resume_run(
    run: Run,
    *,
    epochs: int | None = None,
    patience: int | None = None,
    dataset: Dataset | None = None,
    model: Model | None = None,
    bound: BoundChoice = None,
    gradient: GradientChoice = None,
    progress: bool = True,
    hold: bool = False,
) -> tuple[Fit, Dataset]:
    """Goes on with a run that was interrupted, exactly: the same weights, bit for bit, as if it had
    not been.

    Args:
        run: what `jensen.load` opened; its checkpoint is the one to go on from.
        epochs, patience: instead of the run's.
        dataset: stands for the run's own data, for instance loaded from where they lie now
            (`run.load_data(None, data_dir=...)`).
        model, bound, gradient: those of the run that were put together in Python, which no
            configuration describes; the model gives the structure, its values do not matter.
        progress: show a progress line on stderr.
        hold: keep the run's lock, for what the caller writes next (`run.release()`).

    Raises:
        RunError, CheckpointError: nothing left to do, or nothing good to go on from. The run is
            then as it was.

        resume_run(jensen.load("runs/digits"))
    """
    changes = {k: v for k, v in {"epochs": epochs, "patience": patience}.items() if v is not None}
    setup = setup_from_run(
        run, changes=changes, dataset=dataset, model=model, bound=bound, gradient=gradient
    )
    setup.gradient.check(setup.bound, setup.model, setup.options.num_samples)
    held = run.is_held
    run.acquire()
    try:
        start = _continue(setup, run, changed=bool(changes))
        fitted = _train(setup, run, start=start, progress=progress, hold=True)
    except BaseException:
        hold = held
        raise
    finally:
        if not hold:
            run.release()
    return fitted, setup.dataset


def finished_fit(run: Run) -> Fit | None:
    """The training of a run that has nothing left to train but has no account or no report yet: a
    kill came between. None for all other runs.

    finished_fit(jensen.load("runs/digits"))  # None
    """
    epochs, done = run.config["training"]["epochs"], max(run.checkpoints.epochs(), default=0)
    reported = (run.path / "accounts" / "test.json").exists() and (
        run.path / "report.html"
    ).exists()
    has_ended = run.status in ("completed", "stopped_early") or done >= epochs
    if not has_ended or not done or (reported and run.status != "running"):
        return None
    if run.status == "running":
        record_completion(run)
    options = training_options(run)
    state = restored_state(run, run.blank_model(), options)
    last = eqx.combine(state.parameters, state.constants, partition(run.model).static)
    seconds = float(run.record.get("seconds", 0.0))
    return Fit(run.model, last, run.history, run.outcome, seconds, run)


def record_completion(run: Run) -> None:
    """Records that a run is complete which was killed after its last checkpoint.

    record_completion(jensen.load("runs/digits"))
    """
    options = training_options(run)
    done = max(run.checkpoints.epochs())
    warnings = tuple(filter(None, [options.unsettled(done)]))
    outcome = Outcome("completed", f"all {options.epochs} epochs done.", done, warnings)
    run.update(status=outcome.status, outcome=outcome_record(outcome))


def _begin(setup: Setup, path: Path | None, *, overwrite: bool) -> Run | None:
    """Checks a setup and makes its run folder; the run, whose lock is held, or None without path.

    Raises:
        ValueError: see `Setup.check`, or the folder may not be replaced. Nothing is written then.
    """
    setup.check()
    if path is None:
        return None
    return create(
        path,
        setup.settings,
        setup.model,
        setup.dataset,
        key=setup.key,
        objective=setup.gradient.objective,
        reloadable=setup.reloadable,
        overwrite=overwrite,
        by_hand=setup.by_hand,
    )


def _continue(setup: Setup, run: Run, *, changed: bool) -> TrainingState:
    """Makes a run folder ready to go on from its checkpoint; the state in it.

    Raises:
        RunError, CheckpointError: see `resume_run`. The folder is then as it was.
    """
    start = restored_state(run, setup.model, setup.options)
    _check_epochs_left(run, int(start.epoch), setup.options.epochs)
    # Nothing was written so far: from here on nothing is refused.
    run.checkpoints.remove_unfinished()
    if changed:
        run.config["training"] = asdict(setup.options)
        run.write_config()
    run.checkpoints.forget_after(int(start.epoch))
    write_history(run.place(), [r for r in run.history if r["epoch"] <= int(start.epoch)])
    run.update(status="running")
    return start


def _train(
    setup: Setup,
    run: Run | None,
    *,
    start: TrainingState | None = None,
    progress: bool,
    hold: bool = False,
) -> Fit:
    """Trains a setup that was checked, from `start` if that is given, and records the training in
    the run folder, if there is one. The run's lock is let go at the end unless `hold`."""
    try:
        if run is not None:
            run.acquire()
        return _train_locked(setup, run, start, progress)
    except BaseException:
        hold = False
        raise
    finally:
        if run is not None and not hold:
            run.release()


def _train_locked(
    setup: Setup, run: Run | None, start: TrainingState | None, progress: bool
) -> Fit:
    options, dataset = setup.options, setup.dataset
    first = 0 if start is None else int(start.epoch)
    before: list[dict[str, Any]] = []
    if start is not None and run is not None:
        before = [record for record in run.history if record["epoch"] <= first]
    measure = None
    if options.account_every:
        watched = {"every": options.account_every, "rows": options.account_rows, "before": before}
        measure = InTraining(setup.model, dataset.split("train"), key=setup.key, **watched)
    path = None if run is None else run.path
    with contextlib.ExitStack() as stack:
        asked_to_stop = stack.enter_context(stop_on_signals())
        line = stack.enter_context(
            FitProgress(
                options, shown=progress, first_epoch=first, objective=setup.gradient.objective
            )
        )
        sinks: list[Callable[[dict[str, Any]], None]] = [line.epoch]
        if run is not None:
            # The history first: it is what must not be lost.
            sinks.insert(0, stack.enter_context(HistoryFile(run.place)))
            if run.config.get("record", {}).get("tensorboard"):
                sinks.append(stack.enter_context(tensorboard(run.path)))

        def on_epoch(record: dict[str, Any]) -> None:
            for sink in sinks:
                sink(record)

        def stop_requested() -> bool:
            # A folder that was moved or removed ends the training like a signal, so that the
            # state is saved where it can be.
            return asked_to_stop() or (run is not None and not run.in_place())

        try:
            trained = train(
                setup.model,
                dataset.train,
                dataset.validation,
                bound=setup.bound,
                gradient=setup.gradient,
                options=options,
                key=setup.key,
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
        except OSError as error:
            if run is None:
                raise
            raise RunError(_why_it_stopped(run, error)) from error
    if run is not None and path is not None and run.path != path:
        raise RunError(
            f"{path} was moved while it was trained, to {run.path}; the training stopped after "
            f"epoch {trained.outcome.epoch}, and its state was saved there. Go on with: "
            f"jensen fit --resume {run.path}"
        )
    return Fit(
        trained.model,
        trained.last,
        before + trained.history,
        trained.outcome,
        trained.seconds,
        run,
        asked_to_stop(),
    )


def _check_epochs_left(run: Run, done: int, epochs: int) -> None:
    if done == epochs:
        raise RunError(
            f"{run.path} has done all its {epochs} epochs; to go on, give more of them: "
            f"--epochs {2 * epochs}."
        )
    if done > epochs:
        raise RunError(
            f"the checkpoint of {run.path} is of epoch {done}, and --epochs {epochs} is fewer. "
            "Give more, or go back to an earlier checkpoint with --checkpoint."
        )


def _why_it_stopped(run: Run, error: OSError) -> str:
    """What could not be written, what is intact, and how to go on."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = "no space is left on the disk" if full else error.strerror or str(error)
    where = f" ({error.filename})" if error.filename else ""
    try:
        finished = run.checkpoints.epochs()
    except OSError:
        finished = []
    remedy = "free some space" if full else "mend this"
    return f"{run.path} could not be written: {reason}{where}. " + (
        f"The checkpoint of epoch {finished[-1]} is intact; {remedy} and go on with: "
        f"jensen fit --resume {run.path}"
        if finished
        else f"No checkpoint was finished; {remedy} and start again with --overwrite."
    )


def _default_folder(config: Config) -> Path:
    """runs/DATA, with the names of model and prior where these are not the defaults."""
    source = config.data.source
    defaults = Config()
    parts = [source.replace("/", "-") if source in dataset_names() else Path(source).stem]
    if config.model.name != defaults.model.name:
        parts.append(config.model.name)
    if config.prior["name"] != defaults.prior["name"]:
        parts.append(Path(config.prior["name"]).stem)
    return Path("runs") / "-".join(part for part in parts if part)


def _print_summary(config: Config, dataset: Dataset, path: Path) -> None:
    """One line on stderr: the data, the model, and the run folder."""
    sizes = "/".join(str(len(getattr(dataset, s))) for s in ("train", "validation", "test"))
    shape = "x".join(map(str, dataset.event_shape))
    latent_dim = config.model.latent_dim
    dimensions = latent_dim if isinstance(latent_dim, int) else "+".join(map(str, latent_dim))
    print(
        f"{dataset.name}: {sizes} train/validation/test data of {shape}; {config.model.name}, "
        f"{config.prior['name']} prior, {config.likelihood['name']} likelihood, "
        f"{config.bound['name']} bound, {dimensions} latent dimensions; run folder {path}",
        file=sys.stderr,
    )


def _with_training_options(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of `function`, its `**options` written out with their types and defaults, for
    `help` and editors that read signatures."""
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    keywords: Mapping[str, Any] = TrainingKeywords.__annotations__
    parameters += [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=keywords[field.name],
        )
        for field in fields(TrainingOptions)
    ]
    return signature.replace(parameters=parameters)


fit.__signature__ = _with_training_options(fit)  # pyright: ignore[reportFunctionMemberAccess]
