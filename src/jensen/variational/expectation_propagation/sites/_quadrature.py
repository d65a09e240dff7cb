"""Moments of N(f; m, v) t(f) on the line by Gauss-Legendre rules on panels that are halved where
they do not yet agree with their halves.

Gauss-Hermite nodes, even at the mode and with its curvature, are right only where the product is
nearly Gaussian. A wide cavity cut by a narrow logistic step, two bumps of a Student's t far from
its cavity, and the lopsided Poisson are not. The panels start from the scales of both factors, so
that neither is overlooked where it is narrow, and end where both are negligible: for a factor t
with one maximum, or none, the product beyond both centres falls as fast as the cavity.
"""

from collections.abc import Callable

import numpy as np

from jensen._numerics import LOG_2PI
from jensen.variational.expectation_propagation.sites._base import Tilted

NODES, WEIGHTS = np.polynomial.legendre.leggauss(12)
REACH = 12.0  # cavity standard deviations beyond both centres: 72 nats
STEPS = np.array([0.3, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1024.0, 4096.0])
TOLERANCE = 1e-13  # of the whole, for a panel
LEVELS = 40  # halvings
BLOCK = 1000  # sites at a time: some ten megabytes


def tilted_by_quadrature(
    log_density: Callable[[np.ndarray, np.ndarray], np.ndarray],
    mean: np.ndarray,
    variance: np.ndarray,
    index: np.ndarray,
    loc: np.ndarray,
    scale: np.ndarray,
) -> Tilted:
    """log normaliser, mean and variance of N(f; mean, variance) t_n(f), to about 1e-12 (or rounding
    of the largest log density); NaN where there is no density.

    Args:
        log_density: log t_n(f) of f [P] and n [P].
        mean, variance: of the cavities [M]; variance positive.
        index: the sites n [M].
        loc, scale: where t_n has its maximum, or its step, and how narrow it is [M].

        zero, one = np.zeros(1), np.ones(1)
        tilted_by_quadrature(lambda f, n: 0 * f, zero, one, np.zeros(1, int), zero, one)  # (0, 0, 1)
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
    centre = (
        loc - mean
    )  # all positions are differences to the cavity's mean: exact however far both are from 0
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
    edges = np.sort(np.clip(edges, low[:, None], high[:, None]), axis=1)

    def measured(owner: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    at, log_mass = measured(owner, a, b)
    done: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for level in range(LEVELS):
        middle = (a + b) / 2
        halves_owner, halves_a, halves_b = (
            np.concatenate([owner, owner]),
            np.concatenate([a, middle]),
            np.concatenate([middle, b]),
        )
        halves_at, halves_mass = measured(halves_owner, halves_a, halves_b)
        reference, total, average, spread = _summary(
            m, [*done, (halves_owner, halves_at, halves_mass)]
        )
        with np.errstate(
            over="ignore",
            invalid="ignore",
            # a panel far above what its halves have found is kept; a site without any density is not
            # pursued
        ):
            new = np.exp(halves_mass - reference[halves_owner][:, None]).sum(axis=1)
            error = np.abs(
                np.exp(log_mass - reference[owner][:, None]).sum(axis=1)
                - new[: len(owner)]
                - new[len(owner) :]
            )
            least = np.square(1e-9 * deviation)  # all the mass may be at one node so far
            leverage = (
                1 + np.square(middle - average[owner]) / np.maximum(spread, least)[owner]
            )  # what an error there does to the variance
            keep = ((error * leverage > TOLERANCE * total[owner]) | (level == 0)) & np.isfinite(
                reference[owner]
            )
        twice = np.concatenate([keep, keep])
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


def _summary(
    m: int, panels: list[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(reference, sum of exp(mass - reference), mean position, variance) of each owner."""
    owner = np.repeat(np.concatenate([p[0] for p in panels]), len(NODES))
    at = np.concatenate([p[1] for p in panels]).ravel()
    log_mass = np.concatenate([p[2] for p in panels]).ravel()
    reference = np.full(m, -np.inf)
    np.maximum.at(reference, owner, log_mass)
    with np.errstate(invalid="ignore"):
        mass = np.exp(log_mass - reference[owner])
        total = np.bincount(owner, mass, m)
        average = np.bincount(owner, mass * at, m) / total
        return (
            reference,
            total,
            average,
            np.bincount(owner, mass * np.square(at - average[owner]), m) / total,
        )
