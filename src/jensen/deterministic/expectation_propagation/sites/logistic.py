"""Binary labels with a logistic likelihood."""

import equinox as eqx
import numpy as np

from jensen.deterministic.expectation_propagation.sites._base import AbstractSite, Tilted, signs_of
from jensen.deterministic.expectation_propagation.sites._moments import tilted_by_quadrature


class Logistic(AbstractSite):
    """t_n(f) = 1 / (1 + exp(-y_n f)), y_n = -1 or +1 (or 0 and 1).

    The moments are computed by quadrature.

    Args:
        y: labels [N].

    Raises:
        ValueError: labels that are not binary.

        Logistic(np.array([0, 1])).tilted(np.zeros(2), np.ones(2), np.arange(2)).log_normaliser  #
        [-0.693, -0.693]
    """

    y: np.ndarray = eqx.field(converter=np.asarray)

    def __init__(self, y: np.ndarray):
        self.y = signs_of(y, "logistic")

    def log_density(self, f: np.ndarray, index: np.ndarray) -> np.ndarray:
        return -np.logaddexp(0, -self.y[index] * f)

    def tilted(self, mean: np.ndarray, variance: np.ndarray, index: np.ndarray) -> Tilted:
        return tilted_by_quadrature(
            self.log_density, mean, variance, index, np.zeros_like(mean), np.ones_like(mean)
        )
