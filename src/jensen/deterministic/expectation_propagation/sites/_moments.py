"""Moments of tilted distributions N(f; m, v) t(f): in closed form for a step, by quadrature for all
other sites.

The quadrature is Gauss-Legendre on panels that are halved until they agree with their halves.
Gauss-Hermite nodes, even at the mode and with its curvature, are accurate only where the product is
nearly Gaussian. A wide cavity cut by a narrow logistic step, two bumps of a Student's t far from
its cavity, and the skewed Poisson are not. The panels start from the scales of both factors, so
that a narrow factor is not missed, and end where both are negligible: for a factor t with one
maximum, or none, the product beyond both centres falls as fast as the cavity.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import erfcx, log_ndtr

from jensen._numerics import LOG_2PI
from jensen.deterministic.expectation_propagation.sites._base import Tilted

NODES, WEIGHTS = np.polynomial.legendre.leggauss(12)
REACH = 12.0  # cavity standard deviations beyond both centres: 72 nats
STEPS = np.array([0.3, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1024.0, 4096.0])
TOLERANCE = 1e-13  # of the whole, for a panel
LEVELS = 40  # halvings
BLOCK = 1000  # sites at a time: some ten megabytes
FAR = -35.0  # below it the series, whose error is then 1e-9 of a number that is 1e-3


def tilted_by_step(
    mean: np.ndarray, variance: np.ndarray, sign: np.ndarray, noise_variance: float = 1.0
) -> Tilted:
    """Computes log normaliser, mean and variance of N(f; mean, variance) Phi(sign f / noise) in
    closed form (Rasmussen & Williams 2006, equation 3.58).

    All arrays are [M]. The result is accurate also where the step is very improbable.

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


def tilted_by_quadrature(
    log_density: Callable[[np.ndarray, np.ndarray], np.ndarray],
    mean: np.ndarray,
    variance: np.ndarray,
    index: np.ndarray,
    loc: np.ndarray,
    scale: np.ndarray,
) -> Tilted:
    """Computes log normaliser, mean and variance of N(f; mean, variance) t_n(f) by quadrature.

    The relative error is about 1e-12, or the rounding error of the largest log density. NaN where
    the density is 0 everywhere.

    Args:
        log_density: log t_n(f) of f [P] and n [P].
        mean, variance: of the cavities [M]; variance positive.
        index: the sites n [M].
        loc, scale: where t_n has its maximum, or its step, and how narrow it is [M].

        zero, one = np.zeros(1), np.ones(1)
        index = np.zeros(1, int)
        tilted_by_quadrature(lambda f, n: 0 * f, zero, one, index, zero, one)  # (0, 0, 1)
    """
    blocks = np.array_split(np.arange(len(mean)), -(-len(mean) // BLOCK))
    parts = [
        _tilted(log_density, *(part[rows] for part in (mean, variance, index, loc, scale)))
        for rows in blocks
    ]
    return Tilted(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _tilted(
    log_density: Callable[[np.ndarray, np.ndarray], np.ndarray],
    mean: np.ndarray,
    variance: np.ndarray,
    index: np.ndarray,
    loc: np.ndarray,
    scale: np.ndarray,
) -> Tilted:
    m = len(mean)
    deviation = np.sqrt(variance)
    # All positions are differences to the cavity's mean: exact however far both are from 0.
    centre = loc - mean
    low, high = np.minimum(centre, 0) - REACH * deviation, np.maximum(centre, 0) + REACH * deviation
    both = np.concatenate([-STEPS[::-1], [0.0], STEPS])
    edges = np.concatenate(
        [
            deviation[:, None] * both,
            centre[:, None] + scale[:, None] * both,
            low[:, None],
            high[:, None],
        ],
        axis=1,
    )
    # Panels of width 0 are dropped below.
    edges = np.sort(np.clip(edges, low[:, None], high[:, None]), axis=1)

    def evaluate(owner: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(positions [P, nodes], log of weight times density [P, nodes])."""
        half = (b - a) / 2
        at = (a + half)[:, None] + half[:, None] * NODES
        owners = np.repeat(owner, len(NODES))
        log_t = log_density((mean[owner][:, None] + at).ravel(), index[owners]).reshape(at.shape)
        log_cavity = -0.5 * np.square(at / deviation[owner][:, None])
        return at, log_t + log_cavity + np.log(half[:, None] * WEIGHTS)

    owner = np.repeat(np.arange(m), edges.shape[1] - 1)
    a, b = edges[:, :-1].ravel(), edges[:, 1:].ravel()
    wide = b > a
    owner, a, b = owner[wide], a[wide], b[wide]
    at, log_mass = evaluate(owner, a, b)
    done: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for level in range(LEVELS):
        middle = (a + b) / 2
        halves_owner, halves_a, halves_b = (
            np.concatenate([owner, owner]),
            np.concatenate([a, middle]),
            np.concatenate([middle, b]),
        )
        halves_at, halves_mass = evaluate(halves_owner, halves_a, halves_b)
        reference, total, average, spread = _summary(
            m, [*done, (halves_owner, halves_at, halves_mass)]
        )
        # Overflow: a panel far above the sum of its halves, which is halved again. Invalid: a site
        # whose density is 0 everywhere, which is given up.
        with np.errstate(over="ignore", invalid="ignore"):
            new = np.exp(halves_mass - reference[halves_owner][:, None]).sum(axis=1)
            error = np.abs(
                np.exp(log_mass - reference[owner][:, None]).sum(axis=1)
                - new[: len(owner)]
                - new[len(owner) :]
            )
            least = np.square(1e-9 * deviation)  # the variance is 0 if one node has all the mass
            # An error far from the mean changes the variance more than the normaliser.
            leverage = 1 + np.square(middle - average[owner]) / np.maximum(spread, least)[owner]
            split = ((error * leverage > TOLERANCE * total[owner]) | (level == 0)) & np.isfinite(
                reference[owner]
            )
        twice = np.concatenate([split, split])
        done.append((halves_owner[~twice], halves_at[~twice], halves_mass[~twice]))
        owner, a, b, log_mass, at = (
            halves_owner[twice],
            halves_a[twice],
            halves_b[twice],
            halves_mass[twice],
            halves_at[twice],
        )
        if len(owner) == 0:
            break
    done.append((owner, at, log_mass))
    reference, total, average, spread = _summary(m, done)
    return Tilted(
        reference + np.log(total) - 0.5 * LOG_2PI - np.log(deviation), mean + average, spread
    )


class _PanelMoments(NamedTuple):
    reference: np.ndarray  # the largest log mass of a node [M]
    total: np.ndarray  # the sum of exp(log mass - reference) [M]
    mean: np.ndarray  # of the position [M]
    variance: np.ndarray  # of the position [M]


def _summary(m: int, panels: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> _PanelMoments:
    """The moments of each of the m sites from panels (owner, positions, log mass)."""
    owner = np.repeat(np.concatenate([p[0] for p in panels]), len(NODES))
    at = np.concatenate([p[1] for p in panels]).ravel()
    log_mass = np.concatenate([p[2] for p in panels]).ravel()
    reference = np.full(m, -np.inf)
    np.maximum.at(reference, owner, log_mass)
    with np.errstate(invalid="ignore"):
        mass = np.exp(log_mass - reference[owner])
        total = np.bincount(owner, mass, m)
        average = np.bincount(owner, mass * at, m) / total
        variance = np.bincount(owner, mass * np.square(at - average[owner]), m) / total
    return _PanelMoments(reference, total, average, variance)
