"""Moments of N(f; m, v) Phi(sign f / noise), in closed form."""

import numpy as np
from scipy.special import erfcx, log_ndtr

from jensen.variational.expectation_propagation.sites._base import Tilted

FAR = -35.0  # below it the series, whose error is then 1e-9 of a number that is 1e-3


def tilted_by_step(
    mean: np.ndarray, variance: np.ndarray, sign: np.ndarray, noise_variance: float = 1.0
) -> Tilted:
    """log normaliser, mean and variance of N(f; mean, variance) Phi(sign f / noise) (Rasmussen &
    Williams 2006, equation 3.58), exact also where the step is all but impossible.

    tilted_by_step(np.zeros(1), np.ones(1), np.ones(1)).mean  # [0.564]
    """
    total = noise_variance + variance
    z = sign * mean / np.sqrt(total)
    # r = N(z) / Phi(z); the variance is v (s2 + v (1 - r (z + r))) / (s2 + v), every part positive.
    ratio = np.sqrt(2 / np.pi) / erfcx(-z / np.sqrt(2))
    return Tilted(
        log_ndtr(z),
        mean + sign * variance * ratio / np.sqrt(total),
        variance * (noise_variance + variance * _remainder(z, ratio)) / total,
    )


def _remainder(z: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """1 - r (z + r): the variance of a standard normal above -z; cancels for z far below 0."""
    u = 1 / np.square(np.minimum(z, FAR))
    sum_over_z = 1 - 2 * u + 10 * u**2 - 74 * u**3  # |z| (z + r)
    far = u * (2 - 10 * u + 74 * u**2 - 706 * u**3) - u * sum_over_z**2
    return np.where(z < FAR, far, 1 - ratio * (z + ratio))
