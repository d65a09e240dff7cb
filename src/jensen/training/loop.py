"""The training loop on the host.

It calls the compiled epoch, reads what the epoch measured, and writes checkpoints.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jensen._parameters import partition
from jensen._types import Key
from jensen.bounds import AbstractBound
from jensen.gradients import AbstractGradientEstimator
from jensen.model import Model
from jensen.training.checkpoints import Checkpoints
from jensen.training.divergence import locate_divergence
from jensen.training.optimisers import make_optimiser
from jensen.training.options import TrainingOptions
from jensen.training.program import Objective, compile_epoch
from jensen.training.state import TrainingState, initial_state

TERMS = ("bound", "reconstruction", "average_kl")


@dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        status: 'completed', 'stopped_early', 'diverged' or 'interrupted'.
        message: the reason, as a sentence.
        epoch: number of epochs done.
        warnings: sentences about the trained model; may be empty.
    """

    status: Literal["completed", "stopped_early", "diverged", "interrupted"]
    message: str
    epoch: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trained:
    """The result of `train`.

    Attributes:
        model: the best model by validation bound.
        last: the model after the last epoch.
        history: one record per epoch, nats per datum.
        outcome: how the training ended.
        seconds: duration, compilation included.
        state: the last good state, from which training can go on.
    """

    model: Model
    last: Model
    history: list[dict[str, Any]]
    outcome: Outcome
    seconds: float
    state: TrainingState = field(repr=False)


def train(
    model: Model,
    data: np.ndarray,
    validation: np.ndarray,
    *,
    bound: AbstractBound,
    gradient: AbstractGradientEstimator,
    options: TrainingOptions,
    key: Key,
    levels: int | None = None,
    checkpoints: Checkpoints | None = None,
    start: TrainingState | None = None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda record: None,
    on_compile: Callable[[float], None] = lambda seconds: None,
    stop_requested: Callable[[], bool] = lambda: False,
    measure: Callable[[dict[str, Any], Model], dict[str, Any]] | None = None,
) -> Trained:
    """Train a model by stochastic gradient ascent on a bound.

    Args:
        model: the initial model.
        data: training data [N, *event]; stays on the device.
        validation: [M, *event], evaluated after every epoch at beta = 1. With M = 0 the training
            bound takes its place.
        bound, gradient, options: the bound to ascend, its gradient estimator, and the settings.
        key: together with the epoch number it determines all randomness.
        levels: if given, a training value v is a Bernoulli mean v / levels, drawn afresh at every
            use.
        checkpoints: where states are saved; None saves none.
        start: a state to continue from.
        on_epoch: called with each epoch's record (nats per datum).
        on_compile: called with the seconds that compilation took.
        stop_requested: called after every epoch; if it returns True the training ends as
            'interrupted', unless that epoch was the last anyway.
        measure: called after every epoch with its record and the current model; the items that it
            returns are added to the record.

    Returns:
        A `Trained` record. A training that diverges returns too, with the last good state.

    Raises:
        ValueError: if the combination of bound and gradient estimator is invalid.

    Example:
        options = TrainingOptions(epochs=10)
        train(model, x, x_val, bound=ELBO(), gradient=Pathwise(), options=options, key=key).outcome
    """
    gradient.check(bound, model, options.num_samples)
    optimiser = make_optimiser(options.optimiser, options.learning_rate, options.adam_epsilon)
    static = partition(model).static
    objective = Objective(static, bound, gradient, optimiser, options, levels)
    state = initial_state(model, optimiser) if start is None else start
    arrays = jnp.asarray(data), jnp.asarray(validation)
    started = time.monotonic()
    program = compile_epoch(objective, state, *arrays, key)
    on_compile(time.monotonic() - started)
    history: list[dict[str, Any]] = []
    saved_at = time.monotonic()
    stopping = False

    def finish(status, message: str) -> Trained:
        if checkpoints is not None:
            checkpoints.save(state)
        warnings = tuple(filter(None, [options.unsettled(int(state.epoch))]))
        outcome = Outcome(status, message, int(state.epoch), warnings)
        # Without a finished epoch there is no best state: the initial parameters take its place.
        best = state.best if int(state.best_epoch) else state.parameters
        model, last = (
            eqx.combine(parameters, state.constants, static)
            for parameters in (best, state.parameters)
        )
        return Trained(model, last, history, outcome, time.monotonic() - started, state)

    while int(state.epoch) < options.epochs:
        if options.patience and int(state.stale) >= options.patience:
            return finish(
                "stopped_early",
                f"no better validation bound for {options.patience} epochs; the best was epoch "
                f"{int(state.best_epoch)}.",
            )
        if stopping:
            return finish("interrupted", f"stopped on request after epoch {int(state.epoch)}.")
        epoch_started = time.monotonic()
        # The state before the epoch is not donated: it is the last good one if the epoch diverges.
        after, measured = program(state, *arrays, key)
        measured = jax.tree.map(np.asarray, measured)
        if not (measured["finite"] and all(np.isfinite(v).all() for v in measured.values())):
            # Replayed step by step: the compiled epoch reports means only, and the cause is one
            # datum.
            where = locate_divergence(objective, state, *arrays, key, measured)
            return finish(
                "diverged",
                f"{where} The last good state is that of epoch {int(state.epoch)}; try a smaller "
                "--learning-rate or a longer --warm-up.",
            )
        state = after
        record = {
            "epoch": int(state.epoch),
            "beta": float(measured["beta"]),
            "train": dict(zip(TERMS, map(float, measured["train"]), strict=True)),
            "validation": dict(zip(TERMS, map(float, measured["validation"]), strict=True))
            if len(validation)
            else None,
            "best_epoch": int(state.best_epoch),
            "seconds": round(time.monotonic() - epoch_started, 4),
        }
        if measure is not None:
            record |= measure(record, eqx.combine(state.parameters, state.constants, static))
        history.append(record)
        on_epoch(record)
        stopping = stop_requested()
        # When stopping, `finish` saves: the loop's head decides whether this was the last epoch.
        if (
            checkpoints is not None
            and not stopping
            and time.monotonic() - saved_at >= options.checkpoint_seconds
        ):
            checkpoints.save(state)
            saved_at = time.monotonic()
    return finish(
        "completed",
        f"all {options.epochs} epochs done; the best was epoch {int(state.best_epoch)}.",
    )
