"""p(z) = N(0, I)."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from jensen._types import Array, Distribution
from jensen.distributions import diagonal_normal
from jensen.priors._base import AbstractPrior


class StandardNormal(AbstractPrior):
    """The standard normal over `latent_dim` dimensions; it knows nothing of the data.

    StandardNormal(2)(encoder).log_prob(jnp.zeros(2))  # -1.8379
    """

    latent_dim: int = eqx.field(static=True)

    def __init__(self, latent_dim: int):
        self.latent_dim = latent_dim

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        del encoder
        return diagonal_normal(jnp.zeros(self.latent_dim), jnp.ones(self.latent_dim))
