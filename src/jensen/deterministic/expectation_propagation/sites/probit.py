"""Binary labels through the normal distribution function: the moments are in closed form."""

import equinox as eqx
import numpy as np
from scipy.special import log_ndtr

from jensen.deterministic.expectation_propagation.sites._base import AbstractSite, Tilted, signs_of
from jensen.deterministic.expectation_propagation.sites._moments import tilted_by_step


class Probit(AbstractSite):
    """t_n(f) = Phi(y_n f), y_n = -1 or +1 (or 0 and 1).

    The moments are exact (Rasmussen & Williams 2006, equation 3.58), also where the label is very
    improbable.

    Args:
        y: labels [N].

    Raises:
        ValueError: labels that are not binary.

        tilted = Probit(np.array([0, 1])).tilted(np.zeros(2), np.ones(2), np.arange(2))
        tilted.mean  # [-0.564, 0.564]
    """

    y: np.ndarray = eqx.field(converter=np.asarray)

    def __init__(self, y: np.ndarray):
        self.y = signs_of(y, "probit")

    def log_density(self, f: np.ndarray, index: np.ndarray) -> np.ndarray:
        return log_ndtr(self.y[index] * f)

    def tilted(self, mean: np.ndarray, variance: np.ndarray, index: np.ndarray) -> Tilted:
        return tilted_by_step(mean, variance, self.y[index])
