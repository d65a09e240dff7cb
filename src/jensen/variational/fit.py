"""The front door of variational inference: a target, a family, and what comes of them."""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

import jax
import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.bounds import AbstractBound, bounds
from jensen.variational._density import Density
from jensen.variational._draws import names_to_keep
from jensen.variational._fixed_draws import fit_fixed_draws, fixed_noise, how_many_draws
from jensen.variational._linear_response import linear_response
from jensen.variational._measure import Drawn
from jensen.variational._modes import Mode, missed_modes
from jensen.variational._start import begin, check_start, sites_at_fault
from jensen.variational._stochastic import fit_stochastic, make_how
from jensen.variational.families import AbstractFamily, Start, families
from jensen.variational.families.mean_field import MeanField
from jensen.variational.result import Outcome, VariationalFit
from jensen.variational.target import Target

MOST_FIXED_DRAWS, OVER_FIT = 16384, 0.01
LARGE = 500


def fit_variational(
    target: Target,
    family: str | Mapping[str, Any] | Callable[[Start], AbstractFamily] = "full_rank",
    *,
    key: Key,
    method: Literal["auto", "fixed_draws", "stochastic"] = "auto",
    bound: str | Mapping[str, Any] | AbstractBound | None = None,
    num_draws: int | None = None,
    start: np.ndarray | Start | None = None,
    fixed_draws: int | None = None,
    max_evaluations: int = 5000,
    gradient: str | None = None,
    num_samples: int | None = None,
    batch: int | None = None,
    rate: float = 0.03,
    tolerance: float = 0.02,
    max_steps: int = 20_000,
    keep: Collection[str] = (),
) -> VariationalFit:
    """Fits a family to a target, and says what the fit is worth, on draws that it has not seen. All
    of it in float64.

    Args:
        target: by `from_log_joint`, `from_unconstrained`, `from_numpyro`, `from_pymc`, or a
            `Target`.
        family: a name of the families room (mean_field, full_rank, low_rank, student_t, mixture,
            flow), or {"name": ..., option: value}; or your own: a callable of the `Start`, such as
            a subclass of `AbstractFamily`, or as `families.own` and `families.from_flowjax` make
            it.
        key: decides start, draws and all.
        method: 'fixed_draws' climbs the ELBO over draws that stay the same, by L-BFGS from a
            Laplace start; 'stochastic' ascends any bound by Adam, with minibatches if asked to.
            'auto' is fixed draws up to 500 dimensions, unless a bound or a batch asks for the
            other, or the family is a network, whose weights take tens of thousands of fixed draws.
        bound: what to climb: a name of the bounds room, {"name": ..., option: value}, or a bound;
            the ELBO when absent. `eubo` leads to the forward KL.
        num_draws: fresh draws that everything reported is measured on; when absent 10,000, and
            100,000 where k-hat of these is above .5: in few draws it may be far too high for
            weights that are nearly equal.
        start: unconstrained coordinates [D] to set out from (a random place when absent), or a
            `Start` with its units, which is taken as it is.
        fixed_draws: how many draws stay the same, a power of 2; when absent enough for the family,
            doubled while they are over-fitted: while their ELBO is above that of fresh draws by two
            standard errors and .01 nats.
        max_evaluations: of the ELBO over all fixed draws, for each number of them.
        gradient, num_samples: of a stochastic fit, the estimator of the gradients room and its
            draws a step; when absent what suits the bound.
        batch: rows of data a step, drawn with replacement; their likelihood counts N/B times. What
            is reported is of all data.
        rate, tolerance, max_steps: Adam's first rate, and the Monte Carlo error of the averaged
            iterates at which it is satisfied, both in units of the start's standard deviations; and
            where it gives up.
        keep: names of derived values (deterministic sites) of more than 1,000 numbers to keep of
            each draw; they are left out otherwise, for their memory, and `VariationalFit.derived`
            computes them for fewer draws.

    Returns:
        A `VariationalFit`; one that did not converge says so in `outcome` and `verdicts`.

    Raises:
        ValueError: an unknown name, a number out of range, a start where the density is not finite,
            one that rises without end, a gradient that is not finite, a direction along which the
            density is constant.

        fit = jensen.fit_variational(target, "full_rank", key=jax.random.key(0))
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
    ascended = _bound(bound)
    by = _method(method, ascended, target, batch, gradient, num_samples)
    names_to_keep(target, keep)  # refuses names at once
    with jax.enable_x64(True):
        key_start, key_fit, key_draws = jr.split(key, 3)
        key_modes = jr.fold_in(key, 3)
        density = Density(target)
        if isinstance(start, Start):
            setting_out, kind = check_start(target, start), "given"
        else:
            setting_out, kind = begin(density, key_start, at=start)
        first = (
            family(setting_out)
            if callable(family)
            else families.build(name, options, {"start": setting_out})
        )
        if callable(family):
            name, by = _own_name(first), _without_derivatives(first, method, by)
        if first.network and method == "auto" and fixed_draws is None:
            by = "stochastic"
        settings: dict[str, Any] = {"method": by, "family": name, **options, "start": kind}
        if by == "stochastic":
            how = make_how(
                target,
                first,
                ascended,
                gradient=gradient,
                num_samples=num_samples,
                batch=batch,
                rate=rate,
                tolerance=tolerance,
                max_steps=max_steps,
            )
            settings |= {
                "bound": type(ascended).__name__,
                "gradient": how.estimator.name,
                "num_samples": how.num_samples,
                "batch": batch,
            }
            found = fit_stochastic(target, first, key_fit, how)
            settings["monte_carlo_error"] = found.error
            drawn = Drawn(target, found.family, key_draws, num_draws, keep)
            missed = _missed(density, setting_out, drawn, key_modes)
            return drawn.summary(
                Outcome(found.converged, found.message),
                None,
                density.evaluations + found.evaluations,
                began,
                settings,
                missed,
            )
        return _by_fixed_draws(
            density,
            setting_out,
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
    count, climbed = fixed_draws or how_many_draws(member, target.size), 0
    while True:
        found = fit_fixed_draws(
            density, member, key_fit, num_draws=count, max_evaluations=max_evaluations
        )
        climbed, member = climbed + found.evaluations, found.family
        drawn = Drawn(target, member, key_draws, num_draws, keep)
        fresh = drawn.clipped_elbo
        excess = found.value - fresh.value
        over_fitted = not excess <= max(2 * fresh.standard_error, OVER_FIT)
        if (
            not over_fitted
            or fixed_draws is not None
            or 2 * count > MOST_FIXED_DRAWS
            or not np.isfinite(excess)
        ):
            break
        count *= 2
    outcome = Outcome(found.converged, found.message)
    if not np.isfinite(excess):
        lost = np.flatnonzero(~np.isfinite(drawn.log_w))
        sites = sites_at_fault(target, drawn.u[lost[0]])
        remedy = (
            "say so by its support (supports= of from_log_joint, or a site's "
            "distribution), so that u has no edge"
        )
        outcome = Outcome(
            False,
            f"the log-density is not finite at {len(lost)} of {len(drawn.log_w)} draws of q"
            f"{f' ({sites})' if sites else ''}: if a parameter cannot go there, {remedy}",
        )
    elif over_fitted:
        outcome = Outcome(
            False,
            f"{count} fixed draws are over-fitted by {excess:.2g} nats, as fresh ones say; raise "
            "fixed_draws=, or take fewer parameters",
        )
    mean_field = isinstance(member, MeanField) and outcome.converged
    covariance = (
        linear_response(density, member, fixed_noise(member, key_fit, count))
        if isinstance(member, MeanField) and mean_field
        else None
    )
    missed = _missed(density, start, drawn, key_modes)
    return drawn.summary(
        outcome,
        covariance,
        density.evaluations,
        began,
        settings | {"fixed_draws": count, "objective_evaluations": climbed},
        missed,
    )


def _missed(density: Density, start: Start, drawn: Drawn, key: Key) -> tuple[Mode, ...]:
    log_evidence = float(drawn.evidence.value)
    return missed_modes(density, start, drawn.u, drawn.importance, log_evidence, key)


def _check_counts(
    *, key: Any, num_draws: int | None, fixed_draws: int | None, **counts: int | None
) -> None:
    """Refuses a key that is none, and numbers of things that are not whole or too small."""
    if not isinstance(key, jax.Array):
        raise ValueError(f"key must be a JAX random key, such as jax.random.key(0); got {key!r}.")
    for name, count in {"num_draws": num_draws, "fixed_draws": fixed_draws, **counts}.items():
        if count is not None and (count != int(count) or count < 1):
            raise ValueError(f"{name} must be a whole number, 1 or more; got {count}.")
    if num_draws is not None and num_draws < 100:
        raise ValueError(
            f"num_draws must be at least 100, or k-hat means nothing; got {num_draws}."
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
    """Stochastic, where no derivative passes the draws."""
    if member.reparameterised or by == "stochastic":
        return by
    if method == "fixed_draws":
        raise ValueError(
            "method='fixed_draws' differentiates through the draws, and those of this family "
            "have no derivative; take method='stochastic'."
        )
    return "stochastic"


def _bound(choice: str | Mapping[str, Any] | AbstractBound | None) -> AbstractBound:
    return (
        choice if isinstance(choice, AbstractBound) else bounds.build(*_named(choice or "elbo"), {})
    )


def _method(
    method: str,
    bound: AbstractBound,
    target: Target,
    batch: int | None,
    gradient: str | None,
    num_samples: int | None,
) -> str:
    """Which of the two, and a refusal where options of the other were given."""
    asks = {
        f"the {type(bound).__name__} bound": not bound.linear,
        "batch=": batch is not None,
        "gradient=": gradient is not None,
        "num_samples=": num_samples is not None,
    }
    reasons = [what for what, asked in asks.items() if asked]
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
