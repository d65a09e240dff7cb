"""Array aliases and the one abstract thing that is not ours: a distribution is anything with `sample(key)` and `log_prob(value)`."""

from typing import Any, TypeAlias

from jax import Array as Array
from jaxtyping import Float as Float
from jaxtyping import Int as Int
from jaxtyping import PRNGKeyArray as Key
from numpyro.distributions import Distribution as Distribution

Latent: TypeAlias = Any  # one latent code; an array, or a pytree of arrays for models with several levels

__all__ = ["Array", "Distribution", "Float", "Int", "Key", "Latent"]
