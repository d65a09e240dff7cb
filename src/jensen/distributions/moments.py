"""Mean and spread of any distribution, known or by draws, so that what reads codes needs no `loc` and `scale`."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution
from jensen.distributions.diagonal_normal import diagonal_normal_parameters

DRAWS = 256


def mean_of(distribution: Distribution) -> Array:
    """The mean; where the distribution knows none, that of 256 draws, made with the same numbers for every distribution.

    With the same numbers, distributions that do not differ have means that do not differ: a latent dimension that carries nothing is not taken for active.

        mean_of(encoder(x))
    """
    return _moment(distribution, "mean", lambda draws: draws.mean(axis=0))


def scale_of(distribution: Distribution) -> Array:
    """The standard deviation of each dimension; where the distribution knows none, that of 256 draws.

    scale_of(encoder(x))
    """
    normal = diagonal_normal_parameters(distribution)  # no rounding by square and root
    return (
        normal[1]
        if normal is not None
        else jnp.sqrt(_moment(distribution, "variance", lambda draws: draws.var(axis=0)))
    )


def is_discrete(distribution: Distribution) -> bool:
    """Whether log_prob is that of a probability, not of a density; False where the distribution does not say.

    is_discrete(encoder(x))
    """
    try:
        return bool(getattr(distribution, "is_discrete", False))
    except NotImplementedError:
        return False


def _moment(distribution: Any, name: str, of_draws: Any) -> Array:
    try:
        known = getattr(distribution, name, None)
    except NotImplementedError:
        known = None
    if known is not None and not is_discrete(distribution):
        return known
    draws = jax.vmap(distribution.sample)(jr.split(jr.key(0), DRAWS))
    found = of_draws(draws.astype(jnp.result_type(float)))
    # numpyro's categorical has a mean of NaN.
    return found if known is None else jnp.where(jnp.isnan(known), found, known)
