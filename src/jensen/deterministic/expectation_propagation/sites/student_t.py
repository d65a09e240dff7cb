"""Observations with Student's t noise, which has heavy tails."""

import equinox as eqx
import numpy as np
from scipy.special import betaln

from jensen.deterministic._checks import positive
from jensen.deterministic.expectation_propagation.sites._base import AbstractSite, Tilted, observed
from jensen.deterministic.expectation_propagation.sites._moments import tilted_by_quadrature


class StudentT(AbstractSite):
    """t_n(f) = Student's t density of y_n around f; the moments are computed by quadrature.

    The site is not log-concave: an outlier gets a negative precision (it makes q less certain), so
    that cavities may fail to be positive. Use damping (Vanhatalo, Jylanki & Vehtari 2009).

    Args:
        y: observations [N].
        df: degrees of freedom, positive.
        scale: of the noise, positive, in units of y.

    Raises:
        ValueError: values that are not finite, or a scale or degrees of freedom that are not
            positive.

        StudentT(np.array([0.5]), df=4.0, scale=1.0)
    """

    y: np.ndarray = eqx.field(converter=np.asarray)
    df: float = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    def __init__(self, y: np.ndarray, *, df: float = 4.0, scale: float = 1.0):
        self.y = observed(y, "student_t")
        self.df = positive(df, "student_t: df")
        self.scale = positive(scale, "student_t: scale")

    def log_density(self, f: np.ndarray, index: np.ndarray) -> np.ndarray:
        square = np.square((self.y[index] - f) / self.scale)
        constant = -betaln(self.df / 2, 0.5) - 0.5 * np.log(self.df) - np.log(self.scale)
        return constant - (self.df + 1) / 2 * np.log1p(square / self.df)

    def tilted(self, mean: np.ndarray, variance: np.ndarray, index: np.ndarray) -> Tilted:
        return tilted_by_quadrature(
            self.log_density, mean, variance, index, self.y[index], np.full_like(mean, self.scale)
        )
