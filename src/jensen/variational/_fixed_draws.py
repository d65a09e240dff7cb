"""The ELBO over fixed draws, maximised like any smooth function (sample-average approximation:
Giordano et al. 2018; 2024, "DADVI").

    F(q) = sum_t share_t log p(x, u_t(q)) + H(q),        u_t = T(e_t; q), e_t fixed

The noise e comes from scrambled Sobol points, in pairs e and -e, with mean 0 and unit covariance,
so that F is the ELBO itself where log p is quadratic. The number of draws is large enough that the
parameters cannot fit the noise: S >= 10 x parameters / D, S > 4 x noise_size, and at least 256. The
caller checks F's optimum on fresh draws.

Linear response (Giordano, Broderick & Jordan 2018, section 3) gives the standard deviations that a
mean-field fit lacks, from the response of its means to a tilt of the log-density:

    max over q of F(q) + t . E_q u:    d E_q u / dt = - [H^-1] in the block of the means,

with H the second derivatives of F in the parameters of q. For a normal target that is the exact
covariance, which the fit's own variances are not.
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
from jensen.variational._compilation import quick_jit
from jensen.variational._density import BLOCK, Density
from jensen.variational._lbfgs import maximise
from jensen.variational.families import AbstractFamily, Spread
from jensen.variational.families.mean_field import MeanField

LEAST = 256  # draws
MOST_FOR_RESPONSE = 1000  # dimensions of linear response
# of a difference, in the parameters' units, in which F's curvature is about 1
RESPONSE_STEP = 1e-3


class FixedDrawsFit(NamedTuple):
    """The fitted family, F at the end (nats), the evaluations of all draws, whether it converged,
    and why it ended.
    """

    family: AbstractFamily
    value: float
    evaluations: int
    converged: bool
    message: str


def num_fixed_draws(family: AbstractFamily, dim: int) -> int:
    """The default number of draws: a power of 2, at least 256, 10 x parameters / D and 4 x
    noise_size.
    """
    parameters = sum(leaf.size for leaf in jax.tree.leaves(partition(family).parameters))
    return 2 ** math.ceil(math.log2(max(LEAST, 10 * parameters / dim, 4 * family.noise_size + 2)))


def fixed_noise(family: AbstractFamily, key: Key, num_draws: int) -> Float[Array, "draws noise"]:
    """Makes noise [S, noise_size] for a family from scrambled Sobol points, seeded by the key."""
    seed = np.asarray(jr.key_data(key)).ravel()
    points = qmc.Sobol(family.noise_size, rng=np.random.default_rng(seed)).random(num_draws)
    return jnp.asarray(family.noise(np.clip(points, 1e-12, 1 - 1e-12)))


class Objective:
    """F as a function of a family's parameters in one vector [P].

    One small program computes the points, the target's program their log-densities, and another
    small one pulls the gradient back to the parameters, so that a large target compiles once.

    Objective(Density(target), family, noise).at(Objective(...).place)
    """

    def __init__(
        self, density: Density, family: AbstractFamily, noise: Float[Array, "draws noise"]
    ):
        self.density = density
        # F is the mean of its values over equal blocks of draws, so that more draws need no new
        # program.
        blocks = len(noise) // BLOCK if len(noise) % BLOCK == 0 else 1
        self._blocks = np.split(np.asarray(noise), blocks)
        parts = partition(family)
        self._template, self._rest = parts.parameters, (parts.constants, parts.static)
        self.place = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(parts.parameters)])

    def at(self, place: np.ndarray) -> tuple[float, np.ndarray]:
        """Computes (F in nats, its gradient [P])."""
        total, gradient = 0.0, np.zeros_like(place)
        for noise in self._blocks:
            spread, pull = _spread(place, self._template, self._rest, noise)
            shares = np.asarray(spread.shares)
            values, slopes = self.density(np.asarray(spread.points))
            total += float(shares @ values + spread.entropy)
            # The derivatives of F in points, shares and entropy.
            cotangents: Any = (shares[:, None] * slopes, values, np.ones(()))
            gradient += np.asarray(_pull_back(pull, Spread(*cotangents)))
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
    """Computes the member's points, shares and entropy, and the function that pulls derivatives in
    these back to the parameters.
    """
    return jax.vjp(lambda flat: _member(flat, template, rest).spread(noise), flat)


@quick_jit
def _pull_back(pull: Any, slopes: Spread) -> Array:
    return pull(slopes)[0]


def fit_fixed_draws(
    density: Density, family: AbstractFamily, key: Key, *, num_draws: int, max_evaluations: int
) -> FixedDrawsFit:
    """Maximises F over the family's parameters, from its present ones.

    fit = fit_fixed_draws(density, MeanField(start), key, num_draws=256, max_evaluations=2000)
    fit.family
    """
    objective = Objective(density, family, fixed_noise(family, key, num_draws))
    maximum = maximise(objective.at, objective.place, max_evaluations=max_evaluations)
    return FixedDrawsFit(
        objective.family(maximum.place),
        maximum.value,
        maximum.evaluations,
        maximum.converged,
        maximum.message,
    )


def linear_response(
    density: Density, family: MeanField, noise: Float[Array, "draws noise"]
) -> np.ndarray | None:
    """Computes the covariance [D, D] of u by linear response at a maximum of F.

    None if F has no maximum there, or if D is above 1000. F's second derivatives are differences of
    its gradient.

    linear_response(Density(target), fit.family, noise)
    """
    if density.target.size > MOST_FOR_RESPONSE:
        return None
    objective = Objective(density, family, noise)
    steps = RESPONSE_STEP * np.eye(len(objective.place))
    slopes = np.stack(
        [
            objective.at(objective.place + step)[1] - objective.at(objective.place - step)[1]
            for step in steps
        ]
    ) / (2 * RESPONSE_STEP)
    curvature = -(slopes + slopes.T) / 2
    if not np.isfinite(curvature).all() or np.linalg.eigvalsh(curvature).min() <= 0:
        return None

    # m = loc + L shift, and shift is the first of the parameters.
    response = np.concatenate(
        [np.asarray(family.start.scale_tril), np.zeros((density.target.size, density.target.size))],
        axis=1,
    )
    return response @ np.linalg.solve(curvature, response.T)
