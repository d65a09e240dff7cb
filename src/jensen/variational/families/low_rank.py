"""The normal whose covariance is a diagonal plus a low-rank matrix."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from jensen._parameters import constant
from jensen._types import Array, Distribution, Float
from jensen.variational.families._base import (
    AbstractFamily,
    Spread,
    Start,
    equal_shares,
    matched_normal,
    moved,
    normal_entropy,
)

LEAST_DIAGONAL = 0.05  # of a coordinate's variance at the start


class LowRank(AbstractFamily):
    """N(m, diag(d^2) + F F^T) of u, F [D, rank] (Ong, Nott & Smith 2018): D (rank + 2) parameters
    where full_rank has D (D + 3) / 2. At the start F holds the leading directions of the start's
    correlations.

    Args:
        start: the normal at the start of the fit.
        rank: how many directions; at most D are kept.

    Raises:
        ValueError: a rank below 1.

        LowRank(Start(jnp.zeros(2), jnp.eye(2)), rank=1)().log_prob(jnp.zeros(2))
    """

    reparameterised: ClassVar[bool] = True
    shift: Float[Array, " dim"]
    log_ratio: Float[Array, " dim"]
    factor: Float[Array, "dim rank"]
    start: Start = constant()
    unit: Float[Array, " dim"] = constant()

    def __init__(self, start: Start, *, rank: int = 5):
        if rank < 1 or rank != int(rank):
            raise ValueError(
                f"family low_rank: rank must be a whole number, at least 1; got {rank}. For a "
                "diagonal covariance take mean_field."
            )
        dim = len(start.loc)
        covariance = start.scale_tril @ start.scale_tril.T
        self.unit = jnp.sqrt(jnp.diagonal(covariance))
        values, vectors = jnp.linalg.eigh(covariance / jnp.outer(self.unit, self.unit))
        num_directions = min(rank, dim)
        # The remaining directions share their mean variance.
        rest = jnp.mean(values[: dim - num_directions]) if num_directions < dim else 0.5 * values[0]
        self.factor = vectors[:, dim - num_directions :] * jnp.sqrt(
            jnp.maximum(values[dim - num_directions :] - rest, 1e-4)
        )
        self.log_ratio = 0.5 * jnp.log(
            jnp.maximum(1 - jnp.sum(jnp.square(self.factor), axis=1), LEAST_DIAGONAL)
        )
        self.shift = jnp.zeros_like(start.loc)
        self.start = start

    def __call__(self) -> Distribution:
        loc, factor, scale = self.parameters()
        return dist.LowRankMultivariateNormal(loc, factor, jnp.square(scale), validate_args=False)

    def parameters(
        self,
    ) -> tuple[Float[Array, " dim"], Float[Array, "dim rank"], Float[Array, " dim"]]:
        """(m, F, d)."""
        return (
            moved(self.start, self.shift),
            self.unit[:, None] * self.factor,
            self.unit * jnp.exp(self.log_ratio),
        )

    def spread(self, noise: Float[Array, "draws noise"]) -> Spread:
        loc, factor, scale = self.parameters()
        dim, rank = factor.shape
        points = loc + noise[:, :dim] * scale + noise[:, dim:] @ factor.T
        # |diag(d^2) + F F^T| = |d|^2 |I + F^T diag(d^-2) F|
        inner = jnp.eye(rank) + (factor / scale[:, None]).T @ (factor / scale[:, None])
        log_determinant = 2 * jnp.sum(jnp.log(scale)) + jnp.linalg.slogdet(inner)[1]
        return Spread(points, equal_shares(len(noise)), 0.5 * log_determinant + normal_entropy(dim))

    @property
    def noise_size(self) -> int:
        return sum(self.factor.shape)

    def noise(self, uniforms: np.ndarray) -> np.ndarray:
        return matched_normal(uniforms)
