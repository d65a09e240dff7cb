"""A diagonal normal pushed through affine coupling layers (Dinh et al. 2017).

    z = m + s f(u), u ~ N(0, I)
    layer:  (a, b) -> (a, b exp(t(a)) + r(a)),  then the dimensions are rotated by the length of a
    log q(z) = log N(u; 0, I) - sum log s - sum over layers of t

Both directions are exact and in closed form. f acts in units of the base's scale, so that the
layers see numbers of order one. `context`, a layer's input from the datum, is computed once per
datum: at many points a layer costs two small matrix products, whatever the size of the encoder's
network.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._numerics import LOG_2PI
from jensen._types import Array, Float, Key

MOST = 2.0  # limit on |t| of one layer: keeps exp finite in any practical number of layers
POINTS = 128  # fixed points u behind `mean` and `variance`


class Coupling(eqx.Module):
    """One coupling layer for one datum, with t and r computed from tanh(a W + context).

    layer = Coupling(jnp.zeros((1, 4)), jnp.zeros(4), jnp.zeros((4, 2)), jnp.zeros(2))
    layer.forward(u)  # (u rotated by one, 0)
    """

    into: Float[Array, "half hidden"]
    context: Float[Array, " hidden"]
    out: Float[Array, "hidden twice"]
    bias: Float[Array, " twice"]

    def forward(self, u: Float[Array, " dim"]) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """Compute the layer's output and the log determinant of its Jacobian."""
        a, b = u[: len(self.into)], u[len(self.into) :]
        t, r = self._terms(a)
        return jnp.concatenate([b * jnp.exp(t) + r, a]), jnp.sum(t)

    def inverse(self, y: Float[Array, " dim"]) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """Compute the inverse at y, and the log determinant of the layer's Jacobian there."""
        split = len(y) - len(self.into)
        b, a = y[:split], y[split:]
        t, r = self._terms(a)
        return jnp.concatenate([a, (b - r) * jnp.exp(-t)]), jnp.sum(t)

    def _terms(self, a: Array) -> tuple[Array, Array]:
        t, r = (jnp.tanh(a @ self.into + self.context) @ self.out + self.bias).reshape(2, -1)
        return MOST * jnp.tanh(t / MOST), r  # a smooth clip: the identity near t = 0


class CouplingFlow(eqx.Module):
    """The distribution of loc + scale f(u), u standard normal, f the composed layers.

    log_prob is in nats. Mean and variance have no closed form: `mean` and `variance` are averages
    over 128 fixed points u, in pairs u and -u (the mean is exact while f is linear). The points are
    the same for every datum, so that equal posteriors have equal means and a collapsed dimension is
    not taken for an active one.

        CouplingFlow(loc, scale, (layer, layer)).log_prob(z)
    """

    loc: Float[Array, " dim"]
    scale: Float[Array, " dim"]
    layers: tuple[Coupling, ...]

    @property
    def has_rsample(self) -> bool:
        """True: a draw is a differentiable function of the parameters."""
        return True

    @property
    def mean(self) -> Array:
        """Mean over fixed points; see the class."""
        return self._points().mean(axis=0)

    @property
    def variance(self) -> Array:
        """Variance over fixed points; see the class."""
        return self._points().var(axis=0)

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw codes with the layers forwards; leading axes `sample_shape`."""
        u = jr.normal(key, (*sample_shape, *self.loc.shape), self.loc.dtype)
        return jnp.vectorize(lambda u: self.transform(u)[0], signature="(d)->(d)")(u)

    def log_prob(self, value: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        """Compute log q(value) with the layers backwards, in nats."""
        return jnp.vectorize(self._log_prob, signature="(d)->()")(value)

    def transform(self, u: Float[Array, " dim"]) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """Compute z = loc + scale f(u) and log |det dz/du|.

        flow.transform(jnp.zeros(2))
        """
        log_det = jnp.sum(jnp.log(self.scale))
        for layer in self.layers:
            u, t = layer.forward(u)
            log_det += t
        return self.loc + self.scale * u, log_det

    def _log_prob(self, z: Array) -> Array:
        u, log_det = (z - self.loc) / self.scale, jnp.sum(jnp.log(self.scale))
        for layer in reversed(self.layers):
            u, t = layer.inverse(u)
            log_det += t
        return -0.5 * jnp.sum(jnp.square(u)) - 0.5 * len(u) * LOG_2PI - log_det

    def _points(self) -> Array:
        u = jr.normal(jr.key(0), (POINTS // 2, *self.loc.shape), self.loc.dtype)
        # Rescaled to a second moment of exactly one in every dimension: exact for linear f.
        u *= jnp.sqrt(len(u) / jnp.sum(jnp.square(u), axis=0))
        return jax.vmap(lambda u: self.transform(u)[0])(jnp.concatenate([u, -u]))
