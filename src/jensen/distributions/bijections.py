"""Bijections of a vector that start at the identity: the families of local posteriors.

    diagonal:  f(u) = exp(a) u + b, elementwise
    full:      f(u) = L u + b, L lower triangular with a positive diagonal
    flow:      a `full` map followed by coupling layers, whose last weights start at 0

Each computes f(u), its inverse, and log |det df/du| in closed form.
"""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax.scipy.linalg import solve_triangular

from jensen._types import Array, Float
from jensen.distributions.coupling_flow import Coupling

NUM_LAYERS, HIDDEN = 4, 16  # of a flow: coupling layers, and hidden units in each

# f(u) or its inverse, and log |det df/du| at u.
Mapped = tuple[Float[Array, " dim"], Float[Array, ""]]


class DiagonalMap(eqx.Module):
    """The map u -> exp(log_scale) u + shift, elementwise.

    DiagonalMap(jnp.zeros(2), jnp.zeros(2)).forward(u)  # (u, 0)
    """

    shift: Float[Array, " dim"]
    log_scale: Float[Array, " dim"]

    def forward(self, u: Float[Array, " dim"]) -> Mapped:
        """Compute f(u) and log |det df/du|."""
        return jnp.exp(self.log_scale) * u + self.shift, jnp.sum(self.log_scale)

    def inverse(self, y: Float[Array, " dim"]) -> Mapped:
        """Compute u = f^-1(y) and log |det df/du| at this u."""
        return (y - self.shift) * jnp.exp(-self.log_scale), jnp.sum(self.log_scale)


class TriangularMap(eqx.Module):
    """The map u -> L u + shift.

    L = diag(exp(log_scale)) + the part of `below` under the diagonal.

        TriangularMap(jnp.zeros(2), jnp.zeros(2), jnp.zeros((2, 2))).forward(u)  # (u, 0)
    """

    shift: Float[Array, " dim"]
    log_scale: Float[Array, " dim"]
    below: Float[Array, "dim dim"]

    def forward(self, u: Float[Array, " dim"]) -> Mapped:
        """Compute f(u) and log |det df/du|."""
        return jnp.exp(self.log_scale) * u + jnp.tril(self.below, -1) @ u + self.shift, jnp.sum(
            self.log_scale
        )

    def inverse(self, y: Float[Array, " dim"]) -> Mapped:
        """Compute u = f^-1(y) and log |det df/du| at this u."""
        scale_tril = jnp.tril(self.below, -1) + jnp.diag(jnp.exp(self.log_scale))
        return solve_triangular(scale_tril, y - self.shift, lower=True), jnp.sum(self.log_scale)


class FlowMap(eqx.Module):
    """Coupling layers after a triangular map.

    Every coupling layer rotates the dimensions; their total rotation is undone at the end, so that
    layers with zero weights leave u unchanged.

        identity("flow", jnp.zeros(2)).forward(u)  # (u, 0)
    """

    affine: TriangularMap
    layers: tuple[Coupling, ...]

    def forward(self, u: Float[Array, " dim"]) -> Mapped:
        """Compute f(u) and log |det df/du|."""
        u, log_det = self.affine.forward(u)
        for layer in self.layers:
            u, t = layer.forward(u)
            log_det += t
        return jnp.roll(u, self._total_rotation()), log_det

    def inverse(self, y: Float[Array, " dim"]) -> Mapped:
        """Compute u = f^-1(y) and log |det df/du| at this u."""
        u, log_det = jnp.roll(y, -self._total_rotation()), jnp.zeros(())
        for layer in reversed(self.layers):
            u, t = layer.inverse(u)
            log_det += t
        u, t = self.affine.inverse(u)
        return u, log_det + t

    def _total_rotation(self) -> int:
        return sum(len(layer.into) for layer in self.layers)


Bijection = DiagonalMap | TriangularMap | FlowMap


def _diagonal(like: Array) -> DiagonalMap:
    return DiagonalMap(jnp.zeros_like(like), jnp.zeros_like(like))


def _full(like: Array) -> TriangularMap:
    return TriangularMap(
        jnp.zeros_like(like), jnp.zeros_like(like), jnp.zeros((len(like), len(like)), like.dtype)
    )


def _flow(like: Array) -> FlowMap:
    half = len(like) // 2

    def layer(key):
        # Random weights into the hidden units: with equal weights all units would learn the same.
        key_into, key_context = jr.split(key)
        into = jr.normal(key_into, (half, HIDDEN), like.dtype) / max(half, 1) ** 0.5
        outputs = 2 * (len(like) - half)
        return Coupling(
            into,
            jr.normal(key_context, (HIDDEN,), like.dtype),
            jnp.zeros((HIDDEN, outputs), like.dtype),
            jnp.zeros(outputs, like.dtype),
        )

    # A fixed key: the start of a refinement is the same for every datum and every run.
    return FlowMap(_full(like), tuple(layer(key) for key in jr.split(jr.key(0), NUM_LAYERS)))


BIJECTIONS = {"diagonal": _diagonal, "full": _full, "flow": _flow}


def identity(family: str, like: Float[Array, " dim"]) -> Bijection:
    """Make the family's identity map, for vectors of the length and dtype of `like`.

    identity("diagonal", jnp.zeros(2)).forward(jnp.ones(2))  # ([1, 1], 0)
    """
    return BIJECTIONS[family](like)
