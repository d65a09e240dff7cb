"""Bijections of a vector that start at the identity: the families that a local posterior is sought in.

    diagonal:  f(u) = exp(a) u + b, elementwise
    full:      f(u) = L u + b, L lower triangular with a positive diagonal
    flow:      coupling layers after a `full` map; their last weights start at 0

Each gives f(u) and log |det df/du|, both ways, without any iteration.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.linalg import solve_triangular

from jensen._types import Array, Float
from jensen.distributions.coupling_flow import Coupling

NUM_LAYERS, HIDDEN = 4, 16

Mapped = tuple[Float[Array, " dim"], Float[Array, ""]]


class DiagonalMap(eqx.Module):
    """u -> exp(log_scale) u + shift.

    DiagonalMap(jnp.zeros(2), jnp.zeros(2)).forward(u)  # (u, 0)
    """

    shift: Float[Array, " dim"]
    log_scale: Float[Array, " dim"]

    def forward(self, u: Float[Array, " dim"]) -> Mapped:
        """f(u), and the log of its Jacobian's determinant."""
        return jnp.exp(self.log_scale) * u + self.shift, jnp.sum(self.log_scale)

    def inverse(self, y: Float[Array, " dim"]) -> Mapped:
        """u, and the log of the determinant of f's Jacobian there."""
        return (y - self.shift) * jnp.exp(-self.log_scale), jnp.sum(self.log_scale)


class TriangularMap(eqx.Module):
    """u -> L u + shift, L = diag(exp(log_scale)) + the part of `below` under the diagonal.

    TriangularMap(jnp.zeros(2), jnp.zeros(2), jnp.zeros((2, 2))).forward(u)  # (u, 0)
    """

    shift: Float[Array, " dim"]
    log_scale: Float[Array, " dim"]
    below: Float[Array, "dim dim"]

    def forward(self, u: Float[Array, " dim"]) -> Mapped:
        """f(u), and the log of its Jacobian's determinant."""
        return jnp.exp(self.log_scale) * u + jnp.tril(self.below, -1) @ u + self.shift, jnp.sum(
            self.log_scale
        )

    def inverse(self, y: Float[Array, " dim"]) -> Mapped:
        """u, and the log of the determinant of f's Jacobian there."""
        scale_tril = jnp.tril(self.below, -1) + jnp.diag(jnp.exp(self.log_scale))
        return solve_triangular(scale_tril, y - self.shift, lower=True), jnp.sum(self.log_scale)


class FlowMap(eqx.Module):
    """Coupling layers after a triangular map; the turns of the layers are turned back, so that layers that do nothing leave u as it is.

    identity("flow", jnp.zeros(2)).forward(u)  # (u, 0)
    """

    affine: TriangularMap
    layers: tuple[Coupling, ...]

    def forward(self, u: Float[Array, " dim"]) -> Mapped:
        """f(u), and the log of its Jacobian's determinant."""
        u, log_det = self.affine.forward(u)
        for layer in self.layers:
            u, t = layer.forward(u)
            log_det += t
        return jnp.roll(u, self._turned()), log_det

    def inverse(self, y: Float[Array, " dim"]) -> Mapped:
        """u, and the log of the determinant of f's Jacobian there."""
        u, log_det = jnp.roll(y, -self._turned()), jnp.zeros(())
        for layer in reversed(self.layers):
            u, t = layer.inverse(u)
            log_det += t
        u, t = self.affine.inverse(u)
        return u, log_det + t

    def _turned(self) -> int:
        return sum(len(layer.into) for layer in self.layers)


Bijection = DiagonalMap | TriangularMap | FlowMap


def _diagonal(like: Array) -> DiagonalMap:
    return DiagonalMap(jnp.zeros_like(like), jnp.zeros_like(like))


def _full(like: Array) -> TriangularMap:
    return TriangularMap(
        jnp.zeros_like(like), jnp.zeros_like(like), jnp.zeros((len(like), len(like)), like.dtype)
    )


def _flow(like: Array) -> FlowMap:
    kept = len(like) // 2

    def layer(key):
        # Weights into the hidden units that differ, or all of them would learn the same thing.
        key_into, key_context = jr.split(key)
        into = jr.normal(key_into, (kept, HIDDEN), like.dtype) / max(kept, 1) ** 0.5
        outputs = 2 * (len(like) - kept)
        return Coupling(
            into,
            jr.normal(key_context, (HIDDEN,), like.dtype),
            jnp.zeros((HIDDEN, outputs), like.dtype),
            jnp.zeros(outputs, like.dtype),
        )

    return FlowMap(_full(like), tuple(layer(key) for key in jr.split(jr.key(0), NUM_LAYERS)))


BIJECTIONS = {"diagonal": _diagonal, "full": _full, "flow": _flow}


def identity(family: str, like: Float[Array, " dim"]) -> Bijection:
    """The family's map that leaves every vector as it is, for vectors like this one.

    identity("diagonal", jnp.zeros(2)).forward(jnp.ones(2))  # ([1, 1], 0)
    """
    return BIJECTIONS[family](like)
