"""A prior as a user would write it, in a file of their own."""

PRIOR = """
import jax.numpy as jnp
from jensen.distributions import diagonal_normal
from jensen.priors import AbstractPrior


class Shifted(AbstractPrior):
    def __init__(self, latent_dim: int, *, by: float = 1.0):
        self.centre = by * jnp.ones(latent_dim)

    centre: jnp.ndarray

    def __call__(self, encoder):
        return diagonal_normal(self.centre, jnp.ones_like(self.centre))
"""
