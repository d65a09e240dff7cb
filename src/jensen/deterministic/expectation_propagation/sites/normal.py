"""Observations with normal noise, for which expectation propagation is exact."""

import equinox as eqx
import numpy as np

from jensen._numerics import LOG_2PI
from jensen.deterministic._checks import positive
from jensen.deterministic.expectation_propagation.sites._base import AbstractSite, Tilted, observed


class Normal(AbstractSite):
    """t_n(f) = N(y_n; f, noise_variance), for observations beside sites of other kinds.

    The site is its own approximation, so it is exact whatever the other sites are.

    Args:
        y: observations [N].
        noise_variance: positive.

    Raises:
        ValueError: values that are not finite, or a variance that is not positive.

        Normal(np.array([1.0])).tilted(np.zeros(1), np.ones(1), np.arange(1)).mean  # [0.5]
    """

    y: np.ndarray = eqx.field(converter=np.asarray)
    noise_variance: float = eqx.field(static=True)

    def __init__(self, y: np.ndarray, *, noise_variance: float = 1.0):
        self.y = observed(y, "normal")
        self.noise_variance = positive(noise_variance, "normal: noise_variance")

    def log_density(self, f: np.ndarray, index: np.ndarray) -> np.ndarray:
        return _log_normal(self.y[index] - f, self.noise_variance + 0 * f)

    def tilted(self, mean: np.ndarray, variance: np.ndarray, index: np.ndarray) -> Tilted:
        difference, total = self.y[index] - mean, variance + self.noise_variance
        return Tilted(
            _log_normal(difference, total),
            mean + variance / total * difference,
            variance * self.noise_variance / total,
        )


def _log_normal(difference: np.ndarray, variance: np.ndarray) -> np.ndarray:
    return -0.5 * (np.square(difference) / variance + np.log(variance) + LOG_2PI)
