"""ELBO surgery (Hoffman & Johnson 2016), exact over the empirical data set.

    ELBO = reconstruction - I(n; z) - KL(q(z) || p(z)),      q(z) = (1/N) sum_n q(z|x_n)

with q(z) evaluated as the full N-component mixture, in float64. For z_n ~ q(z|x_n), on the same draws,

    I(n; z)     = E log q(z_n|x_n) - log q(z_n)       (at most log N)
    marginal KL = E log q(z_n)     - log p(z_n)

In a model of several levels the datum decides one of them by itself, the root; its q(z) is the mixture. Inferred from the top downwards, z is the top level
here, and each level below adds its own KL, E log q(z_l|x, z_{l+1}) - log p(z_l|z_{l+1}). Inferred from the data upwards, z is all levels: the others know the
datum through the root alone, so that I(n; z_1 .. z_L) = I(n; z_1) and log q(z_1 .. z_L) = log q(z_1) + sum_l log q(z_{l+1}|z_l).
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
from jensen._types import Array, Distribution, Key
from jensen.distributions import diagonal_normal_parameters, level_log_probs, root_code, root_of
from jensen.model import Model
from jensen.weights import pairs_at_a_time

BLOCK = 512
PAIRS = 1_000_000_000


@dataclass(frozen=True)
class Surgery:
    """The log densities of `num_draws` posterior draws per datum, float64 arrays [N, draws], nats.

    Attributes:
        log_likelihood: log p(x|z).
        level_log_priors, level_log_posteriors: log p and log q of each level, [levels, N, draws], the top last.
        log_aggregated: log q(z) of the root level, the exact N-component mixture.
        posterior_means, posterior_scales: of the root level of q(z|x_n), [N, D].
        z: the draws themselves, of the root level, [N, draws, D].
        indexed: the levels that I(n; z) and the marginal KL speak of, the root first: those that know the datum through the root alone.
    """

    log_likelihood: np.ndarray
    level_log_priors: np.ndarray
    level_log_posteriors: np.ndarray
    log_aggregated: np.ndarray
    posterior_means: np.ndarray
    posterior_scales: np.ndarray
    z: np.ndarray
    indexed: tuple[int, ...] = (-1,)

    @property
    def index_information(self) -> np.ndarray:
        """log q(z|x_n) - log q(z) of the indexed levels."""
        return self.level_log_posteriors[self.indexed[0]] - self.log_aggregated

    @property
    def marginal_kl(self) -> np.ndarray:
        """log q(z) - log p(z) of the indexed levels."""
        indexed = list(self.indexed)
        return self.log_aggregated + self.level_log_posteriors[indexed[1:]].sum(axis=0) - self.level_log_priors[indexed].sum(axis=0)

    @property
    def log_prior(self) -> np.ndarray:
        """log p(z), over all levels."""
        return self.level_log_priors.sum(axis=0)

    @property
    def log_posterior(self) -> np.ndarray:
        """log q(z|x), over all levels."""
        return self.level_log_posteriors.sum(axis=0)


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
        model: its encoder must give diagonal normals (at the root level).
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
    z, log_likelihood, log_priors, log_posteriors, loc, scale = posterior_draws(model, data, key, draws)
    below = zip(("log p(z)", "log q(z|x)"), (log_priors.reshape(n, -1), log_posteriors.reshape(n, -1)), strict=True)
    for name, values in [("posterior scale", scale), ("log p(x|z)", log_likelihood), *below]:
        bad = ~np.isfinite(values) if name != "posterior scale" else ~(np.isfinite(values) & (values > 0))
        if bad.any():
            raise ValueError(f"{name} is not finite for datum {int(np.argwhere(bad)[0][0])} ({int(bad.any(axis=1).sum())} of {n} data): no account can close.")
    indexed = tuple(range(log_posteriors.shape[-1])) if model.encoder.bottom_up else (-1,)
    # The root level again in float64 from the same z, so that it closes with log q(z) at any scale.
    log_posteriors[..., indexed[0]] = diagonal_normal_log_density(z, loc[:, None], scale[:, None])
    flat = z.reshape(n * draws, -1)
    log_aggregated = np.empty(len(flat))
    step = max(1024, min(len(flat), 50_000_000 // n // 1024 * 1024))  # about a quarter of a second between two reports of progress
    for start in range(0, len(flat), step):
        log_aggregated[start : start + step] = mixture_log_density(flat[start : start + step], loc, scale)
        on_progress(min(start + step, len(flat)), len(flat))
    level_log_priors, level_log_posteriors = (np.moveaxis(a, -1, 0) for a in (log_priors, log_posteriors))
    return Surgery(log_likelihood, level_log_priors, level_log_posteriors, log_aggregated.reshape(n, draws), loc, scale, z, indexed)


def posterior_draws(model: Model, data: np.ndarray, key: Key, draws: int, *, block: int | None = None) -> tuple[np.ndarray, ...]:
    """(z [N, draws, D], log p(x|z) [N, draws], log p and log q level by level [N, draws, levels], posterior means and scales [N, D]), float64 arrays, `block`
    data at a time; z, means and scales are those of the root level.

    The draws are those of `surgery` and, with its key, of importance sampling: they depend on the key, the datum's index and the draw's number alone.
    """
    if block is None:
        block = max(1, pairs_at_a_time(model, data[0], BLOCK * draws) // draws)
    block = min(block, len(data))
    prior = model.prior(model.encoder)  # once for all blocks: a prior may encode thousands of rows
    parts = []
    for start in range(0, len(data), block):
        index = np.minimum(np.arange(start, start + block), len(data) - 1)
        found = _densities(model, prior, jnp.asarray(data[index]), jnp.asarray(index), key, draws)
        parts.append([np.asarray(a, np.float64)[: len(data) - start] for a in found])
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))


@eqx.filter_jit
def _densities(model: Model, prior: Distribution, x: Array, index: Array, key: Key, draws: int) -> tuple[Array, ...]:
    """(z, log p(x|z), log p and log q level by level, posterior mean, posterior scale) of a block of data; z, mean and scale are those of the root level."""

    def one(x, n):
        posterior = model.encoder(x)
        parameters = diagonal_normal_parameters(root_of(posterior))
        if parameters is None:
            raise ValueError("the exact aggregated posterior needs an encoder whose posterior is a diagonal normal.")

        def draw(s):
            z = posterior.sample(jr.fold_in(jr.fold_in(key, n), s))
            return root_code(posterior, z), model.decoder(z).log_prob(x), level_log_probs(prior, z), level_log_probs(posterior, z)

        return *jax.vmap(draw)(jnp.arange(draws)), *parameters

    return jax.vmap(one)(x, index)


def log_n(n: int) -> float:
    """The ceiling of I(n; z): log N nats.

    log_n(1000)  # 6.9078
    """
    return math.log(n)
