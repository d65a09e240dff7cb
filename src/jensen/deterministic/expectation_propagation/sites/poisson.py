"""Counts with a Poisson likelihood whose rate is exp(f)."""

import equinox as eqx
import numpy as np
from scipy.special import gammaln

from jensen.deterministic.expectation_propagation.sites._base import AbstractSite, Tilted, observed
from jensen.deterministic.expectation_propagation.sites._moments import tilted_by_quadrature


class Poisson(AbstractSite):
    """t_n(f) = Poisson(y_n; exp f); the moments are computed by quadrature.

    Args:
        y: counts [N].

    Raises:
        ValueError: counts that are negative or no integers.

        Poisson(np.array([3])).tilted(np.zeros(1), np.ones(1), np.arange(1)).mean  # [0.640]
    """

    y: np.ndarray = eqx.field(converter=np.asarray)

    def __init__(self, y: np.ndarray):
        self.y = observed(y, "poisson")
        invalid = np.flatnonzero((self.y < 0) | (self.y != np.round(self.y)))
        if len(invalid):
            raise ValueError(
                f"poisson: y must be counts 0, 1, 2 ...; y[{invalid[0]}] is {self.y[invalid[0]]}."
            )

    def log_density(self, f: np.ndarray, index: np.ndarray) -> np.ndarray:
        y = self.y[index]
        with np.errstate(over="ignore"):  # exp(f) = inf is a density of 0
            return y * f - np.exp(f) - gammaln(y + 1)

    def tilted(self, mean: np.ndarray, variance: np.ndarray, index: np.ndarray) -> Tilted:
        y = self.y[index]
        return tilted_by_quadrature(
            self.log_density,
            mean,
            variance,
            index,
            np.log(np.maximum(y, 0.5)),
            1 / np.sqrt(np.maximum(y, 1.0)),
        )
