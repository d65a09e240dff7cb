"""What a gradient estimator is."""

import abc

import equinox as eqx

from jensen._types import Array, Distribution, Float, Key
from jensen.bounds import AbstractBound
from jensen.model import Model


class Estimate(eqx.Module):
    """What one datum gives to a training step, nats. Only `surrogate` is ever differentiated and it is never reported; `bound` is at beta = 1."""

    surrogate: Float[Array, ""]
    bound: Float[Array, ""]
    reconstruction: Float[Array, ""]
    average_kl: Float[Array, ""]


class AbstractGradientEstimator(eqx.Module):
    """(bound, model, prior, x, key) -> a surrogate whose gradient estimates that of the tempered bound, for one datum."""

    @abc.abstractmethod
    def check(self, bound: AbstractBound, model: Model, num_samples: int) -> None:
        """Raises ValueError, with the reason and the estimators that would do, when this combination is not valid."""

    @abc.abstractmethod
    def surrogate(
        self, bound: AbstractBound, model: Model, prior: Distribution, x: Array, key: Key, *, num_samples: int, beta: Float[Array, ""] | float
    ) -> Estimate:
        """The estimate for one datum; `prior` is model.prior(model.encoder), made once per step."""
