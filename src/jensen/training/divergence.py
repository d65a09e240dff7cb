"""Locates the cause of a divergence: the slow, exact replay of an epoch that gave NaN or inf."""

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
    """Name the epoch, the batch and the term that was first not finite, as a sentence.

    If all terms were finite it names the parameters whose gradient was not.

    Args:
        objective, data, validation, key: as passed to the epoch program.
        state: the state before the epoch.
        measured: what the epoch program returned.
    """
    objective = objective.with_constants(state.constants)
    epoch = int(state.epoch) + 1
    bad_steps = np.flatnonzero(~np.isfinite(measured["steps"]).all(axis=1))
    key_order, key_draws = epoch_keys(jr.split(key)[0], state.epoch + 1)
    index, weight = batches(objective.options, data.shape[0], key_order)
    beta = objective.options.beta_at(state.epoch + 1)
    plan = batch_of(index, weight, key_draws)
    advance = jax.jit(lambda p, o, batch: step(objective, p, o, data, batch, state.epoch + 1)[:2])
    parameters, optimiser_state = state.parameters, state.optimiser
    last = int(bad_steps[0]) if len(bad_steps) else len(index) - 1
    for t in range(last + 1):
        batch: Batch = jax.tree.map(lambda leaf, t=t: leaf[t], plan)
        # The step whose terms were not finite is not taken: its terms name the cause.
        if t < last or not len(bad_steps):
            before = parameters
            parameters, optimiser_state = advance(parameters, optimiser_state, batch)
            position = f"epoch {epoch}, batch {t + 1} of {len(index)}"
            if _not_finite(parameters):
                culprits = _non_finite_gradients(objective, before, data, batch, beta)
                return f"The gradient in {position}, was not finite for {culprits}."
            frozen = _not_finite(optimiser_state)
            if frozen:
                # Paths of the optimiser's state, without the prefix of the moment.
                paths = [re.sub(r"^.*?[.](mu|nu)", "", path) for path in frozen]
                return (
                    f"Adam's moments of {_list_names(paths)} overflowed in {position}: the "
                    "gradient there was finite but its square was not, so that these parameters "
                    "would not have changed any more."
                )
    if len(bad_steps):
        values = measured["steps"][bad_steps[0]]
        names = [
            name
            for name, value in zip(NAMES[1:], values[1:], strict=True)
            if not np.isfinite(value)
        ] or [NAMES[0]]
        cause = _first_non_finite_datum(
            objective, parameters, data, jax.tree.map(lambda leaf: leaf[last], plan)
        )
        return (
            f"The {' and the '.join(names)} in epoch {epoch}, batch {last + 1} of {len(index)}, "
            f"was not finite{cause}."
        )
    if np.isfinite(measured["validation"]).all():
        return (
            f"The parameters or the optimiser's moments after epoch {epoch} were not finite "
            "although every training step was."
        )
    return (
        f"The validation bound after epoch {epoch} was not finite although every training step was."
    )


def _first_non_finite_datum(objective: Objective, parameters, data: Array, batch: Batch) -> str:
    """Return `: log p(x|z) of training datum 17 is nan` for the first such datum of the batch.

    The term is the first of the datum's log-weights that is not finite. Empty if there is none.
    """
    model = eqx.combine(parameters, objective.static)
    prior = model.prior(model.encoder)

    def log_weights_of_datum(n, key_data, key_samples):
        x = (
            data[n]
            if objective.levels is None
            else draw_binary(key_data, data[n], objective.levels)
        )
        return datum_log_weights(model, prior, x, key_samples, objective.options.num_samples)

    weights = jax.jit(jax.vmap(log_weights_of_datum))(
        batch.index, batch.key_data, batch.key_samples
    )
    terms = {
        "log p(x|z)": weights.log_likelihood,
        "log p(z)": weights.log_prior,
        "log q(z|x)": weights.log_posterior,
    }
    non_finite = jnp.stack([~jnp.isfinite(leaf).all(axis=1) for leaf in terms.values()])
    if batch.weight is not None:  # padding is no datum of the batch
        non_finite &= batch.weight > 0
    positions = np.argwhere(np.asarray(non_finite).T)
    if not len(positions):
        return ""
    row, term = (int(i) for i in positions[0])
    name, leaf = list(terms.items())[term]
    values = np.asarray(leaf[row])
    return (
        f": {name} of training datum {int(batch.index[row])} is {values[~np.isfinite(values)][0]}"
    )


def _not_finite(tree) -> list[str]:
    """List the paths of the arrays that hold NaN or inf."""
    return [path for path, leaf in name_leaves(tree).items() if not bool(jnp.isfinite(leaf).all())]


def _non_finite_gradients(objective: Objective, parameters, data: Array, batch: Batch, beta) -> str:
    gradient = jax.grad(lambda p: batch_loss(objective, p, data, batch, beta), has_aux=True)(
        parameters
    )[0]
    names = _not_finite(gradient)
    return _list_names(names) if names else "the optimiser's update"


def _list_names(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
