"""The start of a fit: the normal at the maximum of the log-density with its curvature (Laplace), or
a rough mean-field fit where there is no maximum.

A draw from U(-2, 2) per coordinate (as Stan does) is climbed by L-BFGS, then by Newton steps while
the curvature allows. The maximum's inverse curvature gives location and units of the fit. A density
without a maximum (a funnel) has none: there the start is a mean-field normal fitted roughly to
fixed draws.
"""

import warnings
from typing import NamedTuple

import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.variational._density import Density
from jensen.variational._fixed_draws import fit_fixed_draws
from jensen.variational._lbfgs import maximise
from jensen.variational.families import Start
from jensen.variational.families.mean_field import MeanField
from jensen.variational.target import Target

TRIES = 50
MOST_FOR_CURVATURE = 1000  # dimensions up to which the matrix of second derivatives is made
NEWTON = 10
ROUGH_DRAWS, ROUGH_EVALUATIONS = 64, 300
ELSEWHERE = (0, 0.1, -0.1, 1, -1, 2, -2, 5, -5, 20, -20)  # where a coordinate at fault is tried
MOST_SITES = 3  # that are named
ENDLESS = 1e8  # of an unconstrained coordinate
FLAT = 1e-8  # change of a log-density, relative to it, that is none


class ChosenStart(NamedTuple):
    """A start, and how it was chosen, in words."""

    start: Start
    kind: str


def choose_start(density: Density, key: Key, *, at: np.ndarray | None = None) -> ChosenStart:
    """Chooses the start for a target; `at` [D] replaces the random draw.

    Raises:
        ValueError: a start of the wrong length, a log-density that is not finite there (the
            coordinates that could mend it are named), a gradient that is not (its coordinates), or
            a direction along which the density is constant (the coordinates it moves).
    """
    target = density.target
    u = first_place(density, key, at)
    check_gradient(target, density.at(u).gradient)
    place = maximise(density.at, u, max_evaluations=20 * target.size + 500).place
    refuse_endless_rise(density, u, place)
    # In very many dimensions the [D, D] curvature costs too much: the units stay unknown.
    if target.size > MOST_FOR_CURVATURE:
        return ChosenStart(
            Start(jnp.asarray(place), 0.1 * jnp.eye(target.size)), "a maximum (units unknown)"
        )
    place, precision = _newton(density, place)
    refuse_flat_directions(density, place, precision)
    values, vectors = np.linalg.eigh(precision)
    gradient = density.at(place).gradient
    if (
        values.min() > 1e-12 * values.max()
        and 0.5 * gradient @ np.linalg.solve(precision, gradient) < 0.01
    ):
        covariance = (vectors / values) @ vectors.T
        scale_tril = np.linalg.cholesky((covariance + covariance.T) / 2)
        return ChosenStart(Start(jnp.asarray(place), jnp.asarray(scale_tril)), "Laplace")
    # No maximum with a positive curvature, as in a funnel.
    rough = MeanField(Start(jnp.asarray(u), 0.3 * jnp.eye(target.size)))
    rough_fit = fit_fixed_draws(
        density, rough, key, num_draws=ROUGH_DRAWS, max_evaluations=ROUGH_EVALUATIONS
    )
    assert isinstance(rough_fit.family, MeanField)
    loc, scale = rough_fit.family.parameters()
    return ChosenStart(Start(loc, jnp.diag(scale)), "rough mean-field")


def first_place(density: Density, key: Key, at: np.ndarray | None) -> np.ndarray:
    """Returns a place [D] where the log-density is finite: `at`, or a random draw."""
    target = density.target
    if at is not None:
        try:
            u = np.asarray(at, np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "start must be an array of unconstrained coordinates, or a families.Start(loc, "
                f"scale_tril); got a {type(at).__name__}."
            ) from error
        if u.shape != (target.size,):
            raise ValueError(
                f"start must hold the {target.size} unconstrained coordinates "
                f"({', '.join(target.coordinates[:4])} ...); got shape {u.shape}."
            )
        value = density.at(u).value
        if not np.isfinite(value):
            raise ValueError(_refusal(density, u, value, "the start"))
        return u
    u, value, random = (
        np.zeros(target.size),
        np.nan,
        np.random.default_rng(np.asarray(jr.key_data(key)).ravel()),
    )
    for _ in range(TRIES):
        u = random.uniform(-2, 2, target.size)
        value = density.at(u).value
        if np.isfinite(value):
            return u
    raise ValueError(_refusal(density, u, value, f"all of {TRIES} random starts; the last"))


def check_start(target: Target, start: Start) -> Start:
    """Checks a start that the caller gave and converts it to float64.

    Raises:
        ValueError: shapes that are not those of the target, values that are not finite, or a
            scale_tril that is no Cholesky factor.

        check_start(target, Start(np.zeros(2), np.eye(2)))
    """
    loc, scale_tril = (np.asarray(a, np.float64) for a in start)
    size = target.size
    if loc.shape != (size,) or scale_tril.shape != (size, size):
        raise ValueError(
            f"of {size} coordinates a start has loc [{size}] and scale_tril [{size}, {size}]; "
            f"got {loc.shape} and {scale_tril.shape}."
        )
    if not (np.isfinite(loc).all() and np.isfinite(scale_tril).all()):
        raise ValueError(
            "start's loc and scale_tril must be finite; they are the location and the units that "
            "the fit sets out with."
        )
    if np.triu(scale_tril, 1).any() or not (np.diag(scale_tril) > 0).all():
        raise ValueError(
            "start's scale_tril must be lower triangular with a positive diagonal, as a Cholesky "
            "factor; a singular one has no density."
        )
    return Start(jnp.asarray(loc), jnp.asarray(scale_tril))


def _refusal(density: Density, u: np.ndarray, value: float, where: str) -> str:
    """The message: which sites and which single coordinates explain the value."""
    mending = []
    for i, name in enumerate(density.target.coordinates):
        moved = np.repeat(u[None], len(ELSEWHERE), axis=0)
        moved[:, i] = ELSEWHERE
        if np.isfinite(density(moved).values).any():
            mending.append(f"{name} = {u[i]:.4g}")
    cause = (
        f"another value of {' or of '.join(mending[:5])} would mend it"
        if mending
        else "no single coordinate mends it"
    )
    if sites := sites_at_fault(density.target, u):
        cause = f"{sites}; {cause}"
    remedy = (
        "Give start=, a place where it is finite."
        if mending
        else (
            "Look for data that are not finite or the likelihood cannot have given, or a fault "
            "in the model; or give start=, a place where it is finite."
        )
    )
    return (
        f"the log-density is {value} at {where}: {cause} (coordinates are unconstrained). {remedy}"
    )


def sites_at_fault(target: Target, u: np.ndarray) -> str:
    """Describes the sites whose term at u is not finite, with an example of each; '' where the
    target has no site terms.

    sites_at_fault(target, u)  # "the log-density of the data of 'x' is -inf at [0], where x is 0.5"
    """
    if target.site_terms is None:
        return ""
    clauses = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPyro's, that a value is outside its support
        terms_by_site = target.site_terms(jnp.asarray(u))
    for name, (terms, value, observed) in terms_by_site.items():
        faults = np.argwhere(~np.isfinite(np.asarray(terms)))
        if not len(faults):
            continue
        index = tuple(int(i) for i in faults[0])
        where = f" at {list(index)}" if index else ""
        # The value of an event, which may have axes of its own, or be shared by all of them.
        events = np.asarray(value)
        example = events[index] if events.ndim >= len(index) and events.size else events
        shown = np.array2string(np.asarray(example), precision=4, threshold=6)
        clauses.append(
            f"the log-density of {'the data of ' if observed else ''}{name!r} is "
            f"{np.asarray(terms)[index]}{where}, where the value is {shown}"
        )
    return "; ".join(clauses[:MOST_SITES])


def check_gradient(target: Target, gradient: np.ndarray) -> None:
    """Checks that a gradient [D] is finite.

    Raises:
        ValueError: names the coordinates where it is not.
    """
    bad = np.flatnonzero(~np.isfinite(np.asarray(gradient)))
    if len(bad):
        named = ", ".join(target.coordinates[i] for i in bad[:5]) + (" ..." if len(bad) > 5 else "")
        raise ValueError(
            f"the gradient of the log-density is not finite at the start in {len(bad)} of "
            f"{target.size} coordinates: {named}. Often a jnp.where whose other "
            "branch is not finite, or a square root or a power of 0: guard its argument too."
        )


def _newton(density: Density, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Makes Newton steps while they rise: (place, minus the second derivatives there)."""

    def at(u):
        return *density.at(u), density.curvature(u)

    value, gradient, precision = at(u)
    for _ in range(NEWTON):
        values = np.linalg.eigvalsh(precision) if np.isfinite(precision).all() else np.array([-1.0])
        if values.min() <= 1e-14 * abs(values).max():
            return u, precision
        step = np.linalg.solve(precision, gradient)
        gain = 0.5 * gradient @ step
        # The step would win nothing that the value can show.
        if gain < 1e-25 * max(1.0, abs(value)):
            return u, precision
        new = at(u + step)
        if gain < 1e-9 and np.isfinite(new[2]).all():  # less than a value's rounding can tell
            u, (value, gradient, precision) = u + step, new
            continue
        if not (np.isfinite(new[0]) and new[0] > value and np.isfinite(new[2]).all()):
            return u, precision
        u, (value, gradient, precision) = u + step, new
    return u, precision


def refuse_endless_rise(density: Density, u: np.ndarray, place: np.ndarray) -> None:
    """Refuses a log-density that still rises where the climb from u has gone beyond all measure,
    and along that coordinate alone too: it cannot be normalised. A funnel, which can, rises without
    end in its mouth alone.

    Raises:
        ValueError: names the coordinate that went furthest.
    """
    furthest = int(np.argmax(np.abs(place)))
    if abs(place[furthest]) <= ENDLESS:
        return
    along = np.repeat(u[None], 3, axis=0)
    along[1:, furthest] = place[furthest] * np.array([1e-3, 1.0])
    (value, slope), values = density.at(place), density(along).values
    with np.errstate(over="ignore", invalid="ignore"):
        rises = not slope @ place < 1 + 1e-3 * np.abs(value)  # what going as far again would win
        alone = bool(np.all(np.diff(values) > 0))
    if rises and alone:
        raise ValueError(
            f"the log-density rises without end: {value:.3g} at "
            f"{density.target.coordinates[furthest]} = {place[furthest]:.3g} and rising, and no "
            "such density "
            "can be normalised. Look for a prior that is missing, or a sign that is wrong."
        )


def refuse_flat_directions(density: Density, place: np.ndarray, precision: np.ndarray) -> None:
    """Refuses a target that does not depend on some direction at all: its covariance is singular,
    and no q has a finite bound.

    Raises:
        ValueError: names the coordinates that the direction moves.
    """
    if not np.isfinite(precision).all():
        return
    values, vectors = np.linalg.eigh(precision)
    suspects = np.flatnonzero(np.abs(values) < 1e-6 * max(np.abs(values).max(), 1e-6))
    if not len(suspects):
        return
    here = density.at(place).value
    steps = np.array([1.0, -1.0, 1e3, -1e3, 1e6, -1e6])
    for i in suspects:
        along = density(place + steps[:, None] * vectors[:, i]).values
        if np.all(np.abs(along - here) < FLAT * (1 + abs(here))):
            loads = np.abs(vectors[:, i])
            moved = [
                density.target.coordinates[j]
                for j in np.argsort(-loads)
                if loads[j] > 0.1 * loads.max()
            ]
            raise ValueError(
                "the log-density is constant along a direction that moves "
                f"{', '.join(moved[:5])}: the posterior has no covariance there (singular), and "
                "no "
                "family a finite bound. Give these parameters a prior, or take one of them out."
            )
