"""The score-function gradient: no derivative passes through the draws, so codes may be discrete.

    d E[F] = E[ sum_k (F - b_k) d log q(z_k) + sum_k F_k d log w_k ]

for any baseline b_k that does not depend on z_k (Williams 1992; Mnih & Rezende 2016).
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
from jensen.weights import LogWeights, over_samples, weigh


def held_log_weights(
    model: Model, prior: Distribution, x: Array, key: Key, num_samples: int
) -> LogWeights:
    """Compute the log-weights of one datum, with draws that are constants to differentiation.

    The leaves have shape [num_samples].
    """
    posterior = model.encoder(x)

    def sample_log_weights(sample: Array) -> LogWeights:
        z = jax.lax.stop_gradient(posterior.sample(jr.fold_in(key, sample)))
        return weigh(model, prior, x, z, posterior)

    return over_samples(sample_log_weights, num_samples)


def score_function(
    bound: AbstractBound,
    weights: LogWeights,
    beta: Float[Array, ""] | float,
    baselines: Callable[[AbstractBound, Float[Array, " samples"]], Float[Array, " samples"]],
) -> Estimate:
    """Compute the estimate for one datum from log-weights whose draws are held constant.

    `baselines` maps the bound and all log w to the baselines b_k, of shape [samples].
    """
    log_w = jax.lax.stop_gradient(weights.tempered(beta))
    ascended = bound.for_encoder
    signal = ascended.sign * (ascended(log_w) - baselines(ascended, log_w))
    path = path_weights(bound, log_w)
    # First the score term; then the direct paths of log w_k, log q's own parameters among them.
    surrogate = jnp.vdot(signal, weights.log_posterior)
    surrogate += jnp.vdot(
        path.direct, weights.log_likelihood + beta * weights.log_prior
    ) - jnp.vdot(beta * path.first, weights.log_posterior)
    return estimate(surrogate, bound, weights)


def leave_one_out(log_w: Float[Array, " samples"]) -> Float[Array, "samples rest"]:
    """For each sample, return the log-weights of all other samples in their order.

    leave_one_out(jnp.array([1.0, 2.0, 3.0]))  # [[2, 3], [1, 3], [1, 2]]
    """
    n = log_w.shape[0]
    position = jnp.arange(n - 1)[None]
    # Row k skips column k: positions from k on are shifted by one.
    return log_w[position + (position >= jnp.arange(n)[:, None])]
