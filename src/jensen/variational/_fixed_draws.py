"""The ELBO over draws that stay the same, climbed as any smooth function (sample-average approximation: Giordano et al. 2018; 2024, "DADVI").

    F(q) = sum_t share_t log p(x, u_t(q)) + H(q),        u_t = T(e_t; q), e_t fixed

The noise e comes from scrambled Sobol points, in pairs e and -e, with mean 0 and unit covariance, so that F is the ELBO itself where log p is quadratic. How
many draws: enough that the parameters could not fit the noise, S >= 10 x parameters / D and S > 4 x noise_size, and at least 256; F's optimum is checked on
fresh draws by the caller.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.stats import qmc

from jensen._parameters import partition
from jensen._types import Array, Float, Key
from jensen.variational._climb import climb
from jensen.variational.families import AbstractFamily
from jensen.variational.target import Target

LEAST = 256


class Fixed(NamedTuple):
    """A family after the climb: F at its end (nats), evaluations of all draws, whether it converged, and why it ended."""

    family: AbstractFamily
    value: float
    evaluations: int
    converged: bool
    message: str


def how_many_draws(family: AbstractFamily, dim: int) -> int:
    """A power of 2 that is at least 256, 10 x parameters / D and 4 x noise_size."""
    parameters = sum(leaf.size for leaf in jax.tree.leaves(partition(family).parameters))
    return 2 ** math.ceil(math.log2(max(LEAST, 10 * parameters / dim, 4 * family.noise_size + 2)))


def fixed_noise(family: AbstractFamily, key: Key, num_draws: int) -> Float[Array, "draws noise"]:
    """Noise [S, noise_size] for a family, decided by the key."""
    seed = np.asarray(jr.key_data(key)).ravel()
    points = qmc.Sobol(family.noise_size, rng=np.random.default_rng(seed)).random(num_draws)
    return jnp.asarray(family.noise(np.clip(points, 1e-12, 1 - 1e-12)))


def objective(target: Target, family: AbstractFamily, noise: Float[Array, "draws noise"]) -> Float[Array, ""]:
    """F, nats."""
    spread = family.spread(noise)
    return jnp.vdot(spread.shares, jax.vmap(target.log_density)(spread.points)) + spread.entropy


@eqx.filter_jit
def _value_and_gradient(flat: Array, unravel, rest, target: Target, noise: Array):
    return jax.value_and_grad(lambda flat: objective(target, eqx.combine(unravel(flat), rest), noise))(flat)


def fit_fixed_draws(target: Target, family: AbstractFamily, key: Key, *, num_draws: int, max_evaluations: int) -> Fixed:
    """The family's member that maximises F, from its present parameters on.

    fit_fixed_draws(target, MeanField(start), key, num_draws=256, max_evaluations=2000).family
    """
    noise = fixed_noise(family, key, num_draws)
    parts = partition(family)
    flat, unravel = ravel_pytree(parts.parameters)
    rest = eqx.combine(parts.constants, parts.static)

    def at(place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, gradient = _value_and_gradient(jnp.asarray(place), unravel, rest, target, noise)
        return np.asarray(value), np.asarray(gradient)

    found = climb(at, np.asarray(flat), max_evaluations=max_evaluations)
    return Fixed(eqx.combine(unravel(jnp.asarray(found.place)), rest), found.value, found.evaluations, found.converged, found.message)
