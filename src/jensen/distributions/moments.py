"""Mean and standard deviation of any distribution, in closed form or by draws."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution
from jensen.distributions.diagonal_normals import diagonal_normal_parameters

DRAWS = 256  # for a moment without a closed form


def mean_of(distribution: Distribution) -> Array:
    """Return the mean; without a closed form, the mean of 256 draws.

    The draws use the same random numbers for every distribution, so that equal distributions have
    equal means: a latent dimension that carries no information is not taken for an active one.

        mean_of(encoder(x))
    """
    return _moment(distribution, "mean", lambda draws: draws.mean(axis=0))


def scale_of(distribution: Distribution) -> Array:
    """Return the standard deviation of each dimension; without a closed form, that of 256 draws.

    scale_of(encoder(x))
    """
    normal = diagonal_normal_parameters(distribution)  # its scale, without squaring and rooting
    return (
        normal[1]
        if normal is not None
        else jnp.sqrt(_moment(distribution, "variance", lambda draws: draws.var(axis=0)))
    )


def is_discrete(distribution: Distribution) -> bool:
    """Whether log_prob is a log probability and not a log density; False if undeclared.

    is_discrete(encoder(x))
    """
    try:
        return bool(getattr(distribution, "is_discrete", False))
    except NotImplementedError:
        return False


def _moment(distribution: Any, name: str, of_draws: Any) -> Array:
    try:
        exact = getattr(distribution, name, None)
    except NotImplementedError:
        exact = None
    if exact is not None and not is_discrete(distribution):
        return exact
    draws = jax.vmap(distribution.sample)(jr.split(jr.key(0), DRAWS))
    estimate = of_draws(draws.astype(jnp.result_type(float)))
    # numpyro's categorical has a mean of NaN.
    return estimate if exact is None else jnp.where(jnp.isnan(exact), estimate, exact)
