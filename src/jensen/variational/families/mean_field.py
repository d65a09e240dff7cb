"""The mean-field normal, with independent coordinates."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from jensen._parameters import constant
from jensen._types import Array, Distribution, Float
from jensen.distributions import diagonal_normal
from jensen.variational.families._base import (
    AbstractFamily,
    Spread,
    Start,
    equal_shares,
    matched_normal,
    moved,
    normal_entropy,
)


class MeanField(AbstractFamily):
    """N(m, diag(s^2)) of u, with m = loc + L shift and s = s0 exp(log_ratio), s0 the best
    mean-field scales of the start.

    For a normal target it is too narrow: s_i^2 = 1 / precision_ii (Bishop 2006, section 10.1.2).
    The fit's linear-response standard deviations correct that.

    MeanField(Start(jnp.zeros(2), jnp.eye(2)))().log_prob(jnp.zeros(2))  # -1.8379
    """

    reparameterised: ClassVar[bool] = True
    shift: Float[Array, " dim"]
    log_ratio: Float[Array, " dim"]
    start: Start = constant()
    unit: Float[Array, " dim"] = constant()

    def __init__(self, start: Start):
        self.start, self.unit = start, start.conditional_scale()
        self.shift = jnp.zeros_like(start.loc)
        self.log_ratio = jnp.zeros_like(start.loc)

    def __call__(self) -> Distribution:
        return diagonal_normal(*self.parameters())

    def parameters(self) -> tuple[Float[Array, " dim"], Float[Array, " dim"]]:
        """Returns (m, s)."""
        return moved(self.start, self.shift), self.unit * jnp.exp(self.log_ratio)

    def spread(self, noise: Float[Array, "draws noise"]) -> Spread:
        loc, scale = self.parameters()
        return Spread(
            loc + scale * noise,
            equal_shares(len(noise)),
            jnp.sum(jnp.log(scale)) + normal_entropy(self.noise_size),
        )

    @property
    def noise_size(self) -> int:
        return len(self.shift)

    def noise(self, uniforms: np.ndarray) -> np.ndarray:
        return matched_normal(uniforms)
