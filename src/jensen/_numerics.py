"""Log-space arithmetic, and the exact log density of a mixture of many diagonal normals.

With N components and M points, the difference form of a mixture needs an [M, N, D] intermediate.
Expanding the square,

    log N(z; m, s) = z^2 . (-1/2 s^-2) + z . (m s^-2) + const(m, s),

turns it into one matrix product [M, 2D] x [2D, N] and a streaming log-sum-exp over blocks of N,
with one block in memory at a time. The expansion cancels badly when s is small (in float32 by 2,600
nats at s = .001 and D = 40), so the products are computed in float64, after centring. The
exponentials act on differences to a running maximum, where float32 is accurate to 1e-7, and are
summed in float64.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jensen._types import Array, Float

LOG_2PI = math.log(2 * math.pi)


def log_mean_exp(values: Float[Array, " samples"]) -> Float[Array, ""]:
    """Compute log (1/S) sum_s exp(values_s), in nats, without overflow.

    log_mean_exp(jnp.zeros(3))  # 0.0
    """
    return jax.nn.logsumexp(values) - math.log(values.shape[0])


def diagonal_normal_log_density(z: np.ndarray, loc: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Compute log N(z; loc, scale) summed over the last axis, in nats.

    Runs on the host in float64, in the difference form (z - loc) / scale, which does not cancel.

        diagonal_normal_log_density(np.zeros(2), np.zeros(2), np.ones(2))  # -1.8379 = -log(2 pi)
    """
    z, loc, scale = (np.asarray(a, np.float64) for a in (z, loc, scale))
    return np.sum(-0.5 * np.square((z - loc) / scale) - np.log(scale) - 0.5 * LOG_2PI, axis=-1)


def mixture_log_density(
    z: np.ndarray,
    loc: np.ndarray,
    scale: np.ndarray,
    *,
    log_weights: np.ndarray | None = None,
    point_block: int = 1024,
    component_block: int = 2048,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Compute log sum_n w_n N(z; loc_n, scale_n) for every point z, exactly, over all components.

    Args:
        z: points [M, D].
        loc, scale: components [N, D]; scale positive.
        log_weights: log w_n [N]; uniform weights 1/N when absent.
        point_block, component_block: sizes of the blocks of pairs held in memory. The result does
            not depend on them beyond rounding.
        on_progress: called with the number of points done and M.

    Returns:
        float64 log densities [M], in nats.

    Raises:
        ValueError: if shapes disagree, there are no components, or a scale is not positive and
            finite.

    Example:
        mixture_log_density(np.zeros((1, 2)), np.zeros((3, 2)), np.ones((3, 2)))  # [-1.8379]
    """
    z, loc, scale = (np.asarray(a, np.float64) for a in (z, loc, scale))
    if z.ndim != 2 or loc.ndim != 2 or loc.shape != scale.shape or z.shape[1] != loc.shape[1]:
        raise ValueError(
            "mixture_log_density: z must have shape [M, D], loc and scale [N, D]; "
            f"got {z.shape}, {loc.shape}, {scale.shape}."
        )
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise ValueError("mixture_log_density: every scale must be positive and finite.")
    n, dimension = loc.shape
    if n < 1:
        raise ValueError("mixture_log_density: a mixture needs at least one component; got none.")
    log_weights = (
        np.full(n, -math.log(n)) if log_weights is None else np.asarray(log_weights, np.float64)
    )
    if log_weights.shape != (n,):
        raise ValueError(
            f"mixture_log_density: log_weights must hold one log weight for each of the {n} "
            f"components; got shape {log_weights.shape}."
        )
    # Centring removes the cancellation that a common offset of points and components causes.
    centre = loc.mean(axis=0)
    z, loc = z - centre, loc - centre
    precision = scale**-2.0
    constant = (
        log_weights
        - np.sum(0.5 * loc**2 * precision + np.log(scale), axis=1)
        - 0.5 * dimension * LOG_2PI
    )
    # Blocks of equal shape, so that the scan compiles once; padded components get log weight -inf.
    component_block = min(component_block, n)
    point_block = max(1, min(point_block, len(z)))
    blocks = -(-n // component_block)
    padding = blocks * component_block - n
    natural = np.concatenate([-0.5 * precision, loc * precision], axis=1)
    natural = np.pad(natural, ((0, padding), (0, 0))).reshape(
        blocks, component_block, 2 * dimension
    )
    constant = np.pad(constant, (0, padding), constant_values=-np.inf).reshape(
        blocks, component_block
    )
    out = np.empty(len(z))
    with jax.enable_x64(True):
        natural_d, constant_d = jnp.asarray(natural), jnp.asarray(constant)
        for start in range(0, len(z), point_block):
            part = z[start : start + point_block]
            # The last block is padded to the shape of the others: a second shape would recompile.
            padded = np.pad(part, ((0, point_block - len(part)), (0, 0)))
            out[start : start + point_block] = np.asarray(
                _stream(jnp.asarray(padded), natural_d, constant_d)
            )[: len(part)]
            on_progress(start + len(part), len(z))
    return out


@functools.partial(jax.jit, static_argnums=())
def _stream(z: Array, natural: Array, constant: Array) -> Array:
    features = jnp.concatenate([z**2, z], axis=1)

    def block(carry, component):
        maximum, total = carry
        weights, offset = component
        log_density = features @ weights.T + offset
        new_maximum = jnp.maximum(maximum, jnp.max(log_density, axis=1))
        # Differences to the maximum are at most 0: float32 exponentials suffice and are faster.
        difference = (log_density - new_maximum[:, None]).astype(jnp.float32)
        total = total * jnp.exp(maximum - new_maximum) + jnp.sum(
            jnp.exp(difference), axis=1, dtype=jnp.float64
        )
        return (new_maximum, total), None

    # A finite floor instead of -inf: exp(-inf - -inf) would be NaN in the first block.
    start = (jnp.full(z.shape[0], -1e300), jnp.zeros(z.shape[0]))
    (maximum, total), _ = jax.lax.scan(block, start, (natural, constant))
    return maximum + jnp.log(total)
