"""`fit_variational`: fits a family to a target by fixed draws or stochastic gradients."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import jax
import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.bounds import AbstractBound, BoundChoice, bounds
from jensen.gradients import GradientChoice
from jensen.variational._density import Density
from jensen.variational._draws import names_to_keep
from jensen.variational._fixed_draws import (
    fit_fixed_draws,
    fixed_noise,
    linear_response,
    num_fixed_draws,
)
from jensen.variational._fresh_draws import FreshDraws
from jensen.variational._modes import Mode, missed_modes
from jensen.variational._start import check_start, choose_start, sites_at_fault
from jensen.variational._stochastic import fit_stochastic, stochastic_settings
from jensen.variational.families import AbstractFamily, Start, families
from jensen.variational.families.mean_field import MeanField
from jensen.variational.result import Outcome, VariationalFit
from jensen.variational.target import Target

MOST_FIXED_DRAWS = 16384
OVER_FIT = 0.01  # nats
LARGE = 500  # dimensions above which 'auto' is stochastic


def fit_variational(
    target: Target,
    family: str | Mapping[str, Any] | Callable[[Start], AbstractFamily] = "full_rank",
    *,
    key: Key,
    method: Literal["auto", "fixed_draws", "stochastic"] = "auto",
    bound: BoundChoice = None,
    num_draws: int | None = None,
    start: np.ndarray | Start | None = None,
    fixed_draws: int | None = None,
    max_evaluations: int = 5000,
    gradient: GradientChoice = None,
    num_samples: int | None = None,
    batch: int | None = None,
    rate: float = 0.03,
    tolerance: float = 0.02,
    max_steps: int = 20_000,
    keep: Collection[str] = (),
) -> VariationalFit:
    """Fits a family of distributions q to a target, and measures the fit on fresh draws.

    The fit is in float64, whatever JAX's default precision. Every reported figure comes from draws
    of q that the fit has not used.

    Args:
        target: made by `from_log_joint`, `from_unconstrained`, `from_numpyro` or `from_pymc`, or a
            `Target`.
        family: a name of the families room ("mean_field", "full_rank", "low_rank", "student_t",
            "mixture", "flow"), or {"name": ..., option: value}; or a callable that takes the
            `Start` and returns an `AbstractFamily`, such as a subclass of `AbstractFamily`, or what
            `families.own` and `families.from_flowjax` return.
        key: decides the start, the draws and all other random numbers.
        method: "fixed_draws" maximises the ELBO over a fixed set of draws by L-BFGS from a Laplace
            start. "stochastic" ascends any bound by Adam, with minibatches if `batch` is given.
            "auto" takes fixed draws up to 500 dimensions, unless a bound, a batch or another option
            needs the stochastic method, or the family is a network, whose weights would need tens
            of thousands of fixed draws.
        bound: the bound to maximise: a name of the bounds room, {"name": ..., option: value}, or a
            bound; the ELBO by default. "eubo" minimises the forward KL.
        num_draws: number of fresh draws for all reported figures. By default 10,000, and 100,000
            where k-hat of these is above 0.5: with few draws k-hat may be far too high for weights
            that are nearly equal.
        start: unconstrained coordinates [D] where the fit starts (a random place by default), or a
            `Start` with its units, which is used as it is.
        fixed_draws: number of fixed draws, a power of 2. By default enough for the family, doubled
            while the fit over-fits them: while their ELBO exceeds that of fresh draws by two
            standard errors and 0.01 nats.
        max_evaluations: limit on evaluations of the ELBO over all fixed draws, for each number of
            draws.
        gradient, num_samples: the estimator of the gradients room and its draws for each step, for
            the stochastic method; by default what suits the bound.
        batch: rows of data for each step, drawn with replacement; their likelihood counts N/B
            times. Reported figures are always of all data.
        rate, tolerance, max_steps: Adam's first learning rate, and the Monte Carlo error of the
            averaged iterates at which the fit ends, both in units of the start's standard
            deviations; and the largest number of steps.
        keep: names of derived values (deterministic sites) with more than 1,000 numbers to store
            for each draw. By default these are not stored, to save memory;
            `VariationalFit.derived` computes them for fewer draws.

    Returns:
        A `VariationalFit`. If the fit did not converge, its `outcome` and `verdicts` say so.

    Raises:
        ValueError: an unknown name, a number out of range, a start where the density is not finite,
            a density that rises without end, a gradient that is not finite, or a direction along
            which the density is constant.

        fit = jensen.fit_variational(target, "full_rank", key=jax.random.key(0))
        fit.elbo, fit.verdicts
    """
    began = time.monotonic()
    _check_counts(
        num_draws=num_draws,
        fixed_draws=fixed_draws,
        max_evaluations=max_evaluations,
        num_samples=num_samples,
        batch=batch,
        max_steps=max_steps,
        key=key,
    )
    name, options = ("own", {}) if callable(family) else _named(family)
    ascended_bound = _bound(bound)
    by = _method(method, ascended_bound, target, batch, gradient, num_samples)
    names_to_keep(target, keep)  # refuses unknown names before the fit
    with jax.enable_x64(True):
        key_start, key_fit, key_draws = jr.split(key, 3)
        # A fourth stream: split(key, 3) gives the same keys as fold_in(key, 0), 1 and 2.
        key_modes = jr.fold_in(key, 3)
        density = Density(target)
        if isinstance(start, Start):
            start_normal, kind = check_start(target, start), "given"
        else:
            start_normal, kind = choose_start(density, key_start, at=start)
        first = (
            family(start_normal)
            if callable(family)
            else families.build(name, options, {"start": start_normal})
        )
        if callable(family):
            name, by = _own_name(first), _without_derivatives(first, method, by)
        # A network's weights would need tens of thousands of fixed draws.
        if first.network and method == "auto" and fixed_draws is None:
            by = "stochastic"
        settings: dict[str, Any] = {"method": by, "family": name, **options, "start": kind}
        if by == "stochastic":
            stochastic = stochastic_settings(
                target,
                first,
                ascended_bound,
                gradient=gradient,
                num_samples=num_samples,
                batch=batch,
                rate=rate,
                tolerance=tolerance,
                max_steps=max_steps,
            )
            settings |= {
                "bound": type(ascended_bound).__name__,
                "gradient": stochastic.estimator.name,
                "num_samples": stochastic.num_samples,
                "batch": batch,
            }
            fit = fit_stochastic(target, first, key_fit, stochastic)
            settings["monte_carlo_error"] = fit.error
            fresh_draws = FreshDraws(target, fit.family, key_draws, num_draws, keep)
            missed = _missed(density, start_normal, fresh_draws, key_modes)
            return fresh_draws.summary(
                Outcome(fit.converged, fit.message),
                None,
                density.evaluations + fit.evaluations,
                began,
                settings,
                missed,
            )
        return _by_fixed_draws(
            density,
            start_normal,
            first,
            key_fit,
            key_draws,
            key_modes,
            num_draws,
            keep,
            fixed_draws,
            max_evaluations,
            began,
            settings,
        )


def _by_fixed_draws(
    density: Density,
    start: Start,
    member: AbstractFamily,
    key_fit: Key,
    key_draws: Key,
    key_modes: Key,
    num_draws: int | None,
    keep: Collection[str],
    fixed_draws: int | None,
    max_evaluations: int,
    began: float,
    settings: dict[str, Any],
) -> VariationalFit:
    target = density.target
    count, num_evaluations = fixed_draws or num_fixed_draws(member, target.size), 0
    # Doubles the number of fixed draws until fresh draws show no over-fitting.
    while True:
        maximum = fit_fixed_draws(
            density, member, key_fit, num_draws=count, max_evaluations=max_evaluations
        )
        num_evaluations, member = num_evaluations + maximum.evaluations, maximum.family
        fresh_draws = FreshDraws(target, member, key_draws, num_draws, keep)
        fresh = fresh_draws.clipped_elbo
        excess = maximum.value - fresh.value
        # `not <=` counts NaN as over-fitted.
        over_fitted = not excess <= max(2 * fresh.standard_error, OVER_FIT)
        if (
            not over_fitted
            or fixed_draws is not None
            or 2 * count > MOST_FIXED_DRAWS
            or not np.isfinite(excess)
        ):
            break
        count *= 2
    outcome = Outcome(maximum.converged, maximum.message)
    if not np.isfinite(excess):
        not_finite = np.flatnonzero(~np.isfinite(fresh_draws.log_w))
        sites = sites_at_fault(target, fresh_draws.u[not_finite[0]])
        remedy = (
            "declare it by the parameter's support (supports= of from_log_joint, or a site's "
            "distribution), so that the density is finite for all u"
        )
        outcome = Outcome(
            False,
            f"the log-density is not finite at {len(not_finite)} of {len(fresh_draws.log_w)} "
            f"draws of q{f' ({sites})' if sites else ''}: if a parameter cannot take such values, "
            f"{remedy}",
        )
    elif over_fitted:
        outcome = Outcome(
            False,
            f"{count} fixed draws are over-fitted by {excess:.2g} nats, measured on fresh draws; "
            "raise fixed_draws=, or use a family with fewer parameters",
        )
    # Linear response holds at a maximum of the objective only.
    mean_field = isinstance(member, MeanField) and outcome.converged
    covariance = (
        linear_response(density, member, fixed_noise(member, key_fit, count))
        if isinstance(member, MeanField) and mean_field
        else None
    )
    missed = _missed(density, start, fresh_draws, key_modes)
    return fresh_draws.summary(
        outcome,
        covariance,
        density.evaluations,
        began,
        settings | {"fixed_draws": count, "objective_evaluations": num_evaluations},
        missed,
    )


def _missed(density: Density, start: Start, fresh_draws: FreshDraws, key: Key) -> tuple[Mode, ...]:
    log_evidence = float(fresh_draws.evidence.value)
    return missed_modes(density, start, fresh_draws.u, fresh_draws.importance, log_evidence, key)


def _check_counts(
    *, key: Any, num_draws: int | None, fixed_draws: int | None, **counts: int | None
) -> None:
    """Checks that the key is a JAX key and that counts are whole numbers in range."""
    if not isinstance(key, jax.Array):
        raise ValueError(f"key must be a JAX random key, such as jax.random.key(0); got {key!r}.")
    for name, count in {"num_draws": num_draws, "fixed_draws": fixed_draws, **counts}.items():
        if count is not None and (count != int(count) or count < 1):
            raise ValueError(f"{name} must be a whole number, 1 or more; got {count}.")
    if num_draws is not None and num_draws < 100:
        raise ValueError(
            f"num_draws must be at least 100, or k-hat is meaningless; got {num_draws}."
        )
    if fixed_draws is not None and (fixed_draws < 2 or fixed_draws & (fixed_draws - 1)):
        raise ValueError(
            "fixed_draws must be a power of 2, as Sobol points come in these and in pairs; got "
            f"{fixed_draws}. Try 256."
        )


def _named(choice: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if isinstance(choice, str):
        return choice, {}
    if not isinstance(choice, Mapping):
        raise ValueError(
            f"family= and bound= are names, such as 'full_rank', or {{'name': ..., option: "
            f"value}}; got {choice!r}."
        )
    options = dict(choice)
    if "name" not in options:
        raise ValueError(
            f"a choice with options needs its name too, such as {{'name': 'student_t', 'df': "
            f"5.0}}; got {dict(choice)}."
        )
    return options.pop("name"), options


def _own_name(member: Any) -> str:
    if not isinstance(member, AbstractFamily):
        raise ValueError(
            "a family is a name, or a callable of a Start that returns an AbstractFamily; got "
            f"{type(member).__name__}. See families.own."
        )
    return type(member).__name__


def _without_derivatives(member: AbstractFamily, method: str, by: str) -> str:
    """Changes the method to stochastic where the draws have no derivative."""
    if member.reparameterised or by == "stochastic":
        return by
    if method == "fixed_draws":
        raise ValueError(
            "method='fixed_draws' differentiates through the draws, and those of this family "
            "have no derivative; take method='stochastic'."
        )
    return "stochastic"


def _bound(choice: BoundChoice) -> AbstractBound:
    return bounds.resolve(bounds.default if choice is None else choice).build({})


def _method(
    method: str,
    bound: AbstractBound,
    target: Target,
    batch: int | None,
    gradient: GradientChoice,
    num_samples: int | None,
) -> str:
    """Chooses the method, and refuses options of the other one."""
    needs_stochastic = {
        f"the {type(bound).__name__} bound": not bound.linear,
        "batch=": batch is not None,
        "gradient=": gradient is not None,
        "num_samples=": num_samples is not None,
    }
    reasons = [what for what, given in needs_stochastic.items() if given]
    if method == "auto":
        return "stochastic" if reasons or target.size > LARGE else "fixed_draws"
    if method not in ("fixed_draws", "stochastic"):
        raise ValueError(f"method must be auto, fixed_draws or stochastic; got {method!r}.")
    if method == "fixed_draws" and reasons:
        raise ValueError(
            f"method='fixed_draws' climbs the ELBO of all data; {' and '.join(reasons)} belong "
            "to method='stochastic'."
        )
    return method
