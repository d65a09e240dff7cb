"""Where a training went wrong: the slow, exact replay of an epoch that gave NaN or inf."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import random as jr

from jensen._types import Array, Key
from jensen.training.program import (
    Batch,
    Objective,
    batch_loss,
    batch_of,
    batches,
    draw_binary,
    epoch_keys,
    step,
)
from jensen.training.state import TrainingState, name_leaves
from jensen.weights import datum_log_weights

NAMES = ("bound", "reconstruction", "average KL")


def locate_divergence(
    objective: Objective,
    state: TrainingState,
    data: Array,
    validation: Array,
    key: Key,
    measured: dict,
) -> str:
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
            broken = [
                path
                for path, leaf in name_leaves(parameters).items()
                if not bool(jnp.isfinite(leaf).all())
            ]
            if broken:
                return f"The gradient in epoch {epoch}, batch {t + 1} of {len(index)}, was not finite for {_worst(objective, before, data, batch, beta)}."
            frozen = [
                path
                for path, leaf in name_leaves(optimiser_state).items()
                if not bool(jnp.isfinite(leaf).all())
            ]
            if frozen:
                return (
                    f"Adam's moments of {_listed([re.sub(r'^.*?[.](mu|nu)', '', path) for path in frozen])} overflowed in epoch {epoch}, batch {t + 1} of "
                    f"{len(index)}: the gradient there was finite but its square was not, and parameters would have stood still from then on."
                )
    if len(bad):
        values = measured["steps"][bad[0]]
        names = [
            name
            for name, value in zip(NAMES[1:], values[1:], strict=True)
            if not np.isfinite(value)
        ] or [NAMES[0]]
        whose = _datum(objective, parameters, data, jax.tree.map(lambda leaf: leaf[last], plan))
        return f"The {' and the '.join(names)} in epoch {epoch}, batch {last + 1} of {len(index)}, was not finite{whose}."
    if np.isfinite(measured["validation"]).all():
        return f"The parameters or the optimiser's moments after epoch {epoch} were not finite although every training step was."
    return (
        f"The validation bound after epoch {epoch} was not finite although every training step was."
    )


def _datum(objective: Objective, parameters, data: Array, batch: Batch) -> str:
    """`: log p(x|z) of training datum 17 is nan` for the first datum of the batch, and the first term of its log-weights, that is not finite."""
    model = eqx.combine(parameters, objective.static)
    prior = model.prior(model.encoder)

    def one(n, key_data, key_samples):
        x = (
            data[n]
            if objective.levels is None
            else draw_binary(key_data, data[n], objective.levels)
        )
        return datum_log_weights(model, prior, x, key_samples, objective.options.num_samples)

    weights = jax.jit(jax.vmap(one))(batch.index, batch.key_data, batch.key_samples)
    bad = jnp.stack(
        [
            ~jnp.isfinite(leaf).all(axis=1)
            for leaf in (weights.log_likelihood, weights.log_prior, weights.log_posterior)
        ]
    )
    found = np.argwhere(np.asarray(bad if batch.weight is None else bad & (batch.weight > 0)).T)
    if not len(found):
        return ""
    row, term = (int(i) for i in found[0])
    values = np.asarray(
        (weights.log_likelihood, weights.log_prior, weights.log_posterior)[term][row]
    )
    return f": {('log p(x|z)', 'log p(z)', 'log q(z|x)')[term]} of training datum {int(batch.index[row])} is {values[~np.isfinite(values)][0]}"


def _worst(objective: Objective, parameters, data: Array, batch: Batch, beta) -> str:
    gradient = jax.grad(lambda p: batch_loss(objective, p, data, batch, beta), has_aux=True)(
        parameters
    )[0]
    names = [
        path for path, leaf in name_leaves(gradient).items() if not bool(jnp.isfinite(leaf).all())
    ]
    return _listed(names) if names else "the optimiser's update"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
