"""Where a training went wrong: the slow, exact replay of an epoch that gave NaN or inf."""

import re

import jax
import jax.numpy as jnp
import numpy as np
from jax import random as jr

from jensen._types import Array, Key
from jensen.training.program import Batch, Objective, batch_loss, batch_of, batches, epoch_keys, step
from jensen.training.state import TrainingState, name_leaves

NAMES = ("bound", "reconstruction", "average KL")


def locate_divergence(objective: Objective, state: TrainingState, data: Array, validation: Array, key: Key, measured: dict) -> str:
    """A sentence naming the epoch, the batch and the term (or the parameter whose gradient) that first was not finite.

    Args:
        state: before the epoch. The others as the epoch program had them; `measured` is what it returned.
    """
    objective = objective.with_constants(state.constants)
    epoch = int(state.epoch) + 1
    bad = np.flatnonzero(~np.isfinite(measured["steps"]).all(axis=1))
    key_order, key_draws = epoch_keys(jr.split(key)[0], state.epoch + 1)
    index, weight = batches(objective.options, data.shape[0], key_order)
    beta = objective.options.beta_at(state.epoch + 1)
    plan = batch_of(index, weight, key_draws)
    advance = jax.jit(lambda p, o, batch: step(objective, p, o, data, batch, state.epoch + 1)[:2])
    parameters, optimiser_state = state.parameters, state.optimiser
    last = int(bad[0]) if len(bad) else len(index) - 1
    for t in range(last + 1):
        batch: Batch = jax.tree.map(lambda leaf, t=t: leaf[t], plan)
        if t < last or not len(bad):
            before = parameters
            parameters, optimiser_state = advance(parameters, optimiser_state, batch)
            broken = [path for path, leaf in name_leaves(parameters).items() if not bool(jnp.isfinite(leaf).all())]
            if broken:
                return f"The gradient in epoch {epoch}, batch {t + 1} of {len(index)}, was not finite for {_worst(objective, before, data, batch, beta)}."
            frozen = [path for path, leaf in name_leaves(optimiser_state).items() if not bool(jnp.isfinite(leaf).all())]
            if frozen:
                return (
                    f"Adam's moments of {_listed([re.sub(r'^.*?[.](mu|nu)', '', path) for path in frozen])} overflowed in epoch {epoch}, batch {t + 1} of "
                    f"{len(index)}: the gradient there was finite but its square was not, and parameters would have stood still from then on."
                )
    if len(bad):
        values = measured["steps"][bad[0]]
        names = [name for name, value in zip(NAMES[1:], values[1:], strict=True) if not np.isfinite(value)] or [NAMES[0]]
        return f"The {' and the '.join(names)} in epoch {epoch}, batch {last + 1} of {len(index)}, was not finite."
    if np.isfinite(measured["validation"]).all():
        return f"The parameters or the optimiser's moments after epoch {epoch} were not finite although every training step was."
    return f"The validation bound after epoch {epoch} was not finite although every training step was."


def _worst(objective: Objective, parameters, data: Array, batch: Batch, beta) -> str:
    gradient = jax.grad(lambda p: batch_loss(objective, p, data, batch, beta), has_aux=True)(parameters)[0]
    names = [path for path, leaf in name_leaves(gradient).items() if not bool(jnp.isfinite(leaf).all())]
    return _listed(names) if names else "the optimiser's update"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
