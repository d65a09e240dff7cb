"""The negative binomial likelihood for overdispersed counts: p(x|z) = prod_i NB(x_i; m_i, r_i).

The mean is m and the variance m + m^2 / r (the convention of scVI, Lopez et al. 2018). m_i =
exp(f_i) up to the largest training count, linear in f_i beyond.
"""

import math
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from jensen._types import Array, Float
from jensen.distributions import NegativeBinomial as NegativeBinomialDistribution
from jensen.likelihoods._base import AbstractLikelihood, DataSummary, event_size, whole
from jensen.likelihoods._counts import log_largest, log_mean, tamed

# Beyond +-20 the distribution is in float32 a Poisson, or almost a point mass at 0.
MAX_LOG_DISPERSION = 20.0


class NegativeBinomial(AbstractLikelihood):
    """Independent negative binomial counts; the decoder gives the log means.

    With dispersion='datum' the decoder gives log r too. r is the inverse dispersion: a large r
    means Poisson. Means and r start at the training data's moments; |log r| stays below 20.

    Args:
        event_shape, data: see `AbstractLikelihood`.
        dispersion: 'shared' for one r of all elements, 'element' for one of each, 'datum' for one
            of each element of each datum, from the decoder.

    Example:
        NegativeBinomial((3,), data=None, dispersion="shared")(outputs).log_prob(x)
    """

    support: ClassVar[str] = "whole numbers from 0"
    remedy: ClassVar[str] = "Give the counts themselves: neither normalised nor as logarithms."
    event_shape: tuple[int, ...] = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)
    dispersion: Literal["shared", "element", "datum"] = eqx.field(static=True)
    ceiling: Float[Array, ""]
    log_dispersion: Float[Array, " dispersions"] | None

    def __init__(
        self,
        event_shape: tuple[int, ...],
        data: DataSummary | None,
        *,
        dispersion: Literal["shared", "element", "datum"] = "element",
    ):
        size = event_size(event_shape)
        self.event_shape = event_shape
        self.dispersion = dispersion
        self.num_outputs = 2 * size if dispersion == "datum" else size
        self.ceiling = log_largest(data)
        start = _log_dispersion(data, size)
        self.log_dispersion = (
            None
            if dispersion == "datum"
            else jnp.asarray(np.median(start, keepdims=True) if dispersion == "shared" else start)
        )

    def __call__(self, outputs: Float[Array, " outputs"]) -> NegativeBinomialDistribution:
        size = event_size(self.event_shape)
        log_r = outputs[size : 2 * size] if self.log_dispersion is None else self.log_dispersion
        log_r = jnp.broadcast_to(jnp.clip(log_r, -MAX_LOG_DISPERSION, MAX_LOG_DISPERSION), (size,))
        return NegativeBinomialDistribution(
            tamed(outputs[:size], self.ceiling).reshape(self.event_shape),
            log_r.reshape(self.event_shape),
        )

    def initial_bias(self, data: DataSummary | None) -> Float[Array, " outputs"]:
        if data is None:
            return jnp.zeros(self.num_outputs)
        second = (
            [_log_dispersion(data, event_size(self.event_shape))]
            if self.dispersion == "datum"
            else []
        )
        return jnp.concatenate([jnp.asarray(part) for part in (log_mean(data), *second)])

    @property
    def interval(self) -> tuple[float, float]:
        return 0.0, math.inf

    @classmethod
    def outside(cls, values: np.ndarray) -> np.ndarray:
        return ~whole(values) | (values < 0)


def _log_dispersion(data: DataSummary | None, size: int) -> np.ndarray:
    """Estimate log r from moments, variance = m + m^2 / r, clipped to r in [.01, 100]."""
    if data is None:
        return np.zeros(size)
    mean, variance = (a.astype(np.float64).ravel() for a in (data.mean, data.scale**2))
    # The data's variance holds what z will explain, so this r errs on the small side.
    r = mean**2 / np.maximum(variance - mean, 1e-4 * np.maximum(mean, 1e-4) ** 2)
    return np.log(np.clip(r, 0.01, 100))
