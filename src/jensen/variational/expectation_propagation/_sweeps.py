"""One sweep over the sites: what each would have to be for q to have the moments of its tilted
distribution, and a step there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jensen.variational.expectation_propagation._approximation import (
    Cavities,
    Gaussian,
    Problem,
    cavities,
    gaussian,
    marginals,
)

HALVINGS = 40


@dataclass(frozen=True)
class Swept:
    """The state after a sweep.

    Attributes:
        precision, shift: of the sites [N].
        q: None if these sites make no distribution.
        change: the largest undamped change of a site in units of its marginal: of the precision
            times the variance, of the mean over the deviation. Skipped sites do not count.
        cavity_failed, moments_failed: the sites that were skipped [N], and why.
        shortened: the step had to be halved for the sites to make a distribution.
    """

    precision: np.ndarray
    shift: np.ndarray
    q: Gaussian | None
    change: float
    cavity_failed: np.ndarray
    moments_failed: np.ndarray
    shortened: bool = False


Sweep = Callable[[Problem, np.ndarray, np.ndarray, Gaussian, float], Swept]


def serial(
    problem: Problem, precision: np.ndarray, shift: np.ndarray, q: Gaussian, step: float
) -> Swept:
    """Site after site, each seeing what those before it have become; q follows by rank-one updates,
    and is made anew from the sites at the end.
    """
    precision, shift = precision.copy(), shift.copy()
    mean, covariance = q.mean.copy(), q.covariance.copy()
    cavity_failed, moments_failed = np.zeros(len(precision), bool), np.zeros(len(precision), bool)
    change = 0.0
    for n, form in enumerate(problem.forms):
        one = slice(n, n + 1)
        along = covariance @ form
        variance, centre = np.array([form @ along]), np.array([form @ mean])
        cavity = cavities(centre, variance, precision[one], shift[one])
        if not cavity.positive[0] or not variance[0] > 0:
            cavity_failed[n] = True
            continue
        new_precision, new_shift, proper = _matched(problem, cavity, np.array([n]))
        by_precision, by_shift = (
            step * (new_precision[0] - precision[n]),
            step * (new_shift[0] - shift[n]),
        )
        rest = 1 + by_precision * variance[0]
        if not proper[0] or not rest > 0:
            moments_failed[n] = True
            continue
        change = max(
            change,
            _change(new_precision - precision[one], new_shift - shift[one], centre, variance),
        )
        covariance -= (by_precision / rest) * np.outer(along, along)
        mean += ((by_shift - by_precision * centre[0]) / rest) * along
        precision[n] += by_precision
        shift[n] += by_shift
    return Swept(
        precision,
        shift,
        gaussian(problem.forms, precision, shift),
        change,
        cavity_failed,
        moments_failed,
    )


def parallel(
    problem: Problem, precision: np.ndarray, shift: np.ndarray, q: Gaussian, step: float
) -> Swept:
    """All sites at once from the same q; the step is halved until they make a distribution."""
    mean, variance = marginals(problem.forms, q)
    cavity = cavities(mean, variance, precision, shift)
    good = np.flatnonzero(cavity.positive)
    some = Cavities(cavity.mean[good], cavity.variance[good], cavity.positive[good])
    new_precision, new_shift, proper = _matched(problem, some, good)
    moments_failed = np.zeros(len(precision), bool)
    moments_failed[good[~proper]] = True
    good, new_precision, new_shift = good[proper], new_precision[proper], new_shift[proper]
    by_precision, by_shift = np.zeros_like(precision), np.zeros_like(shift)
    by_precision[good], by_shift[good] = new_precision - precision[good], new_shift - shift[good]
    change = _change(by_precision, by_shift, mean, variance)
    for halved in range(HALVINGS):
        trial_precision, trial_shift = precision + step * by_precision, shift + step * by_shift
        found = gaussian(problem.forms, trial_precision, trial_shift)
        if found is not None:
            return Swept(
                trial_precision,
                trial_shift,
                found,
                change,
                ~cavity.positive,
                moments_failed,
                halved > 0,
            )
        step /= 2
    return Swept(precision, shift, None, change, ~cavity.positive, moments_failed, True)


def _matched(
    problem: Problem, cavity: Cavities, index: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(precision, shift, proper) of the sites with which their cavities have the mean and variance
    of the tilted distributions.
    """
    tilted = problem.sites.tilted(problem.offset[index] + cavity.mean, cavity.variance, index)
    proper = (
        np.isfinite(tilted.log_normaliser)
        & np.isfinite(tilted.mean)
        & np.isfinite(tilted.variance)
        & (tilted.variance > 0)
    )
    variance = np.where(proper, tilted.variance, 1.0)
    mean = np.where(proper, tilted.mean, 0.0) - problem.offset[index]
    precision = (cavity.variance - variance) / (variance * cavity.variance)
    return precision, (mean - cavity.mean) / cavity.variance + precision * mean, proper


def _change(
    by_precision: np.ndarray, by_shift: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> float:
    return float(
        np.max(
            np.maximum(
                np.abs(by_precision) * variance,
                np.abs(by_shift - by_precision * mean) * np.sqrt(variance),
            ),
            initial=0.0,
        )
    )


SWEEPS: dict[str, Sweep] = {"serial": serial, "parallel": parallel}
