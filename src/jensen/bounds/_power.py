"""The abstract base class of bounds that are power means of the weights."""

import abc

import jax

from jensen._numerics import log_mean_exp
from jensen._types import Array, Float
from jensen.bounds._base import AbstractBound


class AbstractPowerMean(AbstractBound):
    """Power mean (1/a) log (1/K) sum_k w_k^a of the weights, with exponent a other than 0.

    It rises with a: towards the mean of log w as a -> 0, towards the largest log w as a ->
    infinity.

        Renyi(alpha=0.5)(log_w)  # a = 1/2
    """

    @property
    @abc.abstractmethod
    def exponent(self) -> float:
        """The exponent a."""

    def __call__(self, log_w: Float[Array, " samples"]) -> Float[Array, ""]:
        return log_mean_exp(self.exponent * log_w) / self.exponent

    def derivatives(
        self, log_w: Float[Array, " samples"]
    ) -> tuple[Float[Array, " samples"], Float[Array, " samples"]]:
        # F_k is a softmax, so the diagonal of the Hessian is F_kk = a F_k (1 - F_k).
        share = jax.nn.softmax(self.exponent * log_w)
        return share, self.exponent * share * (1 - share)
