"""ELBO surgery (Hoffman & Johnson 2016), exact over the empirical data set.

    ELBO = reconstruction - I(n; z) - KL(q(z) || p(z)),      q(z) = (1/N) sum_n q(z|x_n)

with q(z) evaluated as the full N-component mixture, in float64. For z_n ~ q(z|x_n), on the same draws,

    I(n; z)     = E log q(z_n|x_n) - log q(z_n)       (at most log N)
    marginal KL = E log q(z_n)     - log p(z_n)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._numerics import diagonal_normal_log_density, mixture_log_density
from jensen._types import Array, Key
from jensen.distributions import diagonal_normal_parameters
from jensen.model import Model
from jensen.weights import pairs_at_a_time

BLOCK = 512
PAIRS = 1_000_000_000


@dataclass(frozen=True)
class Surgery:
    """The log densities of `num_draws` posterior draws per datum, float64 arrays [N, draws], nats.

    Attributes:
        log_likelihood, log_prior, log_posterior: log p(x|z), log p(z), log q(z|x).
        log_aggregated: log q(z), the exact N-component mixture.
        posterior_means, posterior_scales: of q(z|x_n), [N, D].
    """

    log_likelihood: np.ndarray
    log_prior: np.ndarray
    log_posterior: np.ndarray
    log_aggregated: np.ndarray
    posterior_means: np.ndarray
    posterior_scales: np.ndarray


def default_num_draws(n: int) -> int:
    """As many draws per datum (1 to 16) as keep the N x (N draws) pairs of the surgery near a billion.

    default_num_draws(10_000)  # 10
    """
    return int(min(16, max(1, PAIRS // n**2)))


def surgery(
    model: Model,
    data: np.ndarray,
    key: Key,
    *,
    num_draws: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Surgery:
    """Draws from the posterior of every datum, with their four log densities.

    Args:
        model: its encoder must give diagonal normals.
        data: [N, *event]; q(z) is the mixture over exactly these.
        key: with it, the datum's index and the draw's number everything random is determined.
        num_draws: per datum; by default `default_num_draws(N)`.
        on_progress: called with the number of draws done and their total.

    Returns:
        A `Surgery` record.

    Raises:
        ValueError: no data, a posterior that is not a diagonal normal, or a density that is not finite (the datum is named).

        surgery(model, data.test, jax.random.key(0)).log_aggregated
    """
    n = len(data)
    if n == 0:
        raise ValueError("no data: there is nothing to account for in an empty split.")
    draws = num_draws or default_num_draws(n)
    z, log_likelihood, log_prior, loc, scale = _draw(model, data, key, draws)
    for name, values in [("posterior scale", scale), ("log p(x|z)", log_likelihood), ("log p(z)", log_prior)]:
        bad = ~np.isfinite(values) if name != "posterior scale" else ~(np.isfinite(values) & (values > 0))
        if bad.any():
            raise ValueError(f"{name} is not finite for datum {int(np.argwhere(bad)[0][0])} ({int(bad.any(axis=1).sum())} of {n} data): no account can close.")
    log_posterior = diagonal_normal_log_density(z, loc[:, None], scale[:, None])
    flat = z.reshape(n * draws, -1)
    log_aggregated = np.empty(len(flat))
    step = max(1024, min(len(flat), 50_000_000 // n // 1024 * 1024))  # about a quarter of a second between two reports of progress
    for start in range(0, len(flat), step):
        log_aggregated[start : start + step] = mixture_log_density(flat[start : start + step], loc, scale)
        on_progress(min(start + step, len(flat)), len(flat))
    return Surgery(log_likelihood, log_prior, log_posterior, log_aggregated.reshape(n, draws), loc, scale)


def _draw(model: Model, data: np.ndarray, key: Key, draws: int) -> tuple[np.ndarray, ...]:
    block = min(max(1, pairs_at_a_time(model, data[0], BLOCK * draws) // draws), len(data))
    parts = []
    for start in range(0, len(data), block):
        index = np.minimum(np.arange(start, start + block), len(data) - 1)
        found = _densities(model, jnp.asarray(data[index]), jnp.asarray(index), key, draws)
        parts.append([np.asarray(a, np.float64)[: len(data) - start] for a in found])
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))


@eqx.filter_jit
def _densities(model: Model, x: Array, index: Array, key: Key, draws: int) -> tuple[Array, ...]:
    """(z, log p(x|z), log p(z), posterior mean, posterior scale) of a block of data."""
    prior = model.prior(model.encoder)

    def one(x, n):
        posterior = model.encoder(x)
        parameters = diagonal_normal_parameters(posterior)
        if parameters is None:
            raise ValueError("the exact aggregated posterior needs an encoder whose posterior is a diagonal normal.")
        z = jax.vmap(lambda s: posterior.sample(jr.fold_in(jr.fold_in(key, n), s)))(jnp.arange(draws))
        return z, jax.vmap(lambda z: model.decoder(z).log_prob(x))(z), jax.vmap(prior.log_prob)(z), *parameters

    return jax.vmap(one)(x, index)


def log_n(n: int) -> float:
    """The ceiling of I(n; z): log N nats.

    log_n(1000)  # 6.9078
    """
    return math.log(n)
