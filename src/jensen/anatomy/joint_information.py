"""I(n; z1, z2, ...) of a model of several levels, over a stated subset of the data.

The exact aggregated posterior of all levels, (1/M) sum_m q(z1, z2 | x_m), needs q(z1 | x_m, z2) for every pair of a datum and a draw: M^2 evaluations of a
network, where the top level alone needs matrix products only. So it is taken over M data, and says so: its ceiling is log M, not log N.
"""

import math
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from scipy.special import logsumexp

from jensen._types import Array, Key
from jensen.model import Model

SUBSET = 500
BLOCK = 16


@dataclass(frozen=True)
class JointInformation:
    """I(n; z) over all levels, nats per datum, with its Monte Carlo standard error, on `n` data: at most log n."""

    value: float
    standard_error: float
    n: int

    @property
    def log_n(self) -> float:
        """The ceiling, log n."""
        return math.log(self.n)


def joint_information(
    model: Model, data: np.ndarray, key: Key, *, subset: int = SUBSET
) -> JointInformation:
    """E log q(z|x_n) - log (1/M) sum_m q(z|x_m) over M data chosen at random, one draw z of all levels from each.

    Args:
        model: any whose encoder gives a distribution with sample and log_prob.
        data: [N, *event].
        key: chooses the data and the draws.
        subset: M, or all N data if they are fewer.

    Raises:
        ValueError: fewer than two data.

        joint_information(model, data.test, jax.random.key(0)).value
    """
    m = min(subset, len(data))
    if m < 2:
        raise ValueError(f"I(n; z) needs at least two data; got {m}.")
    key_choice, key_draws = jr.split(key)
    chosen = np.sort(np.asarray(jr.permutation(key_choice, len(data)))[:m])
    densities = np.asarray(
        _densities(model, jnp.asarray(data[chosen]), key_draws), np.float64
    )  # [component, draw]
    own, total = np.diagonal(densities), np.asarray(logsumexp(densities, axis=0))
    per_datum = own - (total - math.log(m))
    return JointInformation(float(per_datum.mean()), _jackknife(densities, own, total), m)


def _jackknife(densities: np.ndarray, own: np.ndarray, total: np.ndarray) -> float:
    """The standard error over random subsets: a datum that is left out takes its draw with it and its density at all other draws."""
    m = len(own)
    if m < 3:
        return math.nan
    with np.errstate(divide="ignore"):
        others = total + np.log1p(-np.exp(np.minimum(densities - total, 0.0)))  # [left out, draw]
    # A draw's own density is always in the sum: where rounding leaves less, that is all there is.
    values = own - (np.maximum(others, own) - math.log(m - 1))
    np.fill_diagonal(values, 0.0)
    means = values.sum(axis=1) / (m - 1)
    return math.sqrt((m - 1) * float(np.var(means)))


@eqx.filter_jit
def _densities(model: Model, x: Array, key: Key) -> Array:
    """log q(z_n | x_m) at [m, n]."""
    draws = jax.vmap(lambda x, n: model.encoder(x).sample(jr.fold_in(key, n)))(
        x, jnp.arange(x.shape[0])
    )

    def component(x: Array) -> Array:
        posterior = model.encoder(x)
        return jax.vmap(posterior.log_prob)(draws)

    return jax.lax.map(component, x, batch_size=BLOCK)
