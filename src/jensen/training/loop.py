"""The training loop on the host: call the compiled epoch, look at what it measured, keep what must not be lost."""

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
    """How a training ended: a value, never only a message."""

    status: Literal["completed", "stopped_early", "diverged", "interrupted"]
    message: str
    epoch: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trained:
    """What `train` returns: the best model by validation bound, the last one, one record per epoch, and the outcome."""

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
    """Trains a model by stochastic gradient ascent on a bound.

    Args:
        model: where to start.
        data: training data [N, *event]; stays on the device.
        validation: [M, *event], evaluated after every epoch at beta = 1; with M = 0 the training bound stands in.
        bound, gradient, options: what to ascend, and how.
        key: with it and the epoch number everything random is determined.
        levels: a training value v is a Bernoulli mean v / levels, drawn afresh at every use.
        checkpoints: where states are kept; None keeps none.
        start: a state to go on from.
        on_epoch: called with each epoch's record (nats per datum); on_compile: with the seconds that compiling took.
        stop_requested: asked after every epoch; true ends the training as 'interrupted', unless that epoch was its last anyway.
        measure: called after every epoch with its record and the current model; what it gives is added to the record.

    Returns:
        A `Trained` record; a training that diverges returns too, with the last good state.

    Raises:
        ValueError: a combination of bound and gradient estimator that is not valid.

        train(model, x, x_validation, bound=ELBO(), gradient=Pathwise(), options=TrainingOptions(), key=key).outcome
    """
    gradient.check(bound, model, options.num_samples)
    optimiser = make_optimiser(options.optimiser, options.learning_rate, options.adam_epsilon)
    static = partition(model).static
    objective = Objective(static, bound, gradient, optimiser, options, levels)
    state = initial_state(model, optimiser) if start is None else start
    arrays = jnp.asarray(data), jnp.asarray(validation)
    began = time.monotonic()
    program = compile_epoch(objective, state, *arrays, key)
    on_compile(time.monotonic() - began)
    history: list[dict[str, Any]] = []
    saved_at = time.monotonic()
    stopping = False

    def finish(status, message: str) -> Trained:
        if checkpoints is not None:
            checkpoints.save(state)
        warnings = tuple(filter(None, [options.unsettled(int(state.epoch))]))
        outcome = Outcome(status, message, int(state.epoch), warnings)
        best = state.best if int(state.best_epoch) else state.parameters
        model, last = (
            eqx.combine(parameters, state.constants, static)
            for parameters in (best, state.parameters)
        )
        return Trained(model, last, history, outcome, time.monotonic() - began, state)

    while int(state.epoch) < options.epochs:
        if options.patience and int(state.stale) >= options.patience:
            return finish(
                "stopped_early",
                f"no better validation bound for {options.patience} epochs; the best was epoch {int(state.best_epoch)}.",
            )
        if stopping:
            return finish("interrupted", f"stopped on request after epoch {int(state.epoch)}.")
        epoch_began = time.monotonic()
        # The state before the epoch is not donated: it is the last good one if the epoch diverges.
        after, measured = program(state, *arrays, key)
        measured = jax.tree.map(np.asarray, measured)
        if not (measured["finite"] and all(np.isfinite(v).all() for v in measured.values())):
            where = locate_divergence(objective, state, *arrays, key, measured)
            return finish(
                "diverged",
                f"{where} The last good state is that of epoch {int(state.epoch)}; try a smaller --learning-rate or a longer --warm-up.",
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
            "seconds": round(time.monotonic() - epoch_began, 4),
        }
        if measure is not None:
            record |= measure(record, eqx.combine(state.parameters, state.constants, static))
        history.append(record)
        on_epoch(record)
        stopping = stop_requested()
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
