"""`jensen.fit`: training with everything a person expects around it: checks first, progress, a run folder, exact resume, Ctrl-C that loses nothing."""

import contextlib
import errno
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.anatomy.in_training import InTraining
from jensen.bounds import AbstractBound
from jensen.bounds.elbo import ELBO
from jensen.checks import check_data, check_posterior
from jensen.config import ROOMS, Config
from jensen.datasets import Dataset, dataset_names, load_dataset
from jensen.gradients import AbstractGradientEstimator
from jensen.gradients.pathwise import Pathwise
from jensen.model import Model
from jensen.progress import FitProgress
from jensen.recording import stop_on_signals, tensorboard
from jensen.runs import HistoryFile, Run, RunError, create, outcome_record, write_history
from jensen.training import Outcome, Trained, TrainingOptions, train
from jensen.training.optimisers import make_optimiser
from jensen.training.state import TrainingState, initial_state


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
            or `out` exists. Nothing has been written then.
        RunError: the run folder cannot be written any more (a full disk, a folder that was
            removed); it says what is kept.

        jensen.fit(model, data, epochs=100, key=jax.random.key(1)).model
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jr.wrap_key_data(key)  # of jax.random.PRNGKey
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
        described, by_hand = _describe(model, dataset, bound, gradient, settings, key)
        run = create(
            Path(out),
            described,
            model,
            dataset,
            key,
            objective=gradient.objective,
            reloadable=dataset.name in dataset_names(),
            overwrite=overwrite,
            by_hand=by_hand,
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
    start: TrainingState | None = None,
    progress: bool = True,
    hold: bool = False,
) -> Fit:
    """Trains with a run folder around it, from `start` if that is given. The run's lock is let go
    at the end unless `hold`."""
    before: list[dict[str, Any]] = []
    if start is not None and run is not None:
        before = [r for r in run.history if r["epoch"] <= int(start.epoch)]
    try:
        if run is not None:
            run.acquire()
        return _fit_locked(
            model, dataset, bound, gradient, options, key, run, start, before, progress
        )
    except BaseException:
        hold = False
        raise
    finally:
        if run is not None and not hold:
            run.release()


def _fit_locked(
    model: Model,
    dataset: Dataset,
    bound: AbstractBound,
    gradient: AbstractGradientEstimator,
    options: TrainingOptions,
    key: Key,
    run: Run | None,
    start: TrainingState | None,
    before: list[dict[str, Any]],
    progress: bool,
) -> Fit:
    measure = None
    if options.account_every:
        watched = {"every": options.account_every, "rows": options.account_rows, "before": before}
        measure = InTraining(model, dataset.split("train"), key, **watched)
    first = 0 if start is None else int(start.epoch)
    path = None if run is None else run.path
    with contextlib.ExitStack() as stack:
        asked_to_stop = stack.enter_context(stop_on_signals())
        line = stack.enter_context(
            FitProgress(options, shown=progress, first_epoch=first, objective=gradient.objective)
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


def resume_run(
    run: Run,
    *,
    epochs: int | None = None,
    patience: int | None = None,
    dataset: Dataset | None = None,
    model: Model | None = None,
    bound: AbstractBound | None = None,
    gradient: AbstractGradientEstimator | None = None,
    progress: bool = True,
    hold: bool = False,
) -> tuple[Fit, Dataset]:
    """Goes on with a run that was interrupted, exactly: the same weights, bit for bit, as if it had not been.

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
    training = {k: v for k, v in run.config["training"].items() if v is not None}
    changes = {k: v for k, v in {"epochs": epochs, "patience": patience}.items() if v is not None}
    options = replace(TrainingOptions(**training), **changes)
    given = {"model": model, "bound": bound, "gradient": gradient}
    for section, description in run.record.get("by_hand", {}).items():
        if given.get(section) is None:
            raise RunError(
                f"the {section} of {run.path} was put together in Python ({description}), and no "
                "configuration describes it. Go on from Python: jensen.fitting.resume_run("
                f"jensen.load({str(run.path)!r}), {section}=...)."
            )
    strategies: dict[str, Any] = {
        "bound": _member(run, "bound") if bound is None else bound,
        "gradient": _member(run, "gradient") if gradient is None else gradient,
    }
    model = model or run.blank_model()
    dataset = dataset or run.dataset
    strategies["gradient"].check(strategies["bound"], model, options.num_samples)
    held = run.is_held
    run.acquire()
    try:
        start = restored_state(run, model, options)
        _check_epochs_left(run, int(start.epoch), options.epochs)
        # Nothing was written so far: from here on nothing is refused.
        run.checkpoints.remove_unfinished()
        if changes:
            run.config["training"] = asdict(options)
            run.write_config()
        run.checkpoints.forget_after(int(start.epoch))
        write_history(run.place(), [r for r in run.history if r["epoch"] <= int(start.epoch)])
        run.update(status="running")
        fitted = fit_run(
            model,
            dataset,
            **strategies,
            options=options,
            key=run.key,
            run=run,
            start=start,
            progress=progress,
            hold=True,
        )
    except BaseException:
        hold = held
        raise
    finally:
        if not hold:
            run.release()
    return fitted, dataset


def restored_state(run: Run, model: Model, options: TrainingOptions) -> TrainingState:
    """The training state in the run's checkpoint; `model` gives the structure.

    Raises:
        CheckpointError: none there, or a damaged one.
    """
    optimiser = make_optimiser(options.optimiser, options.learning_rate, options.adam_epsilon)
    return run.checkpoints.restore(initial_state(model, optimiser), epoch=run._checkpoint)


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
    """What could not be written, what is kept, and how to go on."""
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


def _member(run: Run, section: str) -> Any:
    options = dict(run.config[section])
    return ROOMS[section].build(options.pop("name"), options, {})


def _describe(
    model: Model,
    dataset: Dataset,
    bound: AbstractBound,
    gradient: AbstractGradientEstimator,
    options: TrainingOptions,
    key: Key,
) -> tuple[dict[str, Any], dict[str, str]]:
    """(the configuration of a training from Python, {section: what stands there} of all in it that
    no configuration can describe). Where nothing is known of a section it is left out: a default
    would be another model's."""
    # How unnamed data were split is not known here.
    data = {"source": dataset.name, **dataset.options}
    sections: dict[str, Any] = {"data": data}
    by_hand: dict[str, str] = {}
    seed = _seed_of(key)
    if seed is not None:
        sections["seed"] = seed
    if model.recipe is None:
        parts = {n: getattr(model, n) for n in ("prior", "encoder", "decoder")}
        sections["model"] = {"name": "by_hand"} | {n: _name_of(p) for n, p in parts.items()}
        by_hand["model"] = ", ".join(sections["model"][n] for n in parts)
    else:
        recipe = model.recipe.values
        sections["model"] = {"name": recipe["model"], "latent_dim": recipe["latent_dim"]}
        aside = ("event_shape", "latent_dim", "model", "data")
        sections |= {k: v for k, v in recipe.items() if k not in aside}
    for section, member in (("bound", bound), ("gradient", gradient)):
        sections[section], own = _record_of(section, member)
        if own:
            by_hand[section] = own
    sections["training"] = asdict(options)
    if by_hand:
        defaults = Config().settings()
        return sections | {k: defaults[k] for k in ("account", "record")}, by_hand
    settings = Config.read(sections).settings()
    if seed is None:
        del settings["seed"]
    if dataset.name not in dataset_names():
        settings["data"] = data
    return settings, {}


def _record_of(
    section: str, member: AbstractBound | AbstractGradientEstimator
) -> tuple[dict[str, Any], str]:
    """({'name': 'iwae', option: value}, ''): the room's name of a bound or gradient estimator, and
    its options. What the room cannot build again is described in words, the second entry."""
    room = ROOMS[section]
    cls = type(member)
    name = cls.__module__.rpartition(".")[2]
    if not (cls.__module__.startswith(f"{room.package}.") and room.find(name) is cls):
        values = {f.name: _plain(getattr(member, f.name)) for f in fields(member)}
        return {"name": _name_of(member)} | values, _name_of(member)
    values = {option: getattr(member, option) for option in room.options(name)}
    odd = {k: _plain(v) for k, v in values.items() if _plain(v) is not v}
    words = ", ".join(f"{k} = {v}" for k, v in odd.items())
    return {"name": name} | values | odd, f"{name} with {words}" if odd else ""


def _plain(value: Any) -> Any:
    """A value as TOML has it; callables by their names, all else in words."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple) and all(_plain(v) is v for v in value):
        return value
    return _name_of(value) if callable(value) else repr(value)


def _name_of(thing: Any) -> str:
    """The full name of a function, or of an object's class."""
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


def _seed_of(key: Key) -> int | None:
    """The seed that `jax.random.key` made a key of; None for another key."""
    data = np.asarray(jr.key_data(key))
    seed = int(data.ravel()[-1])
    return seed if np.array_equal(np.asarray(jr.key_data(jr.key(seed))), data) else None
