"""The standard normal prior, p(z) = N(0, I), or N(0, scale^2 I) with a fixed scale."""

import math
from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from jensen._types import Array, Distribution
from jensen.distributions import diagonal_normal
from jensen.priors._base import AbstractPrior


class StandardNormal(AbstractPrior):
    """Standard normal over `latent_dim` dimensions.

    `scale` is its standard deviation in every dimension, and is not trained. A trained encoder and
    decoder absorb it by a change of z's unit (docs/temperature.md): the option serves to show this,
    and models whose decoder is fixed.

    Raises:
        ValueError: if scale is not positive and finite.

    Example:
        StandardNormal(2)(encoder).log_prob(jnp.zeros(2))  # -1.8379
    """

    usual_for: ClassVar[str] = "continuous"

    latent_dim: int = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    def __init__(self, latent_dim: int, *, scale: float = 1.0):
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(
                f"prior standard_normal: scale must be positive and finite; got {scale}. 1 is the "
                "standard normal."
            )
        self.latent_dim = latent_dim
        self.scale = scale

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        del encoder
        return diagonal_normal(jnp.zeros(self.latent_dim), self.scale * jnp.ones(self.latent_dim))
