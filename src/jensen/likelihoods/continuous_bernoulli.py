"""The continuous Bernoulli likelihood for grey values in [0, 1].

    p(x|z) = prod_i C(lambda_i) lambda_i^x_i (1 - lambda_i)^(1 - x_i)

It is a density (Loaiza-Ganem & Cunningham 2019).
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from jensen._types import Array, Float
from jensen.distributions import ContinuousBernoulli as ContinuousBernoulliDistribution
from jensen.likelihoods._base import AbstractLikelihood, DataSummary, event_size


class ContinuousBernoulli(AbstractLikelihood):
    """Independent continuous Bernoulli elements; the decoder gives their logits.

    A Bernoulli on grey values is not a density; this likelihood has the normaliser. The last biases
    start where the mean is that of the data, clipped to [.01, .99].

        ContinuousBernoulli((8, 8), data=None)(logits).log_prob(x)
    """

    support: ClassVar[str] = "numbers from 0 to 1"
    remedy: ClassVar[str] = "Divide bytes by 255."
    event_shape: tuple[int, ...] = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...], data: DataSummary | None):
        del data  # only the initial biases depend on it
        self.event_shape = event_shape
        self.num_outputs = event_size(event_shape)

    def __call__(self, outputs: Float[Array, " outputs"]) -> ContinuousBernoulliDistribution:
        return ContinuousBernoulliDistribution(outputs.reshape(self.event_shape))

    def initial_bias(self, data: DataSummary | None) -> Float[Array, " outputs"]:
        if data is None:
            return jnp.zeros(self.num_outputs)
        return jnp.asarray(_logits_of(np.clip(data.mean.astype(np.float64), 0.01, 0.99).ravel()))

    @property
    def interval(self) -> tuple[float, float]:
        return 0.0, 1.0

    @classmethod
    def outside(cls, values: np.ndarray) -> np.ndarray:
        return ~((values >= 0) & (values <= 1))


def _logits_of(mean: np.ndarray) -> np.ndarray:
    """Compute the logits l whose mean, 1/2 + coth(l/2)/2 - 1/l, is given."""
    # By bisection: the mean rises with l, and Newton's method would need care near 1/2.
    low, high = np.full(mean.shape, -200.0), np.full(mean.shape, 200.0)
    for _ in range(60):
        middle = (low + high) / 2
        far = np.abs(middle) > 1e-4
        safe = np.where(far, middle, 1.0)
        middle_mean = np.where(far, 0.5 + 0.5 / np.tanh(safe / 2) - 1 / safe, 0.5 + middle / 12)
        too_low = middle_mean < mean
        low, high = np.where(too_low, middle, low), np.where(too_low, high, middle)
    return (low + high) / 2
