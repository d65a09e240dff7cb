"""The importance weighted bound, log (1/K) sum_k w_k."""

from typing import ClassVar, Literal

from jensen._numerics import log_mean_exp
from jensen._types import Array, Float
from jensen.bounds._base import AbstractBound


class IWAE(AbstractBound):
    """log (1/K) sum_k w_k: in expectation a lower bound that tightens monotonically with K (Burda, Grosse & Salakhutdinov 2016, equation 8).

    IWAE()(log_w)  # nats; the bound itself, never the surrogate sum of normalised weights times log w
    """

    guarantee: ClassVar[Literal["lower", "consistent"]] = "lower"

    def __call__(self, log_w: Float[Array, " samples"]) -> Float[Array, ""]:
        return log_mean_exp(log_w)
