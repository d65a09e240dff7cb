"""One sweep over the sites, and the extrapolation of several sweeps.

A sweep computes the parameters with which each site would give q the moments of its tilted
distribution, and makes a step towards them.

Extrapolation is Anderson's, of a fixed-point iteration (Anderson 1965; Walker & Ni 2011, section
2). Where sweeps turn around their fixed point (complex eigenvalues with a real part near 1) damping
alone needs hundreds or thousands of sweeps. Near the fixed point the map is nearly linear, and a
few sweeps predict its fixed point. Far from it they predict nothing, so a proposal is accepted only
after one sweep has tested it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from jensen.deterministic.expectation_propagation._approximation import (
    Cavities,
    Gaussian,
    Problem,
    State,
    cavities,
    gaussian,
    marginals,
)

HALVINGS = 40
# Of the extrapolation: how many sweeps it remembers, and how many it needs.
MEMORY, LEAST = 8, 3
NEAR = 0.3  # change below which proposals are made, in units of a site's marginal
MARGIN = 0.1  # of the least share of a cavity in its marginal's precision that a proposal keeps
COLLINEAR = 1e-8


@dataclass(frozen=True)
class SweepResult:
    """The state after a sweep.

    Attributes:
        precision, shift: of the sites [N].
        q: None if these sites define no distribution.
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


Sweep = Callable[[Problem, np.ndarray, np.ndarray, Gaussian, float], SweepResult]


def serial(
    problem: Problem, precision: np.ndarray, shift: np.ndarray, q: Gaussian, step: float
) -> SweepResult:
    """Updates the sites one after the other, each from the q that the earlier ones have changed.

    q follows by rank-one updates and is computed anew from all sites at the end, so that rounding
    errors do not accumulate.
    """
    precision, shift = precision.copy(), shift.copy()
    mean, covariance = q.mean.copy(), q.covariance.copy()
    cavity_failed, moments_failed = np.zeros(len(precision), bool), np.zeros(len(precision), bool)
    change = 0.0
    for n, form in enumerate(problem.forms):
        site = slice(n, n + 1)
        along = covariance @ form
        variance, centre = np.array([form @ along]), np.array([form @ mean])
        cavity = cavities(centre, variance, precision[site], shift[site])
        if not cavity.positive[0] or not variance[0] > 0:
            cavity_failed[n] = True
            continue
        new_precision, new_shift, proper = _matched(problem, cavity, np.array([n]))
        by_precision, by_shift = (
            step * (new_precision[0] - precision[n]),
            step * (new_shift[0] - shift[n]),
        )
        scale = 1 + by_precision * variance[0]
        if not proper[0] or not scale > 0:
            moments_failed[n] = True
            continue
        change = max(
            change,
            _change(new_precision - precision[site], new_shift - shift[site], centre, variance),
        )
        # The rank-one update of q for the new site (Sherman & Morrison).
        covariance -= (by_precision / scale) * np.outer(along, along)
        mean += ((by_shift - by_precision * centre[0]) / scale) * along
        precision[n] += by_precision
        shift[n] += by_shift
    return SweepResult(
        precision,
        shift,
        gaussian(problem.forms, precision, shift),
        change,
        cavity_failed,
        moments_failed,
    )


def parallel(
    problem: Problem, precision: np.ndarray, shift: np.ndarray, q: Gaussian, step: float
) -> SweepResult:
    """Updates all sites from the same q; halves the step until they define a distribution."""
    mean, variance = marginals(problem.forms, q)
    cavity = cavities(mean, variance, precision, shift)
    index = np.flatnonzero(cavity.positive)
    proper_cavities = Cavities(cavity.mean[index], cavity.variance[index], cavity.positive[index])
    new_precision, new_shift, proper = _matched(problem, proper_cavities, index)
    moments_failed = np.zeros(len(precision), bool)
    moments_failed[index[~proper]] = True
    index, new_precision, new_shift = index[proper], new_precision[proper], new_shift[proper]
    by_precision, by_shift = np.zeros_like(precision), np.zeros_like(shift)
    by_precision[index], by_shift[index] = (
        new_precision - precision[index],
        new_shift - shift[index],
    )
    change = _change(by_precision, by_shift, mean, variance)
    # All sites at once may overshoot to a precision that is not positive definite.
    for halved in range(HALVINGS):
        trial_precision, trial_shift = precision + step * by_precision, shift + step * by_shift
        q_trial = gaussian(problem.forms, trial_precision, trial_shift)
        if q_trial is not None:
            return SweepResult(
                trial_precision,
                trial_shift,
                q_trial,
                change,
                ~cavity.positive,
                moments_failed,
                halved > 0,
            )
        step /= 2
    return SweepResult(precision, shift, None, change, ~cavity.positive, moments_failed, True)


class _MatchedSites(NamedTuple):
    precision: np.ndarray
    shift: np.ndarray
    proper: np.ndarray  # the tilted distribution has a finite mean and a positive finite variance


def _matched(problem: Problem, cavity: Cavities, index: np.ndarray) -> _MatchedSites:
    """Matches moments: the site parameters with which site times cavity has the mean and variance
    of the tilted distribution.
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
    shift = (mean - cavity.mean) / cavity.variance + precision * mean
    return _MatchedSites(precision, shift, proper)


def _change(
    by_precision: np.ndarray, by_shift: np.ndarray, mean: np.ndarray, variance: np.ndarray
) -> float:
    """The largest change of a site, of its precision and its mean in units of its marginal."""
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


class Extrapolation:
    """Remembers the last sweeps of one schedule and damping, and proposes their fixed point.

    proposal = extrapolation.proposal(problem, before, after, change)
    """

    def __init__(self) -> None:
        self._before: list[np.ndarray] = []
        self._step: list[np.ndarray] = []

    def forget(self) -> None:
        """Drops all sweeps: those of another map, or too far from the fixed point."""
        self.__init__()

    def proposal(
        self, problem: Problem, before: State, after: State, change: float
    ) -> State | None:
        """The fixed point of a linear map through the last sweeps; None if it defines no
        distribution with positive cavities, or if the last change was too large.
        """
        if not change < NEAR:
            self.forget()
            return None
        start, end = np.concatenate(before[:2]), np.concatenate(after[:2])
        self._before, self._step = (
            [*self._before, start][-MEMORY:],
            [*self._step, end - start][-MEMORY:],
        )
        if len(self._before) < LEAST:
            return None
        variance = marginals(problem.forms, after.q).variance
        # Precisions in units of 1 / variance, shifts in units of 1 / deviation of their marginals.
        units = np.concatenate([variance, np.sqrt(variance)])[:, None]
        state_differences, step_differences = (
            np.diff(self._before, axis=0).T,
            np.diff(self._step, axis=0).T,
        )
        lengths = np.maximum(np.linalg.norm(step_differences * units, axis=0), 1e-300)
        scaled = step_differences * units / lengths
        # least squares: the combination of differences that cancels the last step
        shares = np.linalg.lstsq(scaled, self._step[-1] * units[:, 0], rcond=COLLINEAR)[0] / lengths
        precision, shift = np.split(end - (state_differences + step_differences) @ shares, 2)
        q = gaussian(problem.forms, precision, shift)
        if q is None:
            return None
        least = MARGIN * min(1.0, np.min(1 - variance * after.precision))
        mean, variance = marginals(problem.forms, q)
        proper = (
            cavities(mean, variance, precision, shift).positive.all()
            and np.min(1 - variance * precision) > least
        )
        return State(precision, shift, q) if proper else None
