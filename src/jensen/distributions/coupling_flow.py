"""A diagonal normal pushed through affine coupling layers (Dinh et al. 2017): z = m + s f(u), u ~ N(0, I), exact both ways and without any inversion.

    layer:  (a, b) -> (a, b exp(t(a)) + r(a)),  then the dimensions are turned by the length of a
    log q(z) = log N(u; 0, I) - sum log s - sum over layers of t

f acts in units of the base's scale, so that the layers see numbers of order one. What a layer adds from the datum, `context`, is computed once per datum: at
many points the layer costs two small matrix products, whatever the size of the encoder's network.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._numerics import LOG_2PI
from jensen._types import Array, Float, Key

MOST = 2.0  # |t| of one layer: keeps exp finite in any number of layers that one would use
POINTS = 128


class Coupling(eqx.Module):
    """One layer: t and r from tanh(a W + context), for one datum.

    Coupling(jnp.zeros((1, 4)), jnp.zeros(4), jnp.zeros((4, 2)), jnp.zeros(2)).forward(u)  # (u turned by one, 0)
    """

    into: Float[Array, "kept hidden"]
    context: Float[Array, " hidden"]
    out: Float[Array, "hidden twice"]
    bias: Float[Array, " twice"]

    def forward(self, u: Float[Array, " dim"]) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """The layer, and the log of its Jacobian's determinant."""
        a, b = u[: len(self.into)], u[len(self.into) :]
        t, r = self._terms(a)
        return jnp.concatenate([b * jnp.exp(t) + r, a]), jnp.sum(t)

    def inverse(self, y: Float[Array, " dim"]) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """Its inverse at y, and the log of the determinant of the layer's Jacobian there."""
        split = len(y) - len(self.into)
        b, a = y[:split], y[split:]
        t, r = self._terms(a)
        return jnp.concatenate([a, (b - r) * jnp.exp(-t)]), jnp.sum(t)

    def _terms(self, a: Array) -> tuple[Array, Array]:
        t, r = (jnp.tanh(a @ self.into + self.context) @ self.out + self.bias).reshape(2, -1)
        return MOST * jnp.tanh(t / MOST), r


class CouplingFlow(eqx.Module):
    """The law of loc + scale f(u), f the layers one after the other, u standard normal; log_prob in nats.

    Mean and variance are not known in closed form: `mean` and `variance` are those over 128 fixed points u, in pairs u and -u (the mean is exact while f is
    linear). The points are the same for every datum, so that posteriors that do not differ have means that do not differ.

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
        """Over fixed points: see the class."""
        return self._points().mean(axis=0)

    @property
    def variance(self) -> Array:
        """Over fixed points: see the class."""
        return self._points().var(axis=0)

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draws, by the layers forwards."""
        u = jr.normal(key, (*sample_shape, *self.loc.shape), self.loc.dtype)
        return jnp.vectorize(lambda u: self.transform(u)[0], signature="(d)->(d)")(u)

    def log_prob(self, value: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        """log q(value), by the layers backwards."""
        return jnp.vectorize(self._log_prob, signature="(d)->()")(value)

    def transform(self, u: Float[Array, " dim"]) -> tuple[Float[Array, " dim"], Float[Array, ""]]:
        """z = loc + scale f(u) and log |det dz/du|.

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
        # A second moment of exactly one, in every dimension.
        u *= jnp.sqrt(len(u) / jnp.sum(jnp.square(u), axis=0))
        return jax.vmap(lambda u: self.transform(u)[0])(jnp.concatenate([u, -u]))
