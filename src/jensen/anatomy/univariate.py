"""The density of a mixture of very many normals on the line, at very many points.

The time is proportional to the sum of the two numbers instead of their product.

A normal is the convolution of two narrower ones, N(z; m, s) = integral of N(z; u, a) N(u; m, b) du
with a^2 + b^2 = s^2, and the trapezoidal rule on a grid of step h gets this integral right to a
relative 2 exp(-2 pi^2 (a b / s h)^2), wherever z is, because its terms are the values of one normal
of width a b / s. So the components are spread over a grid once, and every point reads the grid
nodes about it: all terms are positive, nothing cancels. (The fast Gauss transform by gridding of
Greengard & Lee 2004, SIAM Review 46, used here for densities.)

Components are taken octave by octave of their scales, a = (least scale) / sqrt 2 and h = (least
scale) / 2.6 in each, which makes that error 1e-14. Both sums stop where a term is below exp(-55) of
a component's peak; a point at which this could matter is summed over all components.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from jensen._numerics import LOG_2PI

STEPS = 2.6  # grid nodes in the least scale of an octave
REACH = 10.5  # standard deviations
DENSE = 2**22  # grid nodes that are kept without leaving gaps out
PAGE = 128  # nodes; more than the spread of a component and of a point together
CERTAIN = 1e-13  # of an octave's largest possible density: below it a point is summed exactly
SPREAD = int(
    np.ceil(REACH * np.sqrt(3.5) * STEPS)
)  # nodes on either side of a component: its b is at most sqrt(4 - 1/2) of the octave's least scale
LOOK = int(np.ceil(REACH * np.sqrt(0.5) * STEPS))  # nodes on either side of a point


def univariate_mixture_log_density(z: np.ndarray, loc: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Compute log (1/N) sum_n N(z; loc_n, scale_n) at every point, in float64.

    It is right to 1e-10 where scales are above 1e-6 of the range of the points, below which the
    rounding of a position shows.

    Args:
        z: points [M].
        loc, scale: components [N]; scale positive.

    Returns:
        log densities [M], nats.

    Raises:
        ValueError: shapes that disagree, no components, or a scale that is not positive and finite.

        univariate_mixture_log_density(np.zeros(1), np.zeros(3), np.ones(3))  # [-0.9189]
    """
    z, loc, scale = (np.asarray(a, np.float64) for a in (z, loc, scale))
    if z.ndim != 1 or loc.ndim != 1 or loc.shape != scale.shape or len(loc) < 1:
        raise ValueError(
            "univariate_mixture_log_density wants points [M] and components [N], at least one; "
            f"got {z.shape}, {loc.shape}, {scale.shape}."
        )
    if not (np.isfinite(scale).all() and (scale > 0).all() and np.isfinite(loc).all()):
        raise ValueError(
            "univariate_mixture_log_density: every scale must be positive and finite, every "
            "location finite."
        )
    centre = loc.mean()
    z, loc = z - centre, loc - centre
    density, doubtful = np.zeros(len(z)), np.zeros(len(z))
    octaves = np.floor(np.log2(scale / scale.min()))
    for octave in np.unique(octaves):
        some = octaves == octave
        density += _octave(z, loc[some], scale[some])
        doubtful += CERTAIN * some.sum() / scale[some].min()
    with np.errstate(divide="ignore"):
        out = np.log(density) - np.log(len(loc))
    for point in np.flatnonzero(density < doubtful):
        terms = -0.5 * np.square((z[point] - loc) / scale) - np.log(scale) - 0.5 * LOG_2PI
        out[point] = logsumexp(terms) - np.log(len(loc))
    return out


def _octave(z: np.ndarray, loc: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """sum_n N(z; loc_n, scale_n), the scales within a factor of two of each other."""
    least = scale.min()
    step, a = least / STEPS, least / np.sqrt(2)
    b = np.sqrt(scale**2 - a**2)
    nodes, offsets = _nearest(loc, step)
    points, distances = _nearest(z, step)
    near = (points >= nodes.min() - PAGE) & (points <= nodes.max() + PAGE)
    density = np.zeros(len(z))
    points, distances = points[near], distances[near]
    if not len(points):
        return density
    addresses, near_points, size = _addresses(nodes, points)
    grid = _spread(addresses[: len(nodes)], offsets, b, step, size)
    inside = np.zeros(len(points))
    inside[near_points] = _read(
        grid, addresses[len(nodes) :][near_points], distances[near_points], a, step
    )
    density[near] = inside
    return density


def _nearest(values: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """(the number of the nearest node, the node's position less the value)."""
    nodes = np.rint(values / step)
    return nodes.astype(np.int64), nodes * step - values


class Layout(NamedTuple):
    """Where nodes lie in memory.

    Attributes:
        addresses: of the node of each component, then of each point.
        near: [points], which of them are near any component.
        size: of the memory, in nodes.
    """

    addresses: np.ndarray
    near: np.ndarray
    size: int


def _addresses(nodes: np.ndarray, points: np.ndarray) -> Layout:
    """Lay the nodes out in memory.

    Few nodes lie side by side. Of many, only pages near a component are kept; pages beside each
    other stay beside each other, so a spread never leaves them.
    """
    first, last = nodes.min() - 2 * PAGE, nodes.max() + 2 * PAGE
    if last - first < DENSE:
        return Layout(
            np.concatenate([nodes, points]) - first,
            np.ones(len(points), bool),
            int(last - first + 1),
        )
    home = np.unique(nodes // PAGE)
    pages = np.unique(home[:, None] + np.arange(-2, 3))
    near = np.unique(home[:, None] + np.arange(-1, 2))
    both = np.concatenate([nodes, points])
    addresses = (
        np.minimum(np.searchsorted(pages, both // PAGE), len(pages) - 1) * PAGE + both % PAGE
    )
    return Layout(addresses, np.isin(points // PAGE, near), len(pages) * PAGE)


def _spread(
    addresses: np.ndarray, offsets: np.ndarray, b: np.ndarray, step: float, size: int
) -> np.ndarray:
    """The grid with h N(u; loc_n, b_n) of all components added at the nodes u about each.

    Powers instead of exponentials, node by node outwards.
    """
    grid = np.zeros(size)
    ratio, unit = offsets / b, step / b
    centre = step / b * np.exp(-0.5 * ratio**2 - 0.5 * LOG_2PI)
    square = np.exp(-(unit**2))
    for sign in (1, -1):
        factor, value, address = np.exp(-sign * ratio * unit - 0.5 * unit**2), centre, addresses
        for k in range(SPREAD + 1):
            if k:
                value, factor, address = value * factor, factor * square, address + sign
            if k or sign == 1:
                np.add(
                    grid, np.bincount(address, value, minlength=size), out=grid
                ) if size < 4 * len(address) else np.add.at(grid, address, value)
    return grid


def _read(
    grid: np.ndarray, addresses: np.ndarray, distances: np.ndarray, a: float, step: float
) -> np.ndarray:
    """sum over nodes u about each point of N(z; u, a) grid(u)."""
    ratio, unit = distances / a, step / a
    centre = np.exp(-0.5 * ratio**2 - 0.5 * LOG_2PI) / a
    square = np.exp(-(unit**2))
    total = centre * grid[addresses]
    for sign in (1, -1):
        factor, value, address = np.exp(-sign * ratio * unit - 0.5 * unit**2), centre, addresses
        for _ in range(LOOK):
            value, factor, address = value * factor, factor * square, address + sign
            total += value * grid[address]
    return total
