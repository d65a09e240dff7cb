"""Draws of q with their log-weights: what everything that is reported of a fit is made from."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Key
from jensen.model import Model
from jensen.variational._compilation import quick_jit
from jensen.variational._problem import TargetLikelihood
from jensen.weights import LogWeights, over_samples

BLOCK = 1000


@quick_jit
def weighted_draws(
    model: Model, x: Array, key: Key, num_draws: int, first: Array
) -> tuple[Array, dict[str, Any], LogWeights]:
    """(u [S, D], the constrained parameters [S, ...], log-weights with leaves [S]) of the draws of q from number `first` on; the same draws as
    `datum_log_weights` makes with this key."""
    assert isinstance(model.decoder, TargetLikelihood)
    target, posterior = model.decoder.target, model.encoder(x)

    def one(sample: Array):
        u = posterior.sample(jr.fold_in(key, first + sample))
        here = target.everything(u)
        return (
            u,
            here.constrained,
            LogWeights(here.log_likelihood, here.log_prior, posterior.log_prob(u)),
        )

    return over_samples(one, num_draws, BLOCK)


@eqx.filter_jit
def constrained(constrain: Any, u: Array) -> dict[str, Any]:
    """The constrained parameters [S, ...] of many u [S, D]."""
    return jax.vmap(constrain)(jnp.asarray(u))
