"""Sums over grids of one or two dimensions: where the mass of a density lies, and its logarithm on a grid there."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

DEPTH = 40.0  # nats below its maximum at which a density ends: e^-40 of it is 4e-18
ROUNDS = 20
ZERO = -1e12  # stands for log 0 where differences are taken


@dataclass(frozen=True)
class Grid:
    """A box of one or two dimensions with `points` points along each axis, its edges included.

    Grid(np.zeros(2), np.ones(2), 3).at.shape  # (9, 2)
    """

    low: np.ndarray
    high: np.ndarray
    points: int

    @property
    def axes(self) -> list[np.ndarray]:
        """The coordinates along each axis."""
        return [np.linspace(a, b, self.points) for a, b in zip(self.low, self.high, strict=True)]

    @property
    def at(self) -> np.ndarray:
        """The points [points^d, d]."""
        return np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1).reshape(-1, len(self.low))

    @property
    def log_cell(self) -> float:
        """The log volume of the box around a point."""
        return float(np.sum(np.log((self.high - self.low) / (self.points - 1))))

    def shaped(self, values: np.ndarray) -> np.ndarray:
        """Values at the points, an axis for each dimension."""
        return values.reshape((self.points,) * len(self.low))

    def log_integral(self, log_density: np.ndarray, *, every: int = 1) -> float:
        """log of the integral by the trapezoid rule, nats, on every so-manyth point of each axis; the edges, where the density is all but 0, count in full."""
        part = self.shaped(log_density)[(slice(None, None, every),) * len(self.low)]
        return float(logsumexp(part)) + self.log_cell + len(self.low) * math.log(every)

    def edge(self, log_density: np.ndarray) -> float:
        """How many nats the density at the edge of the box is below its maximum."""
        values = self.shaped(log_density)
        outer = np.ones(values.shape, bool)
        outer[(slice(1, -1),) * values.ndim] = False
        return float(np.max(values) - np.max(values[outer]))


def box_of(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A box three times as wide as draws [M, d], around their middle.

    box_of(np.array([[0.0], [1.0]]))  # ([-1.0], [2.0])
    """
    low, high = draws.min(axis=0), draws.max(axis=0)
    width = np.maximum(high - low, 1e-6 * np.maximum(1.0, np.abs(high)))
    return low - width, high + width


def grid_of_mass(
    log_density: Callable[[np.ndarray], np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
    *,
    search: int,
    points: int,
) -> Grid:
    """The box in which a density is within DEPTH nats of its maximum, with `points` points along each axis.

    From a box that is known to hold the most of it: what a grid of `search` points along each axis finds high enough is the next box, with a cell to spare,
    until the box stays. A point's neighbours say how steep the density is, hence how high it can be between them: so a narrow mode between points is not lost.
    Where the density has not ended at an edge the box grows.

    Raises:
        ValueError: a density that is 0 on the whole grid.

        grid_of_mass(lambda z: -0.5 * z[:, 0] ** 2, np.array([-50.0]), np.array([50.0]), search=64, points=256)  # from about -9 to 9
    """
    for _ in range(ROUNDS):
        grid = Grid(low, high, search)
        values = grid.shaped(log_density(grid.at))
        if np.max(values) == -np.inf:
            raise ValueError(
                "log p(x, z) is -inf on the whole grid: the model gives no density there."
            )
        reach = _reach(np.maximum(values, ZERO))
        kept = reach > np.max(values) - DEPTH
        low, high, stays = _kept_box(grid, kept)
        if stays:
            break
    return Grid(low, high, points)


def _reach(values: np.ndarray) -> np.ndarray:
    """How high the density can be around each point: its value and, along each axis, its largest difference to a neighbour."""
    reach = values.copy()
    for axis in range(values.ndim):
        steps = np.abs(np.diff(values, axis=axis))
        none = np.zeros_like(np.take(steps, [0], axis=axis))
        reach += np.maximum(
            np.concatenate([none, steps], axis=axis), np.concatenate([steps, none], axis=axis)
        )
    return reach


def _kept_box(grid: Grid, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """(low, high, whether it is much the same box) of the points kept, with a cell to spare; half the width more where they reach the edge."""
    low, high, stays = grid.low.copy(), grid.high.copy(), True
    for axis, at in enumerate(grid.axes):
        others = tuple(a for a in range(kept.ndim) if a != axis)
        found = np.flatnonzero(kept.any(axis=others))
        first, last, width = found[0], found[-1], at[-1] - at[0]
        low[axis] = at[first - 1] if first > 0 else at[0] - width / 2
        high[axis] = at[last + 1] if last < len(at) - 1 else at[-1] + width / 2
        stays &= bool(first > 0 and last < len(at) - 1 and last - first > len(at) / 2)
    return low, high, stays
