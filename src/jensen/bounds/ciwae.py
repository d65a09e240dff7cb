"""The convex combination of the ELBO and the importance weighted bound (Rainforth et al. 2018)."""

from typing import ClassVar, Literal

from jensen._types import Array, Float
from jensen.bounds._base import AbstractBound
from jensen.bounds.elbo import ELBO
from jensen.bounds.iwae import IWAE


class CIWAE(AbstractBound):
    """Combined bound b (1/K) sum_k log w_k + (1 - b) log (1/K) sum_k w_k, with b = `elbo_weight`.

    A lower bound that rises with K (Rainforth et al. 2018).

    Raises:
        ValueError: if elbo_weight lies outside [0, 1].

    Example:
        CIWAE(elbo_weight=0.5)(log_w)
    """

    guarantee: ClassVar[Literal["lower", "consistent"]] = "lower"
    elbo_weight: float

    def __init__(self, *, elbo_weight: float = 0.5):
        if not 0 <= elbo_weight <= 1:
            raise ValueError(
                "bound ciwae: elbo_weight must lie between 0 (iwae) and 1 (elbo); "
                f"got {elbo_weight}."
            )
        self.elbo_weight = elbo_weight

    def __call__(self, log_w: Float[Array, " samples"]) -> Float[Array, ""]:
        return self.elbo_weight * ELBO()(log_w) + (1 - self.elbo_weight) * IWAE()(log_w)

    def derivatives(
        self, log_w: Float[Array, " samples"]
    ) -> tuple[Float[Array, " samples"], Float[Array, " samples"]]:
        first, second = IWAE().derivatives(log_w)
        return self.elbo_weight / log_w.shape[0] + (1 - self.elbo_weight) * first, (
            1 - self.elbo_weight
        ) * second
