"""The ELBO over draws that stay the same, climbed as any smooth function (sample-average
approximation: Giordano et al. 2018; 2024, "DADVI").

    F(q) = sum_t share_t log p(x, u_t(q)) + H(q),        u_t = T(e_t; q), e_t fixed

The noise e comes from scrambled Sobol points, in pairs e and -e, with mean 0 and unit covariance,
so that F is the ELBO itself where log p is quadratic. How many draws: enough that the parameters
could not fit the noise, S >= 10 x parameters / D and S > 4 x noise_size, and at least 256; F's
optimum is checked on fresh draws by the caller.
"""

import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from scipy.stats import qmc

from jensen._parameters import partition
from jensen._types import Array, Float, Key
from jensen.variational._climb import climb
from jensen.variational._compilation import quick_jit
from jensen.variational._density import BLOCK, Density
from jensen.variational.families import AbstractFamily, Spread

LEAST = 256


class Fixed(NamedTuple):
    """A family after the climb: F at its end (nats), evaluations of all draws, whether it
    converged, and why it ended.
    """

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


class Objective:
    """F as a function of a family's parameters in one vector: their points by one small program,
    their log-densities by the target's, and back to the parameters by another.

    Objective(Density(target), family, noise).at(Objective(...).place)
    """

    def __init__(
        self, density: Density, family: AbstractFamily, noise: Float[Array, "draws noise"]
    ):
        self.density = density
        # F is the mean over equal blocks of draws of what it is of each, so that more draws need no
        # other program.
        blocks = len(noise) // BLOCK if len(noise) % BLOCK == 0 else 1
        self._blocks = np.split(np.asarray(noise), blocks)
        parts = partition(family)
        self._template, self._rest = parts.parameters, (parts.constants, parts.static)
        self.place = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(parts.parameters)])

    def at(self, place: np.ndarray) -> tuple[float, np.ndarray]:
        """(F in nats, its gradient [P])."""
        total, gradient = 0.0, np.zeros_like(place)
        for noise in self._blocks:
            spread, pull = _spread(place, self._template, self._rest, noise)
            shares = np.asarray(spread.shares)
            values, slopes = self.density(np.asarray(spread.points))
            total += float(shares @ values + spread.entropy)
            back: Any = (
                shares[:, None] * slopes,
                values,
                np.ones(()),
            )  # F's slopes in points, shares and entropy
            gradient += np.asarray(_pulled_back(pull, Spread(*back)))
        return total / len(self._blocks), gradient / len(self._blocks)

    def family(self, place: np.ndarray) -> AbstractFamily:
        """The member with these parameters."""
        return jax.tree.map(
            lambda leaf: jnp.asarray(leaf) if isinstance(leaf, np.ndarray) else leaf,
            _member(place, self._template, self._rest),
        )


def _member(flat: Any, template: Any, rest: tuple[Any, Any]) -> AbstractFamily:
    leaves, structure = jax.tree.flatten(template)
    ends = np.cumsum([leaf.size for leaf in leaves])
    parts = [
        flat[end - leaf.size : end].reshape(leaf.shape)
        for leaf, end in zip(leaves, ends, strict=True)
    ]
    return eqx.combine(jax.tree.unflatten(structure, parts), *rest)


@quick_jit
def _spread(flat: Array, template: Any, rest: tuple[Any, Any], noise: Array) -> tuple[Spread, Any]:
    """The member's points, shares and entropy, and what takes slopes in these back to the
    parameters.
    """
    return jax.vjp(lambda flat: _member(flat, template, rest).spread(noise), flat)


@quick_jit
def _pulled_back(pull: Any, slopes: Spread) -> Array:
    return pull(slopes)[0]


def fit_fixed_draws(
    density: Density, family: AbstractFamily, key: Key, *, num_draws: int, max_evaluations: int
) -> Fixed:
    """The family's member that maximises F, from its present parameters on.

    fit_fixed_draws(Density(target), MeanField(start), key, num_draws=256,
    max_evaluations=2000).family
    """
    objective = Objective(density, family, fixed_noise(family, key, num_draws))
    found = climb(objective.at, objective.place, max_evaluations=max_evaluations)
    return Fixed(
        objective.family(found.place),
        found.value,
        found.evaluations,
        found.converged,
        found.message,
    )
