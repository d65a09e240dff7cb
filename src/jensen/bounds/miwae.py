"""The mean of importance weighted bounds over groups of samples (Rainforth et al. 2018)."""

from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from jensen._types import Array, Float
from jensen.bounds._base import AbstractBound
from jensen.bounds.iwae import IWAE


class MIWAE(AbstractBound):
    """Grouped bound (1/M) sum_m log (1/K) sum_k w_mk over M = `num_groups` groups of K samples.

    It needs M K samples per datum (Rainforth et al. 2018). Its expectation is that of the
    importance weighted bound of K samples, with less noise. M = 1 is the importance weighted bound,
    K = 1 the ELBO.

    Raises:
        ValueError: if num_groups is below 1.

    Example:
        MIWAE(num_groups=8)(log_w)  # 64 log-weights: 8 groups of 8
    """

    guarantee: ClassVar[Literal["lower", "consistent"]] = "lower"
    num_groups: int

    def __init__(self, *, num_groups: int = 8):
        if num_groups < 1:
            raise ValueError(f"bound miwae: num_groups must be at least 1; got {num_groups}.")
        self.num_groups = num_groups

    def __call__(self, log_w: Float[Array, " samples"]) -> Float[Array, ""]:
        return jnp.mean(jax.vmap(IWAE())(log_w.reshape(self.num_groups, -1)))

    def derivatives(
        self, log_w: Float[Array, " samples"]
    ) -> tuple[Float[Array, " samples"], Float[Array, " samples"]]:
        first, second = jax.vmap(IWAE().derivatives)(log_w.reshape(self.num_groups, -1))
        return first.ravel() / self.num_groups, second.ravel() / self.num_groups

    def objection(self, num_samples: int) -> str | None:
        groups = self.num_groups
        if num_samples >= groups and num_samples % groups == 0:
            return None
        return (
            f"{groups} groups want a number of samples per datum that {groups} divides, for "
            f"instance --num-samples {8 * groups}; got {num_samples}. "
            "The number of groups is --set bound.num_groups."
        )
