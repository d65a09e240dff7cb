"""Modes of a posterior that q has missed: other maxima of the log-density, and the mass around
them.

Importance weights cannot show a mode where q has no draws, such as other labels of a mixture or
other signs of factor loadings. So the log-density is maximised from many starts at once, by the
program that is compiled anyway. Around each maximum importance sampling from a normal with the
curvature there estimates the mass. Maxima that q's own draws reach do not count.
"""

from typing import NamedTuple

import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.variational._density import BLOCK, CHUNK, Density
from jensen.variational.families import Start

STARTS = CHUNK  # as many as one chunk of the program holds: they cost no more than one
EVALUATIONS, MEMORY = 100, 8
SLOPE = 1e-2  # a maximum is reached where a Newton step would win fewer nats than this
MOST_DIMENSIONS = 1000
MOST_CURVATURES = 400  # maxima times dimensions whose curvature is looked at
APART = 0.5  # standard deviations of the start: nearer places are one maximum
NEAR = 3.0  # standard deviations around a maximum that count as its own
LEAST_MASS = 0.05  # of what q covers
COVERED = 0.2  # of a maximum's mass: where draws of q have that much, q has not missed it


class Mode(NamedTuple):
    """A maximum of the log-density that q does not reach: its place u [D], and its mass relative to
    the mass that q covers.
    """

    place: np.ndarray
    mass: float


def missed_modes(
    density: Density,
    start: Start,
    draws: np.ndarray,
    importance: np.ndarray,
    log_evidence: float,
    key: Key,
) -> tuple[Mode, ...]:
    """Searches for maxima without draws of q whose mass is at least LEAST_MASS of what q covers,
    the heaviest first.

    Args:
        density: the target's.
        start: of the fit; its scales are the units of the maximisation.
        draws, importance: draws of q [S, D], unconstrained, with their weights [S].
        log_evidence: log p(x) by these draws, nats.
        key: decides the starts of the maximisation.

        missed_modes(density, start, fit.unconstrained, fit.importance, fit.evidence.value, key)
    """
    loc, scale = (np.asarray(part) for part in start)
    if len(loc) > MOST_DIMENSIONS or not np.isfinite(log_evidence):
        return ()
    random = np.random.default_rng(np.asarray(jr.key_data(key)).ravel())
    starts = _starts(density.target.coordinates, loc, scale, random)
    with np.errstate(over="ignore", invalid="ignore"):  # where the density rises without end
        ends = _maximise_together(density, starts, scale)
    missed, reached = [], 0.0
    for place in _distinct(*ends, scale, MOST_CURVATURES // len(loc)):
        precision = density.curvature(place)
        # A saddle or a flat ridge has no normal with its curvature.
        if not (np.isfinite(precision).all() and np.linalg.eigvalsh(precision).min() > 0):
            continue
        mass = _mass_around(density, place, precision, log_evidence, random)
        if _weight_near(draws, importance, place, precision) >= COVERED * min(mass, 1.0):
            reached += mass
        elif mass > LEAST_MASS:
            missed.append(Mode(place, mass))
    # The masses of the maxima that q covers should add up to 1. How far they fall short shows how
    # much the estimate underestimates, and corrects the masses of the missed ones.
    correction = reached if 0.3 < reached < 1 else 1.0
    missed = [Mode(mode.place, mode.mass / correction) for mode in missed]
    return tuple(sorted(missed, key=lambda mode: -mode.mass))


def _starts(
    coordinates: tuple[str, ...], loc: np.ndarray, scale: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """[STARTS, D] in three parts: near 0 as Stan draws them, over the range of the first maximum,
    and that maximum with the entries of its sites in another order and with other signs.
    """
    part, dim = STARTS // 3, len(loc)
    near = random.uniform(-2, 2, (part, dim))
    wide = random.uniform(-1, 1, (part, dim)) * (2 + 2 * np.abs(loc))
    groups: dict[int, list[np.ndarray]] = {}
    for entries in _sites(coordinates):
        groups.setdefault(len(entries), []).append(entries)
    mirrored = np.empty((STARTS - 2 * part, dim))
    for row in mirrored:
        row[:] = loc + scale @ random.normal(size=dim)
        for length, sites in groups.items():
            order = random.permutation(length)  # of all sites of that length, as labels have
            for entries in sites:
                row[entries] = row[entries[order]] * random.choice([-1, 1], p=[0.25, 0.75])
    return np.concatenate([near, wide, mirrored])


def _sites(coordinates: tuple[str, ...]) -> list[np.ndarray]:
    """The positions of each site's coordinates, by their labels: `mu[0]`, `mu[1]` are one site."""
    sites: dict[str, list[int]] = {}
    for i, label in enumerate(coordinates):
        sites.setdefault(label.partition("[")[0], []).append(i)
    return [np.array(positions) for positions in sites.values()]


def _maximise_together(
    density: Density, starts: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(places, values) of the maxima that L-BFGS reaches from all starts in parallel: each call of
    the program evaluates one point of every maximisation.
    """
    place = starts.copy()
    value, slope = density(place)
    slope = slope @ scale  # in units of the start, as are steps
    alive = np.isfinite(value) & np.isfinite(slope).all(axis=1)
    place, value, slope = place[alive], value[alive], slope[alive]
    steps: list[np.ndarray] = []
    changes: list[np.ndarray] = []
    direction, length = slope, 1 / np.maximum(1.0, np.linalg.norm(slope, axis=1))
    for _ in range(EVALUATIONS):
        if not len(place) or (np.sum(slope**2, axis=1) < 2 * SLOPE**2).all():
            break
        step = length[:, None] * direction
        new_value, new_slope = density(place + step @ scale.T)
        new_slope = new_slope @ scale
        rises = new_value >= value + 1e-4 * np.sum(step * slope, axis=1)
        rises &= np.isfinite(new_value) & np.isfinite(new_slope).all(axis=1)
        # One that did not rise stays where it is and tries a shorter step; its L-BFGS pair is 0.
        steps.append(np.where(rises[:, None], step, 0.0))
        changes.append(np.where(rises[:, None], slope - new_slope, 0.0))
        steps, changes = steps[-MEMORY:], changes[-MEMORY:]
        place = place + steps[-1] @ scale.T
        value = np.where(rises, new_value, value)
        slope = np.where(rises[:, None], new_slope, slope)
        newton = _direction(slope, steps, changes)
        direction = np.where(rises[:, None], newton, direction)
        length = np.where(rises, 1.0, length / 4)
    arrived = np.sum(slope**2, axis=1) < 2 * SLOPE
    return place[arrived], value[arrived]


def _direction(slope: np.ndarray, steps: list[np.ndarray], changes: list[np.ndarray]) -> np.ndarray:
    """The L-BFGS directions [S, D], each climb with its own memory (Nocedal & Wright 2006, 7.4)."""
    direction, history = slope.copy(), []
    for step, change in zip(reversed(steps), reversed(changes), strict=True):
        product = np.sum(step * change, axis=1)
        curved = product > 1e-10 * np.sum(change**2, axis=1)
        inverse = np.where(curved & (product > 0), 1 / np.where(curved, product, 1.0), 0.0)
        share = inverse * np.sum(step * direction, axis=1)
        direction = direction - share[:, None] * change
        history.append((step, change, inverse, share))
    step, change, inverse, _ = history[0]
    size = np.sum(change**2, axis=1)
    direction = (
        direction * np.where(inverse > 0, 1 / np.maximum(inverse * size, 1e-300), 1.0)[:, None]
    )
    for step, change, inverse, share in reversed(history):
        back = inverse * np.sum(change * direction, axis=1)
        direction = direction + (share - back)[:, None] * step
    return direction


def _distinct(
    places: np.ndarray, values: np.ndarray, scale: np.ndarray, most: int
) -> list[np.ndarray]:
    """The highest places, one for each maximum."""
    distinct: list[np.ndarray] = []
    for i in np.argsort(-values):
        offsets = [np.linalg.solve(scale, places[i] - other) for other in distinct]
        if all(np.linalg.norm(offset) > APART for offset in offsets):
            distinct.append(places[i])
    return distinct[: max(most, 2)]


def _mass_around(
    density: Density,
    place: np.ndarray,
    precision: np.ndarray,
    log_evidence: float,
    random: np.random.Generator,
) -> float:
    """Estimates the integral of the density around a maximum relative to the evidence, by
    importance sampling from the normal with its curvature, whose light tails make it rather too
    low.
    """
    factor = np.linalg.cholesky(precision)
    noise = random.normal(size=(BLOCK // 2, len(place)))
    noise = np.concatenate([noise, -noise])
    log_p = density(place + np.linalg.solve(factor.T, noise.T).T).values
    log_q = (
        np.sum(np.log(np.diag(factor)))
        - 0.5 * np.sum(noise**2, axis=1)
        - 0.5 * len(place) * np.log(2 * np.pi)
    )
    with np.errstate(over="ignore", invalid="ignore"):
        weights = np.exp(np.nan_to_num(log_p - log_q - log_evidence, nan=-np.inf))
    return float(np.mean(weights))


def _weight_near(
    draws: np.ndarray, importance: np.ndarray, place: np.ndarray, precision: np.ndarray
) -> float:
    """The weight of q's draws around a maximum.

    In many dimensions all draws are far away, so the distance along the line from q's mean counts
    too.
    """
    away = draws - place
    distance = np.einsum("sd,de,se->s", away, precision, away, optimize=True)
    along = precision @ (place - draws.mean(axis=0))
    spread = np.sqrt(along @ np.linalg.solve(precision, along))
    dim = len(place)
    near = distance < 4 * (dim + NEAR * np.sqrt(2 * dim))
    if spread > 0:
        near &= np.abs(away @ along) < NEAR * spread
    return float(importance[near].sum())
