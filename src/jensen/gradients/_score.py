"""The score-function gradient: no derivative passes the draws, so codes may be discrete.

d E[F] = E[ sum_k (F - b_k) d log q(z_k) + sum_k F_k d log w_k ]    with any b_k that does not depend on z_k
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key
from jensen.bounds import AbstractBound
from jensen.gradients._base import Estimate, estimate
from jensen.gradients._reparameterised import path_weights
from jensen.model import Model
from jensen.weights import LogWeights, over_samples


def held_log_weights(
    model: Model, prior: Distribution, x: Array, key: Key, num_samples: int
) -> LogWeights:
    """The log-weights of one datum, leaves [num_samples], whose draws are constants to differentiation."""
    posterior = model.encoder(x)

    def one(sample: Array) -> LogWeights:
        z = jax.lax.stop_gradient(posterior.sample(jr.fold_in(key, sample)))
        return LogWeights(model.decoder(z).log_prob(x), prior.log_prob(z), posterior.log_prob(z))

    return over_samples(one, num_samples)


def score_function(
    bound: AbstractBound,
    weights: LogWeights,
    beta: Float[Array, ""] | float,
    baselines: Callable[[AbstractBound, Float[Array, " samples"]], Float[Array, " samples"]],
) -> Estimate:
    """The estimate for one datum from log-weights whose draws are held; `baselines` gives b_k, from the bound and all log w."""
    log_w = jax.lax.stop_gradient(weights.tempered(beta))
    ascended = bound.for_encoder
    signal = ascended.sign * (ascended(log_w) - baselines(ascended, log_w))
    direct, first, _ = path_weights(bound, log_w)
    surrogate = jnp.vdot(signal, weights.log_posterior)
    surrogate += jnp.vdot(direct, weights.log_likelihood + beta * weights.log_prior) - jnp.vdot(
        beta * first, weights.log_posterior
    )
    return estimate(surrogate, bound, weights)


def others(log_w: Float[Array, " samples"]) -> Float[Array, "samples rest"]:
    """For each sample, the log-weights of all others in their order.

    others(jnp.array([1.0, 2.0, 3.0]))  # [[2, 3], [1, 3], [1, 2]]
    """
    n = log_w.shape[0]
    place = jnp.arange(n - 1)[None]
    return log_w[place + (place >= jnp.arange(n)[:, None])]
