"""The normal with a full covariance."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from jensen._parameters import constant
from jensen._types import Array, Distribution, Float
from jensen.distributions import full_normal
from jensen.variational.families._base import (
    AbstractFamily,
    Spread,
    Start,
    equal_shares,
    log_diagonal_sum,
    matched_normal,
    moved,
    normal_entropy,
    triangular,
)


class FullRank(AbstractFamily):
    """N(m, L' L'^T) of u, with m = loc + L shift and L' = L C, C lower triangular with a positive
    diagonal, I at the start.

    FullRank(Start(jnp.zeros(2), jnp.eye(2)))().log_prob(jnp.zeros(2))  # -1.8379
    """

    reparameterised: ClassVar[bool] = True
    richness: ClassVar[int] = 1
    shift: Float[Array, " dim"]
    log_diagonal: Float[Array, " dim"]
    below: Float[Array, " pairs"]
    start: Start = constant()

    def __init__(self, start: Start):
        dim = len(start.loc)
        self.start = start
        self.shift = jnp.zeros_like(start.loc)
        self.log_diagonal = jnp.zeros_like(start.loc)
        self.below = jnp.zeros(dim * (dim - 1) // 2, start.loc.dtype)

    def __call__(self) -> Distribution:
        return full_normal(*self.parameters())

    def parameters(self) -> tuple[Float[Array, " dim"], Float[Array, "dim dim"]]:
        """Returns (m, L')."""
        dim = self.noise_size
        below = jnp.zeros((dim, dim), self.below.dtype).at[np.tril_indices(dim, -1)].set(self.below)
        return moved(self.start, self.shift), self.start.scale_tril @ triangular(
            self.log_diagonal, below
        )

    def spread(self, noise: Float[Array, "draws noise"]) -> Spread:
        loc, scale_tril = self.parameters()
        return Spread(
            loc + noise @ scale_tril.T,
            equal_shares(len(noise)),
            log_diagonal_sum(scale_tril) + normal_entropy(self.noise_size),
        )

    @property
    def noise_size(self) -> int:
        return len(self.shift)

    def noise(self, uniforms: np.ndarray) -> np.ndarray:
        return matched_normal(uniforms)
