"""The Poisson likelihood for counts: p(x|z) = prod_i Poisson(x_i; r_i).

r_i = exp(f_i) up to the largest training count, linear in f_i beyond.
"""

import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from jensen._types import Array, Float
from jensen.distributions import Poisson as PoissonDistribution
from jensen.likelihoods._base import AbstractLikelihood, DataSummary, event_size, whole
from jensen.likelihoods._counts import log_largest, log_mean, tamed


class Poisson(AbstractLikelihood):
    """Independent Poisson counts; the decoder gives their log rates.

    The last biases start at the logarithm of the data's element means. Use `negative_binomial` for
    counts with more spread than a Poisson allows; heavy-tailed counts train better with --set
    encoder.input_transform=log1p.

        Poisson((3,), data=None)(log_rates).log_prob(x)
    """

    support: ClassVar[str] = "whole numbers from 0"
    remedy: ClassVar[str] = "Give the counts themselves: neither normalised nor as logarithms."
    event_shape: tuple[int, ...] = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)
    ceiling: Float[Array, ""]

    def __init__(self, event_shape: tuple[int, ...], data: DataSummary | None):
        self.ceiling = log_largest(data)
        self.event_shape = event_shape
        self.num_outputs = event_size(event_shape)

    def __call__(self, outputs: Float[Array, " outputs"]) -> PoissonDistribution:
        return PoissonDistribution(tamed(outputs, self.ceiling).reshape(self.event_shape))

    def initial_bias(self, data: DataSummary | None) -> Float[Array, " outputs"]:
        return jnp.zeros(self.num_outputs) if data is None else jnp.asarray(log_mean(data))

    @property
    def interval(self) -> tuple[float, float]:
        return 0.0, math.inf

    @classmethod
    def outside(cls, values: np.ndarray) -> np.ndarray:
        return ~whole(values) | (values < 0)
