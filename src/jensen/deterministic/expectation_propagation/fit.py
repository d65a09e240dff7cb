"""Expectation propagation (Minka 2001; Opper & Winther 2000): sites on a Gaussian base."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from jensen.deterministic._checks import cholesky_of, finite
from jensen.deterministic._results import Convergence
from jensen.deterministic.expectation_propagation._approximation import (
    Problem,
    State,
    cavities,
    gaussian,
    log_evidence,
    marginals,
)
from jensen.deterministic.expectation_propagation._sites_of_several_kinds import join_sites
from jensen.deterministic.expectation_propagation._sweeps import SWEEPS, Extrapolation, SweepResult
from jensen.deterministic.expectation_propagation.result import EPResult
from jensen.deterministic.expectation_propagation.sites import AbstractSite

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
    """Fits q(w) = N(m, V) to p(w, y) = N(w; m0, V0) prod_n t_n(a_n . w) by expectation propagation.

    Each update matches the mean and variance of a site's tilted distribution, the cavity times the
    true site. It minimises KL(tilted_n || q) for one site at a time. It minimises neither the
    global KL(p || q) nor any bound: convergence is not guaranteed, and the evidence is an
    approximation (docs/expectation_propagation.md). With one site, or with Gaussian sites alone,
    the result is exact.

    Where a cavity is not positive, or a tilted distribution has no moments, the fit skips the site
    for that sweep and starts again with more damping (half way from the present damping to 1, at
    most 0.98). Where the changes stop falling it raises the damping without starting again. The
    parallel schedule changes to the serial one if a damping of 0.5 is not enough. Each of these
    adds a sentence to `outcome.warnings`. Where the changes are small the fit extrapolates the last
    sweeps (`_sweeps.py`) and takes this back if the changes grow: the fixed points are the same,
    and are reached in tens of sweeps.

    Args:
        sites: the likelihood, N sites (of `jensen.deterministic.expectation_propagation.sites`), or
            a list of sites of several kinds, such as [Probit(y), Poisson(k)].
        design: the a_n as rows [N, D]; for several kinds a list with a design for each. Results per
            site are in this order, one kind after the other.
        prior_mean, prior_covariance: of w, [D] and [D, D].
        damping: in [0, 1): the share of a site's old parameters in every update.
        schedule: "serial" updates the sites one after the other; "parallel" updates all from the
            same q, by a few large matrix products in each sweep.
        tolerance: of the largest change of a site, in units of its marginal.
        max_sweeps: over all sites, restarts included.

    Returns:
        an `EPResult`: mean and covariance of w, the approximate log p(y) in nats, and the outcome.

    Raises:
        ValueError: shapes that disagree, values that are not finite (by index), a row of the design
            that is all 0, a prior covariance that is not positive definite, or an option out of its
            range.

        result = fit_expectation_propagation(Probit(y), x, np.zeros(2), 4 * np.eye(2))
        result.mean, result.log_evidence
    """
    problem = _problem(sites, design, prior_mean, prior_covariance)
    _check_options(damping, schedule, tolerance, max_sweeps)
    size = len(problem.offset)
    state, extrapolation = _start(problem), Extrapolation()
    best = (np.inf, 0)  # the least change, and the sweep that had it
    skipped, warnings = np.zeros(size, int), []
    result, unextrapolated, sweep = None, None, 0
    for sweep in range(1, max_sweeps + 1):
        result = SWEEPS[schedule](problem, *state, 1 - damping)
        failed = result.cavity_failed | result.moments_failed
        failing = failed.any() or result.q is None
        if unextrapolated is not None and (failing or result.change > unextrapolated.change):
            # The extrapolation made things worse: go back to the sweep that it started from.
            result, unextrapolated = unextrapolated, None
            assert result.q is not None
            state = State(result.precision, result.shift, result.q)
            extrapolation.forget()
            continue
        unextrapolated = None
        skipped += failed
        at_most_damping = damping >= MOST_DAMPING
        if failing and not at_most_damping:
            schedule, damping, action = _more_damping(schedule, damping)
            warnings.append(f"sweep {sweep}: {_fault(result)}; {action}, and started again.")
            best, state = (np.inf, sweep), _start(problem)
            extrapolation.forget()
            continue
        if result.q is None:
            break
        before, state = state, State(result.precision, result.shift, result.q)
        if result.change < tolerance:
            # Where sites still fail at the highest damping, more sweeps would not change that.
            break
        if result.change < 0.9 * best[0]:
            best = (result.change, sweep)
        # Damped sweeps change less each, so they get more of them before damping is raised again.
        if (result.shortened or sweep - best[1] > PATIENCE / (1 - damping)) and not at_most_damping:
            why = (
                "the sites of a full step make no distribution"
                if result.shortened
                else f"the changes have stopped falling, at {result.change:.2g}"
            )
            schedule, damping, action = _more_damping(schedule, damping)
            warnings.append(f"sweep {sweep}: {why}; {action}.")
            best = (np.inf, sweep)
            extrapolation.forget()
        elif not failing:
            proposal = extrapolation.proposal(problem, before, state, result.change)
            unextrapolated, state = (result, proposal) if proposal is not None else (None, state)
    assert result is not None
    if unextrapolated is not None and sweep == max_sweeps:  # a proposal that no sweep has tested
        assert unextrapolated.q is not None
        state = State(unextrapolated.precision, unextrapolated.shift, unextrapolated.q)
    precision, shift, q = state
    log_z = log_evidence(problem, precision, shift, q)
    ending = _ending(problem, state, log_z, result, tolerance, damping, sweep, warnings)
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
        change=result.change,
        outcome=ending,
        problem=problem,
    )


def _start(problem: Problem) -> State:
    size = len(problem.offset)
    q = gaussian(problem.forms, np.zeros(size), np.zeros(size))
    assert q is not None
    return State(np.zeros(size), np.zeros(size), q)


def _more_damping(schedule: Schedule, damping: float) -> tuple[Schedule, float, str]:
    """Returns (schedule, damping, the sentence of the warning).

    Raises the damping. Where 0.5 is not enough for the parallel schedule it changes to the serial
    one, which oscillates less.
    """
    if schedule == "parallel" and damping >= 0.5:
        return "serial", damping, "from here site after site"
    raised = min((1 + damping) / 2, MOST_DAMPING)
    return schedule, raised, f"damping raised from {damping:.3g} to {raised:.3g}"


def _fault(result: SweepResult) -> str:
    for failed, what in (
        (result.cavity_failed, "the cavity was not positive"),
        (result.moments_failed, "the tilted distribution had no moments"),
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
    result: SweepResult,
    tolerance: float,
    damping: float,
    sweeps: int,
    warnings: list[str],
) -> Convergence:
    failed = result.cavity_failed | result.moments_failed
    if result.q is not None and result.change < tolerance and not failed.any():
        return Convergence(
            "converged",
            f"No site changed by more than {result.change:.2g} of its marginal in sweep {sweeps}.",
            sweeps,
            tuple(warnings),
        )
    precision, shift, q = state
    bad = ~cavities(*marginals(problem.forms, q), precision, shift).positive
    if failed.any() or result.q is None:
        why = f"{_fault(result)} in the last of {sweeps} sweeps, damping then being {damping:.3g}"
    else:
        why = (
            f"a site still changed by {result.change:.2g} of its marginal in sweep "
            f"{sweeps}, above the tolerance {tolerance:.2g}"
        )
    lacking = (
        f"the cavity is not positive of {_named(bad)}" if bad.any() else "a site has no moments"
    )
    missing = "" if np.isfinite(log_z) else f" The evidence is not defined: {lacking}."
    remedy = " Raise max_sweeps or damping, or take a variational fit, which has a bound to ascend."
    return Convergence(
        "not_converged", f"{why[0].upper()}{why[1:]}.{missing}{remedy}", sweeps, tuple(warnings)
    )


def _problem(
    sites: AbstractSite | Sequence[AbstractSite],
    design: np.ndarray | Sequence[np.ndarray],
    prior_mean: np.ndarray,
    prior_covariance: np.ndarray,
) -> Problem:
    all_sites, rows = join_sites(sites, design)
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
    return Problem(all_sites, rows @ root, rows @ mean, mean, root)


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
