"""Standard deviations that a mean-field fit lacks: how its means respond to a tilt of the log-density (Giordano, Broderick & Jordan 2018, section 3).

    max over q of F(q) + t . E_q u:    d E_q u / dt = - [H^-1] in the block of the means,    H the second derivatives of F in the parameters of q

For a normal target that is the exact covariance, which the fit's own variances are not.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from jensen._parameters import partition
from jensen._types import Array, Float
from jensen.variational._fixed_draws import objective
from jensen.variational.families.mean_field import MeanField
from jensen.variational.target import Target

MOST = 1000  # dimensions


@eqx.filter_jit
def _second_derivatives(flat: Array, unravel, rest, target: Target, noise: Array) -> tuple[Array, Array]:
    slope = jax.grad(lambda flat: objective(target, eqx.combine(unravel(flat), rest), noise))
    means = jax.jacfwd(lambda flat: eqx.combine(unravel(flat), rest).parameters()[0])(flat)
    return jax.lax.map(lambda e: jax.jvp(slope, (flat,), (e,))[1], jnp.eye(len(flat)), batch_size=128), means


def linear_response(target: Target, family: MeanField, noise: Float[Array, "draws noise"]) -> np.ndarray | None:
    """The covariance [D, D] of u by linear response at a maximum of F; None where F has no maximum there, or D is above 1000.

    linear_response(target, fit.family, noise)
    """
    if target.size > MOST:
        return None
    parts = partition(family)
    flat, unravel = ravel_pytree(parts.parameters)
    second, means = _second_derivatives(flat, unravel, eqx.combine(parts.constants, parts.static), target, noise)
    curvature, means = -np.asarray(second), np.asarray(means)
    curvature = (curvature + curvature.T) / 2
    if not np.isfinite(curvature).all() or np.linalg.eigvalsh(curvature).min() <= 0:
        return None
    return means @ np.linalg.solve(curvature, means.T)
