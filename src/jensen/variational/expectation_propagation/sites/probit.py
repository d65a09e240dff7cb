"""Binary labels through the normal distribution function: the moments are in closed form."""

import equinox as eqx
import numpy as np
from scipy.special import erfcx, log_ndtr

from jensen.variational.expectation_propagation.sites._base import AbstractSite, Tilted, signs_of

FAR = -35.0  # below it the series, whose error is then 1e-9 of a number that is 1e-3


class Probit(AbstractSite):
    """t_n(f) = Phi(y_n f), y_n = -1 or +1 (or 0 and 1). Moments exact (Rasmussen & Williams 2006, equation 3.58), also where the label is all but impossible.

    Raises:
        ValueError: labels that are not binary.

        Probit(np.array([0, 1])).tilted(np.zeros(2), np.ones(2), np.arange(2)).mean  # [-0.564, 0.564]
    """

    y: np.ndarray = eqx.field(converter=np.asarray)

    def __init__(self, y: np.ndarray):
        self.y = signs_of(y, "probit")

    def log_density(self, f: np.ndarray, index: np.ndarray) -> np.ndarray:
        return log_ndtr(self.y[index] * f)

    def tilted(self, mean: np.ndarray, variance: np.ndarray, index: np.ndarray) -> Tilted:
        sign, total = self.y[index], 1 + variance
        z = sign * mean / np.sqrt(total)
        # r = N(z) / Phi(z); the variance is v (1 + v (1 - r (z + r))) / (1 + v), every part positive.
        ratio = np.sqrt(2 / np.pi) / erfcx(-z / np.sqrt(2))
        return Tilted(log_ndtr(z), mean + sign * variance * ratio / np.sqrt(total), variance * (1 + variance * _remainder(z, ratio)) / total)


def _remainder(z: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """1 - r (z + r): the variance of a standard normal above -z, which cancels for z far below 0."""
    u = 1 / np.square(np.minimum(z, FAR))
    sum_over_z = 1 - 2 * u + 10 * u**2 - 74 * u**3  # |z| (z + r)
    far = u * (2 - 10 * u + 74 * u**2 - 706 * u**3) - u * sum_over_z**2
    return np.where(z < FAR, far, 1 - ratio * (z + ratio))
