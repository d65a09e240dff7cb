"""The Bernoulli likelihood for binary data: p(x|z) = prod_i Bernoulli(x_i; sigmoid(l_i))."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from jensen._types import Array, Float
from jensen.distributions import Bernoulli as BernoulliDistribution
from jensen.likelihoods._base import AbstractLikelihood, DataSummary, event_size


class Bernoulli(AbstractLikelihood):
    """Independent Bernoulli elements; the decoder gives their logits.

    The last biases start at the logits of the data's element means, clipped to [.001, .999] (Burda
    et al. 2016).

        Bernoulli((8, 8), data=None)(logits).log_prob(x)
    """

    support: ClassVar[str] = "0 and 1"
    event_shape: tuple[int, ...] = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...], data: DataSummary | None):
        del data  # only the initial biases depend on it
        self.event_shape = event_shape
        self.num_outputs = event_size(event_shape)

    def __call__(self, outputs: Float[Array, " outputs"]) -> BernoulliDistribution:
        return BernoulliDistribution(outputs.reshape(self.event_shape))

    def initial_bias(self, data: DataSummary | None) -> Float[Array, " outputs"]:
        if data is None:
            return jnp.zeros(self.num_outputs)
        mean = np.clip(data.mean, 0.001, 0.999).ravel()
        return jnp.asarray(np.log(mean / (1 - mean)))

    @property
    def interval(self) -> tuple[float, float]:
        return 0.0, 1.0

    @classmethod
    def outside(cls, values: np.ndarray) -> np.ndarray:
        return (values != 0) & (values != 1)
