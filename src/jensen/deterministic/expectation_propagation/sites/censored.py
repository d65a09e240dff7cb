"""Censored observations: known only to lie beyond a limit (Tobin 1958).

The observations that are not censored are `normal` sites with the same noise variance.
"""

from typing import Literal

import equinox as eqx
import numpy as np
from scipy.special import log_ndtr

from jensen.deterministic._checks import positive
from jensen.deterministic.expectation_propagation.sites._base import AbstractSite, Tilted, observed
from jensen.deterministic.expectation_propagation.sites._moments import tilted_by_step


class Censored(AbstractSite):
    """t_n(f) = P(x > y_n) or P(x < y_n), x ~ N(f, noise_variance). The moments are exact.

    Args:
        y: the limits [N].
        side: "above" or "below": on which side of their limits the observations lie.
        noise_variance: of x, positive, in squared units of y.

    Raises:
        ValueError: limits that are not finite, another side, or a variance that is not positive.

        Censored(np.array([0.0])).tilted(np.zeros(1), np.ones(1), np.arange(1)).mean  # [0.564]
    """

    y: np.ndarray = eqx.field(converter=np.asarray)
    side: Literal["above", "below"] = eqx.field(static=True)
    noise_variance: float = eqx.field(static=True)

    def __init__(
        self,
        y: np.ndarray,
        *,
        side: Literal["above", "below"] = "above",
        noise_variance: float = 1.0,
    ):
        if side not in ("above", "below"):
            raise ValueError(
                f"censored: side must be above or below, where the observations lie; got {side!r}."
            )
        self.y, self.side = observed(y, "censored"), side
        self.noise_variance = positive(noise_variance, "censored: noise_variance")

    def log_density(self, f: np.ndarray, index: np.ndarray) -> np.ndarray:
        return log_ndtr(self._sign * (f - self.y[index]) / np.sqrt(self.noise_variance))

    def tilted(self, mean: np.ndarray, variance: np.ndarray, index: np.ndarray) -> Tilted:
        tilted = tilted_by_step(
            mean - self.y[index], variance, np.full_like(mean, self._sign), self.noise_variance
        )
        return Tilted(tilted.log_normaliser, self.y[index] + tilted.mean, tilted.variance)

    @property
    def _sign(self) -> float:
        return 1.0 if self.side == "above" else -1.0
