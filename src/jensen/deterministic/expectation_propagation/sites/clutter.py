"""The clutter problem of Minka (2001): a share of the observations is background noise."""

import equinox as eqx
import numpy as np
from scipy.special import expit

from jensen._numerics import LOG_2PI
from jensen.deterministic._checks import positive
from jensen.deterministic.expectation_propagation.sites._base import AbstractSite, Tilted, observed


class Clutter(AbstractSite):
    """t_n(f) = (1 - w) N(y_n; f, noise_variance) + w N(y_n; 0, clutter_variance) (Minka 2001).

    The moments are in closed form, since the tilted distribution is a mixture of two normals.

    Args:
        y: observations [N].
        weight: w, the share of clutter, in (0, 1).
        clutter_variance, noise_variance: positive.

    Raises:
        ValueError: values that are not finite, or an option out of its range.

        Clutter(np.array([3.0, 5.0]), weight=0.5, clutter_variance=10.0)
    """

    y: np.ndarray = eqx.field(converter=np.asarray)
    weight: float = eqx.field(static=True)
    clutter_variance: float = eqx.field(static=True)
    noise_variance: float = eqx.field(static=True)

    def __init__(
        self,
        y: np.ndarray,
        *,
        weight: float = 0.5,
        clutter_variance: float = 10.0,
        noise_variance: float = 1.0,
    ):
        self.y = observed(y, "clutter")
        if not 0 < weight < 1:
            raise ValueError(
                f"clutter: weight is the share of clutter and must be in (0, 1); got {weight}."
            )
        self.weight = weight
        self.clutter_variance = positive(clutter_variance, "clutter: clutter_variance")
        self.noise_variance = positive(noise_variance, "clutter: noise_variance")

    def log_density(self, f: np.ndarray, index: np.ndarray) -> np.ndarray:
        return np.logaddexp(*self._terms(f, 0.0, index))

    def tilted(self, mean: np.ndarray, variance: np.ndarray, index: np.ndarray) -> Tilted:
        signal, clutter = self._terms(mean, variance, index)
        share, gain = expit(signal - clutter), variance / (variance + self.noise_variance)
        shift = gain * (self.y[index] - mean)
        # Within the components v - share v gain, between them share (1 - share) shift^2.
        within = variance * (
            expit(clutter - signal) + share * self.noise_variance / (variance + self.noise_variance)
        )
        return Tilted(
            np.logaddexp(signal, clutter),
            mean + share * shift,
            within + share * expit(clutter - signal) * np.square(shift),
        )

    def _terms(
        self, mean: np.ndarray, variance: np.ndarray | float, index: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """log of the signal's and of the clutter's part, under f ~ N(mean, variance)."""
        y = self.y[index]
        signal = np.log1p(-self.weight) + _log_normal(y - mean, variance + self.noise_variance)
        return signal, np.log(self.weight) + _log_normal(y, self.clutter_variance + 0 * mean)


def _log_normal(difference: np.ndarray, variance: np.ndarray | float) -> np.ndarray:
    return -0.5 * (np.square(difference) / variance + np.log(variance) + LOG_2PI)
