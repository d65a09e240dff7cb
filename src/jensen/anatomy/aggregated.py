"""The exact aggregated posterior q(z) = (1/N) sum_n q(z|x_n), in float64 and in bounded memory.

Components are taken in blocks, points in blocks, and a running log-sum-exp over components is kept
for every point: the result depends on the blocks by rounding only. Three ways to the log densities
of all pairs of a block:

    diagonal normals   the expanded square as two matrix products (`_numerics.mixture_log_density`)
    full normals       |L_n^-1 z - L_n^-1 m_n|^2: whitened once per component, then one matrix
                       product [points, D] x [D, components D]
    all others         their own log_prob, for every pair
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._numerics import LOG_2PI, diagonal_normal_log_density, mixture_log_density
from jensen._types import Array, Key
from jensen.distributions import Stacked, diagonal_normal_parameters, full_normal_parameters
from jensen.distributions.full_normals import whitening
from jensen.weights import largest_array

Progress = Callable[[int, int], None]
IN_MEMORY = 2**21  # float64 numbers in the largest array
POINT_BLOCK = 1024
GROUPS = 16  # of the data in a random subset, for the jackknife: the error is then known to a fifth
DIAGONAL_PAIRS = 1_000_000_000
LARGEST = 1_000_000  # data that q(z) is taken over, whatever it costs, where it is a matrix product
WORK = 3e11  # numbers computed for all pairs together: some minutes on two cores
TRANSCENDENTAL = {
    "exp": 8,
    "exp2": 8,
    "expm1": 8,
    "log": 8,
    "log1p": 8,
    "tanh": 12,
    "logistic": 8,
    "sin": 12,
    "cos": 12,
    "erf": 12,
    "lgamma": 50,
}


def _silent(done: int, total: int) -> None:
    pass


def log_densities(posteriors: Stacked, z: np.ndarray) -> np.ndarray:
    """Compute log q(z_n | x_n) of draws z [N, draws, ...] from each of N posteriors.

    The result is float64 [N, draws], nats.

    log_densities(stack(encoder, data), z)
    """
    normals = posteriors.map(diagonal_normal_parameters)
    if normals is not None:
        loc, scale = (np.asarray(a) for a in normals)
        return diagonal_normal_log_density(z, loc[:, None], scale[:, None])
    with jax.enable_x64(True):
        block = max(
            1,
            IN_MEMORY
            // (largest_array(lambda q, z: q.log_prob(z), posteriors.one(0), z[0, 0]) * z.shape[1]),
        )
        parts = [
            _own(posteriors[i : i + block], jnp.asarray(z[i : i + block]))
            for i in range(0, len(z), block)
        ]
        return np.concatenate([np.asarray(p) for p in parts])


def mixture_density(
    posteriors: Stacked,
    z: np.ndarray,
    *,
    log_weights: np.ndarray | None = None,
    on_progress: Progress = _silent,
) -> np.ndarray:
    """log sum_n w_n q_n(z) of N distributions at every point, exactly, over all of them.

    Args:
        posteriors: of any one family.
        z: points [M, *event]; whole numbers stay whole numbers.
        log_weights: log w_n [N]; 1/N each when absent.
        on_progress: called with the number of points done (each counted in proportion to the
            components done) and M.

    Returns:
        float64 log densities [M], nats.

        mixture_density(stack(encoder, data), z)
    """
    n = len(posteriors)
    log_weights = (
        np.full(n, -np.log(n)) if log_weights is None else np.asarray(log_weights, np.float64)
    )
    normals = posteriors.map(diagonal_normal_parameters)
    if normals is not None:
        loc, scale = (np.asarray(a) for a in normals)
        return mixture_log_density(z, loc, scale, log_weights=log_weights, on_progress=on_progress)
    with jax.enable_x64(True):
        return _stream(posteriors, z, log_weights, on_progress)


class Aggregated(NamedTuple):
    """log q(z) at draws.

    Attributes:
        log_density: float64 [n, draws], nats.
        subset_error: the standard error that the random data which q(z) is taken over give to the
            mean of `log_density`; 0 where they are all N, NaN where fewer than two others are.
    """

    log_density: np.ndarray
    subset_error: float


def aggregated_density(
    posteriors: Stacked,
    z: np.ndarray,
    own: np.ndarray,
    *,
    rows: np.ndarray | None = None,
    over: int,
    key: Key,
    on_progress: Progress = _silent,
) -> Aggregated:
    """log q(z) at draws z [n, draws, *event] of the posteriors of some of N data, nats.

    Args:
        own: log q(z_n | x_n) of these draws, [n, draws].
        rows: which of the data, [n]; all N by default.
        over: M. With M = N, q(z) is the mixture over all N. With fewer, it is that of M data: those
            of one random subset, of which the draw's own datum is always one. So
            log q(z_n | x_n) - log q(z_n) is I(n; z) of M random data, at most log M.
        key: chooses the subset.

        own = log_densities(posteriors, z)
        aggregated_density(posteriors, z, own, over=len(posteriors), key=key).log_density
    """
    n, flat = len(posteriors), z.reshape(-1, *z.shape[2:])
    if over >= n:
        whole = mixture_density(posteriors, flat, on_progress=on_progress)
        return Aggregated(whole.reshape(own.shape), 0.0)
    # Every draw must see a mixture of M data of which its own datum is one. One subset serves all
    # draws: M - 1 data, and one to spare. The mixture at a draw of a datum outside the subset is
    # over the M - 1 and the datum itself; at a draw of a datum inside it, which is among the M - 1
    # already, it is over these and the one to spare. So the sum over the M - 1 is computed once for
    # all draws, and `extra` is the term of the last one.
    *some, spare = np.asarray(jr.permutation(key, n))[:over]
    numbers = np.arange(n) if rows is None else rows
    extra = np.where(
        np.isin(numbers, some)[:, None],
        mixture_density(posteriors[np.array([spare])], flat).reshape(own.shape),
        own,
    )
    if not some:
        return Aggregated(own, math.nan)
    # Few data are left out one by one: groups of one and of two would weigh alike.
    groups = np.array_split(np.array(some), GROUPS if len(some) >= 2 * GROUPS else len(some))
    totals = []
    for group in groups:
        done = len(totals) * len(flat)
        total = mixture_density(
            posteriors[group],
            flat,
            log_weights=np.zeros(len(group)),
            on_progress=lambda at, of, done=done: on_progress((done + at) // len(groups), of),
        )
        totals.append(total.reshape(own.shape))
    log_density = np.logaddexp(np.logaddexp.reduce(totals), extra) - np.log(over)
    error = _subset_error(np.array(totals), groups, own, extra, numbers)
    # Of a finite population: a subset of all data but one has hardly an error left.
    return Aggregated(log_density, error * math.sqrt(1 - (over - 1) / (n - 1)))


def _subset_error(
    totals: np.ndarray,
    groups: list[np.ndarray],
    own: np.ndarray,
    extra: np.ndarray,
    numbers: np.ndarray,
) -> float:
    """The standard error of the mean of log q(z) that comes from the random data in it.

    It is the jackknife's, over groups of these data.

    Args:
        totals: log of the summed densities of each group, [groups, n, draws].
        groups: the data of each.
        own: log q(z_n | x_n), [n, draws]: always in q(z), and no part of the chance.
        extra: of a datum in no group its own density, of one in a group that of the datum to spare.
        numbers: the data's, [n].
    """
    sizes = [len(group) for group in groups]
    if len(groups) < 2:
        return math.nan
    among = np.isin(numbers, np.concatenate(groups))[:, None]
    means = []
    for k, group in enumerate(groups):
        # Without the group the rest stand for all data in the sum, so that their densities count
        # f = all / rest times; but a draw's own density counts once, since its datum is always in
        # q(z). For a datum in the rest, with f > 1,
        #     log [f (rest - own) + own] = log rest + log [f - (f - 1) own / rest].
        rest = np.logaddexp.reduce(np.delete(totals, k, axis=0))
        factor = sum(sizes) / (sum(sizes) - sizes[k])
        inside = (among[:, 0] & ~np.isin(numbers, group))[:, None]
        share = np.where(inside, np.exp(np.minimum(own - rest, 0.0)), 0.0)
        scaled = rest + np.log(factor - (factor - 1) * share)
        outside = np.where(among & ~inside, np.logaddexp(extra, own), extra)
        means.append(float(np.logaddexp(scaled, outside).mean()))
    return math.sqrt((len(groups) - 1) * float(np.var(means)))


def affordable(posteriors: Stacked, z: np.ndarray) -> tuple[int, int]:
    """Find (draws per datum, how many data q(z) is taken over) that take some minutes at most.

    They are all N data and 1 to 16 draws where that is affordable.

    Args:
        posteriors: of all N data.
        z: one draw.

        affordable(stack(encoder, data), z)
    """
    n = len(posteriors)
    if posteriors.map(diagonal_normal_parameters) is not None:
        return int(min(16, max(1, DIAGONAL_PAIRS // n**2))), min(n, LARGEST)
    cost = _cost(posteriors, z)
    return int(min(16, max(1, WORK // (n**2 * cost)))), int(min(n, max(2, WORK // (n * cost))))


def affordable_rows(posteriors: Stacked, z: np.ndarray, *, work: float = WORK / 1000) -> int:
    """Find for how many data q(z), at one draw of each, takes at most `work` numbers computed.

    By default that is a fraction of a second on two cores. All of them for diagonal normals, whose
    pairs are matrix products.

    Args:
        posteriors: of any number of data.
        z: one draw.

        affordable_rows(stack(encoder, data), z)
    """
    if posteriors.map(diagonal_normal_parameters) is not None:
        return len(posteriors)
    return int(min(len(posteriors), max(2, (work / _cost(posteriors, z)) ** 0.5)))


def _stream(
    posteriors: Stacked, z: np.ndarray, log_weights: np.ndarray, on_progress: Progress
) -> np.ndarray:
    n, points = len(posteriors), len(z)
    point_block = min(POINT_BLOCK, points)
    each = (
        len(z[0])
        if full_normal_parameters(posteriors.one(0)) is not None
        else largest_array(lambda q, z: q.log_prob(z), posteriors.one(0), z[0])
    )
    block = max(1, min(n, IN_MEMORY // (each * max(point_block, 1))))
    # A finite floor instead of -inf: exp(-inf - -inf) would be NaN in the first block.
    maximum, total = np.full(points, -1e300), np.zeros(points)
    for first in range(0, n, block):
        rows = np.minimum(np.arange(first, first + block), n - 1)
        weights = np.where(np.arange(first, first + block) < n, log_weights[rows], -np.inf)
        some, weights = posteriors[rows], jnp.asarray(weights)
        for start in range(0, points, point_block):
            index = np.minimum(np.arange(start, start + point_block), points - 1)
            maxima, totals = _add(
                some,
                weights,
                jnp.asarray(z[index]),
                jnp.asarray(maximum[index]),
                jnp.asarray(total[index]),
            )
            part = slice(start, min(start + point_block, points))
            maximum[part] = np.asarray(maxima)[: points - start]
            total[part] = np.asarray(totals)[: points - start]
            on_progress(
                round((points * first + (part.stop * (min(first + block, n) - first))) / n), points
            )
    return maximum + np.log(total)


@eqx.filter_jit
def _add(
    posteriors: Stacked, log_weights: Array, z: Array, maximum: Array, total: Array
) -> tuple[Array, Array]:
    densities = _pairs(posteriors.astype(jnp.float64), _real(z)) + log_weights
    new = jnp.maximum(maximum, jnp.max(densities, axis=1))
    return new, total * jnp.exp(maximum - new) + jnp.sum(jnp.exp(densities - new[:, None]), axis=1)


def _pairs(posteriors: Stacked, z: Array) -> Array:
    """log q_n(z_m), [points, components]."""
    normals = posteriors.map(full_normal_parameters)
    if normals is None:
        return jax.vmap(lambda z: posteriors.map(lambda q: q.log_prob(z)))(z)
    loc, scale_tril = normals
    n, dimension = loc.shape
    inverse = whitening(scale_tril)
    centre = jnp.mean(loc, axis=0)
    whitened = (z - centre) @ inverse.reshape(n * dimension, dimension).T
    difference = whitened.reshape(-1, n, dimension) - jnp.einsum(
        "nij,nj->ni", inverse, loc - centre
    )
    log_scale = jnp.sum(jnp.log(jnp.diagonal(scale_tril, axis1=1, axis2=2)), axis=1)
    return -0.5 * jnp.sum(jnp.square(difference), axis=2) - log_scale - 0.5 * dimension * LOG_2PI


@eqx.filter_jit
def _own(posteriors: Stacked, z: Array) -> Array:
    return posteriors.astype(jnp.float64).map(lambda q, z: jax.vmap(q.log_prob)(z), _real(z))


def _real(z: Array) -> Array:
    return z.astype(jnp.float64) if jnp.issubdtype(z.dtype, jnp.inexact) else z


def _cost(posteriors: Stacked, z: np.ndarray) -> float:
    """How many numbers are computed for the log density of one component at one more point.

    The cost model of this module: time is the count of numbers that the traced program computes.
    Counting makes the choice of draws and subsets the same on every machine, which a measured time
    would not. A number from a transcendental function counts as several (`TRANSCENDENTAL`); a
    multiply-add of a matrix product counts an eighth, since those run that much faster.
    """
    one = posteriors.one(0)
    if full_normal_parameters(one) is not None:
        return len(z) ** 2 / 8 + 4 * len(z)
    arrays, rest = eqx.partition(one, eqx.is_array)

    def numbers(points: int) -> float:
        program = lambda arrays, z: jax.vmap(eqx.combine(arrays, rest).log_prob)(z)  # noqa: E731
        return numbers_computed(
            jax.make_jaxpr(program)(arrays, np.repeat(z[None], points, axis=0)).jaxpr
        )

    # The difference leaves out what does not depend on the point, such as a normaliser, which is
    # computed once for all points.
    return (numbers(9) - numbers(1)) / 8


def numbers_computed(jaxpr) -> float:
    """Count the numbers that a program computes, weighted by their cost (see `_cost`).

    numbers_computed(jax.make_jaxpr(jnp.exp)(jnp.zeros(3)).jaxpr)  # 24
    """
    count = 0.0
    for equation in jaxpr.eqns:
        inner = [getattr(p, "jaxpr", p) for p in equation.params.values()]
        programs = [p for p in inner if hasattr(p, "eqns")]
        if programs:
            count += equation.params.get("length", 1) * sum(map(numbers_computed, programs))
            continue
        size = sum(int(np.prod(getattr(v.aval, "shape", ()))) for v in equation.outvars)
        if equation.primitive.name == "dot_general":
            contracted = equation.params["dimension_numbers"][0][0]
            size *= int(np.prod([equation.invars[0].aval.shape[axis] for axis in contracted])) / 8
        count += size * TRANSCENDENTAL.get(equation.primitive.name, 1)
    return count
