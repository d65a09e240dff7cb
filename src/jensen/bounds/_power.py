"""Power means of the weights, which many bounds are."""

import abc

import jax

from jensen._numerics import log_mean_exp
from jensen._types import Array, Float
from jensen.bounds._base import AbstractBound


class AbstractPowerMean(AbstractBound):
    """(1/a) log (1/K) sum_k w_k^a, with an exponent a that is not 0. It rises with a, from the smallest log weight over their mean (a -> 0) to the largest.

    Renyi(alpha=0.5)(log_w)  # a = 1/2
    """

    @property
    @abc.abstractmethod
    def exponent(self) -> float:
        """a."""

    def __call__(self, log_w: Float[Array, " samples"]) -> Float[Array, ""]:
        return log_mean_exp(self.exponent * log_w) / self.exponent

    def derivatives(
        self, log_w: Float[Array, " samples"]
    ) -> tuple[Float[Array, " samples"], Float[Array, " samples"]]:
        share = jax.nn.softmax(self.exponent * log_w)
        return share, self.exponent * share * (1 - share)
