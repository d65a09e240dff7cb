"""A target's log-density and gradient at any number of points, by one compiled program, which the
start, the curvature and the maximisation share.

Compilation is most of the cost of a small fit. The program holds BLOCK points and evaluates as many
of them as needed, CHUNK at a time, which also limits the memory. Second derivatives are differences
of gradients: they only set the units of a fit and its first step.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jensen._types import Array
from jensen.variational._compilation import quick_jit
from jensen.variational.target import Target

BLOCK, CHUNK = 256, 32
NEAR = 0.01  # standard deviations between the points of a difference
# Eigenvalues of the scaled curvature below this share of the largest may be rounding errors.
FAINT = 1e-6


@quick_jit
def _block(target: Target, points: Array, count: Array) -> tuple[Array, Array]:
    """Computes (log p [BLOCK], its gradient [BLOCK, D]) of the first `count` points, in whole
    chunks; 0 for the rest.
    """
    value_and_gradient = jax.vmap(jax.value_and_grad(target.log_density))

    def chunk(i: Array, results: tuple[Array, Array]) -> tuple[Array, Array]:
        at = i * CHUNK
        values, slopes = value_and_gradient(jax.lax.dynamic_slice_in_dim(points, at, CHUNK))
        return jax.lax.dynamic_update_slice(
            results[0], values, (at,)
        ), jax.lax.dynamic_update_slice(results[1], slopes, (at, jnp.zeros_like(at)))

    return jax.lax.fori_loop(
        0,
        (count + CHUNK - 1) // CHUNK,
        chunk,
        (jnp.zeros(BLOCK, points.dtype), jnp.zeros_like(points)),
    )


@quick_jit
def _exact_curvature(target: Target, u: Array) -> Array:
    slope = jax.grad(target.log_density)
    return -jax.lax.map(
        lambda e: jax.jvp(slope, (u,), (e,))[1], jnp.eye(len(u)), batch_size=min(128, len(u))
    )


class Evaluations(NamedTuple):
    """Values [S] of a log-density, nats, and its gradients [S, D]."""

    values: np.ndarray
    gradients: np.ndarray


class PointEvaluation(NamedTuple):
    """The value of a log-density at one point, nats, and its gradient [D]."""

    value: float
    gradient: np.ndarray


class Density:
    """log p(x, u) of a target, nats, and its gradient; `evaluations` counts the points.

    Density(target)(np.zeros((3, target.size))).values.shape  # (3,)
    """

    def __init__(self, target: Target):
        self.target, self.evaluations = target, 0

    def __call__(self, points: np.ndarray) -> Evaluations:
        """Evaluates the log-density and its gradient at points [S, D]."""
        self.evaluations += len(points)
        values, slopes = np.empty(len(points)), np.empty(points.shape)
        for start in range(0, len(points), BLOCK):
            rows = points[start : start + BLOCK]
            # Padding repeats the last point: elsewhere the density may not be finite.
            padded = np.concatenate(
                [rows, np.broadcast_to(rows[-1:], (BLOCK - len(rows), rows.shape[1]))]
            )
            results = _block(self.target, padded, np.asarray(len(rows)))
            values[start : start + BLOCK], slopes[start : start + BLOCK] = (
                np.asarray(a)[: len(rows)] for a in results
            )
        return Evaluations(values, slopes)

    def at(self, u: np.ndarray) -> PointEvaluation:
        """Evaluates the log-density and its gradient at one point [D]."""
        values, slopes = self(np.asarray(u, np.float64)[None])
        return PointEvaluation(float(values[0]), slopes[0])

    def curvature(self, u: np.ndarray) -> np.ndarray:
        """Computes minus the second derivatives [D, D] at u by differences, in steps of a hundredth
        of each coordinate's conditional standard deviation.

        Exact derivatives replace them where differences cannot tell whether u is a maximum.
        """
        rough = self._differences(u, 1e-4 * np.maximum(1, np.abs(u)), (1.0,))
        diagonal = np.diagonal(rough)
        if np.isfinite(rough).all() and diagonal.min() > 0:
            scale = 1 / np.sqrt(diagonal)
            # The rough curvature sets the step of the precise differences.
            precise = self._differences(u, NEAR * scale, (1.0, 2.0))
            if (
                np.isfinite(precise).all()
                and np.linalg.eigvalsh(scale[:, None] * precise * scale).min() > FAINT
            ):
                return precise
        self.evaluations += len(u)
        exact = np.asarray(_exact_curvature(self.target, u))
        return (exact + exact.T) / 2

    def _differences(
        self, u: np.ndarray, step: np.ndarray, multiples: tuple[float, ...]
    ) -> np.ndarray:
        """Central differences of the gradient: of second order for one multiple of the step, of
        fourth order for the multiples 1 and 2.
        """
        offsets = np.concatenate([sign * m * np.diag(step) for m in multiples for sign in (1, -1)])
        slopes = self(u + offsets).gradients.reshape(len(multiples), 2, len(u), len(u))
        with np.errstate(invalid="ignore"):  # the density need not be finite everywhere
            first = (slopes[0, 0] - slopes[0, 1]) / (2 * step[:, None])
            if len(multiples) == 2:
                first = (4 * first - (slopes[1, 0] - slopes[1, 1]) / (4 * step[:, None])) / 3
        return -(first + first.T) / 2
