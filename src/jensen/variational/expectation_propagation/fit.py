"""Expectation propagation (Minka 2001; Opper & Winther 2000): sites on a Gaussian base."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from jensen.variational._ending import Ending, cholesky_of, finite
from jensen.variational.expectation_propagation._approximation import (
    Problem,
    cavities,
    gaussian,
    log_evidence,
    marginals,
)
from jensen.variational.expectation_propagation._extrapolation import Extrapolation, State
from jensen.variational.expectation_propagation._groups import together
from jensen.variational.expectation_propagation._sweeps import SWEEPS, Swept
from jensen.variational.expectation_propagation.result import EPResult
from jensen.variational.expectation_propagation.sites import AbstractSite

Schedule = Literal["serial", "parallel"]
MOST_DAMPING = 0.98
# undamped sweeps without a smaller change before damping is raised; damped ones count less, or a
# slow spiral inwards would be cut short
PATIENCE = 50


def fit_expectation_propagation(
    sites: AbstractSite | Sequence[AbstractSite],
    design: np.ndarray | Sequence[np.ndarray],
    prior_mean: np.ndarray,
    prior_covariance: np.ndarray,
    *,
    damping: float = 0.0,
    schedule: Schedule = "serial",
    tolerance: float = 1e-8,
    max_sweeps: int = 1000,
) -> EPResult:
    """q(w) = N(m, V) for p(w, y) = N(w; m0, V0) prod_n t_n(a_n . w), by matching, site by site, the
    mean and variance of the cavity times the true site.

    It minimises KL(tilted_n || q) locally and in turn. It does not minimise the global KL(p || q),
    nor any bound: convergence is not guaranteed, and the evidence is an approximation
    (docs/expectation_propagation.md). One site is exact; so are Gaussian sites.

    Where a cavity is not positive, or a tilted distribution has no moments, the site is left as it
    is for that sweep, and everything starts again with more damping (half way from the present to
    1, up to 0.98); so too, without starting again, where the changes stop falling. All sites at
    once gives way to one after the other when a damping of 0.5 is not enough. `outcome.warnings`
    tells. Where the changes are small the next state is where a linear map through the last sweeps
    would end (`_extrapolation.py`), taken back if the changes grow: fixed points stay what they
    are, and take tens of sweeps.

    Args:
        sites: the likelihood, N sites (`jensen.variational.expectation_propagation.sites`); a list
            where they are of several kinds, as [Probit(y), Poisson(k)].
        design: a_n as rows [N, D]; for several kinds a list, one for each. Results per site have
            them in this order, one kind after the other.
        prior_mean, prior_covariance: of w, [D] and [D, D].
        damping: in [0, 1): what is left of a site's old parameters at every update.
        schedule: each site in turn, or all at once from the same q (a few large matrix products for
            a sweep) as long as that goes well.
        tolerance: on the largest change of a site, in units of its marginal.
        max_sweeps: over all sites, restarts included.

    Raises:
        ValueError: shapes that disagree, values that are not finite (by index), a row of the design
            that is all 0, a prior covariance that is not positive definite, or an option out of its
            range.

        fit_expectation_propagation(Probit(y), x, np.zeros(2), 4 * np.eye(2)).mean
    """
    problem = _problem(sites, design, prior_mean, prior_covariance)
    _check_options(damping, schedule, tolerance, max_sweeps)
    size = len(problem.offset)
    state, extrapolation = _start(problem), Extrapolation()
    best = (np.inf, 0)  # the least change, and the sweep that had it
    skipped, warnings = np.zeros(size, int), []
    swept, plain, done = None, None, 0
    for done in range(1, max_sweeps + 1):
        swept = SWEEPS[schedule](problem, *state, 1 - damping)
        failed = swept.cavity_failed | swept.moments_failed
        astray = failed.any() or swept.q is None
        if plain is not None and (
            astray or swept.change > plain.change
        ):  # the extrapolated sites led nowhere: back to those of the sweep itself
            swept, plain = plain, None
            assert swept.q is not None
            state = swept.precision, swept.shift, swept.q
            extrapolation.forget()
            continue
        plain = None
        skipped += failed
        was_last = damping >= MOST_DAMPING
        if astray and not was_last:
            schedule, damping, how = _calmer(schedule, damping)
            warnings.append(f"sweep {done}: {_fault(swept)}; {how}, and started again.")
            best, state = (np.inf, done), _start(problem)
            extrapolation.forget()
            continue
        if swept.q is None:
            break
        before, state = state, (swept.precision, swept.shift, swept.q)
        if (
            swept.change < tolerance
        ):  # if sites still fail with so much damping, nothing that is left would change it
            break
        if swept.change < 0.9 * best[0]:
            best = (swept.change, done)
        if (swept.shortened or done - best[1] > PATIENCE / (1 - damping)) and not was_last:
            why = (
                "the sites of a full step make no distribution"
                if swept.shortened
                else f"the changes have stopped falling, at {swept.change:.2g}"
            )
            schedule, damping, how = _calmer(schedule, damping)
            warnings.append(f"sweep {done}: {why}; {how}.")
            best = (np.inf, done)
            extrapolation.forget()
        elif not astray:
            ahead = extrapolation.proposal(problem, before, state, swept.change)
            plain, state = (swept, ahead) if ahead is not None else (None, state)
    assert swept is not None
    if plain is not None and done == max_sweeps:  # a proposal that no sweep has tried
        assert plain.q is not None
        state = plain.precision, plain.shift, plain.q
    precision, shift, q = state
    log_z = log_evidence(problem, precision, shift, q)
    ending = _ending(problem, state, log_z, swept, tolerance, damping, done, warnings)
    root = problem.prior_root
    return EPResult(
        mean=problem.prior_mean + root @ q.mean,
        covariance=root @ q.covariance @ root.T,
        log_evidence=log_z,
        site_precisions=precision,
        site_shifts=shift + precision * problem.offset,
        improper=np.flatnonzero(precision < 0),
        skipped=skipped,
        damping=damping,
        change=swept.change,
        outcome=ending,
        problem=problem,
    )


def _start(problem: Problem) -> State:
    size = len(problem.offset)
    q = gaussian(problem.forms, np.zeros(size), np.zeros(size))
    assert q is not None
    return np.zeros(size), np.zeros(size), q


def _calmer(schedule: Schedule, damping: float) -> tuple[Schedule, float, str]:
    """(schedule, damping, what was done): more damping; where that is not enough for all sites at
    once, one after the other, which turns less.
    """
    if schedule == "parallel" and damping >= 0.5:
        return "serial", damping, "from here site after site"
    raised = min((1 + damping) / 2, MOST_DAMPING)
    return schedule, raised, f"damping raised from {damping:.3g} to {raised:.3g}"


def _fault(swept: Swept) -> str:
    for failed, what in (
        (swept.cavity_failed, "the cavity was not positive"),
        (swept.moments_failed, "the tilted distribution had no moments"),
    ):
        if failed.any():
            return f"{what} of {_named(failed)}"
    return "the sites made no distribution"


def _named(which: np.ndarray) -> str:
    numbers = np.flatnonzero(which)
    listed = ", ".join(map(str, numbers[:5]))
    return (
        f"site{'s' if len(numbers) > 1 else ''} "
        f"{listed}{f' and {len(numbers) - 5} more' if len(numbers) > 5 else ''}"
    )


def _ending(
    problem: Problem,
    state: State,
    log_z: float,
    swept: Swept,
    tolerance: float,
    damping: float,
    sweeps: int,
    warnings: list[str],
) -> Ending:
    failed = swept.cavity_failed | swept.moments_failed
    if swept.q is not None and swept.change < tolerance and not failed.any():
        return Ending(
            "converged",
            f"No site changed by more than {swept.change:.2g} of its marginal in sweep {sweeps}.",
            sweeps,
            tuple(warnings),
        )
    precision, shift, q = state
    bad = ~cavities(*marginals(problem.forms, q), precision, shift).positive
    if failed.any() or swept.q is None:
        why = f"{_fault(swept)} in the last of {sweeps} sweeps, damping then being {damping:.3g}"
    else:
        why = (
            f"a site still changed by {swept.change:.2g} of its marginal in sweep "
            f"{sweeps}, above the tolerance {tolerance:.2g}"
        )
    lacking = (
        f"the cavity is not positive of {_named(bad)}" if bad.any() else "a site has no moments"
    )
    missing = "" if np.isfinite(log_z) else f" The evidence is not defined: {lacking}."
    remedy = " Raise max_sweeps or damping, or take a variational fit, which has a bound to ascend."
    return Ending(
        "not_converged", f"{why[0].upper()}{why[1:]}.{missing}{remedy}", sweeps, tuple(warnings)
    )


def _problem(
    sites: AbstractSite | Sequence[AbstractSite],
    design: np.ndarray | Sequence[np.ndarray],
    prior_mean: np.ndarray,
    prior_covariance: np.ndarray,
) -> Problem:
    whole, rows = together(sites, design)
    mean = finite(prior_mean, "prior_mean")
    if mean.shape != (rows.shape[1],):
        raise ValueError(
            f"prior_mean must be [{rows.shape[1]}], one for each column of the design; got "
            f"{list(mean.shape)}."
        )
    root = cholesky_of(prior_covariance, "prior_covariance", len(mean))[1]
    zero = np.flatnonzero(~rows.any(axis=1))
    if len(zero):
        raise ValueError(
            f"row {zero[0]} of the design is all 0: its site does not depend on w; leave it out."
        )
    return Problem(whole, rows @ root, rows @ mean, mean, root)


def _check_options(damping: float, schedule: str, tolerance: float, max_sweeps: int) -> None:
    if not 0 <= damping < 1:
        raise ValueError(
            f"damping is the share of the old parameters and must be in [0, 1); got {damping}. "
            "Try 0.5."
        )
    if schedule not in SWEEPS:
        raise ValueError(f"schedule must be one of {', '.join(SWEEPS)}; got {schedule!r}.")
    if not tolerance > 0:
        raise ValueError(f"tolerance must be positive; got {tolerance}. Try 1e-8.")
    if max_sweeps < 1:
        raise ValueError(f"max_sweeps must be at least 1; got {max_sweeps}.")
