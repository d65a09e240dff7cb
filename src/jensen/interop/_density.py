"""The encoder and the decoder of a foreign model: Equinox modules that call the host, with whole
batches at a time.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.custom_derivatives import SymbolicZero

from jensen._types import Array, Distribution, Float, Key
from jensen.decoders import AbstractDecoder
from jensen.distributions import diagonal_normal, full_normal
from jensen.encoders import AbstractEncoder
from jensen.interop._callback import host_call
from jensen.interop._host import Host

NO_GRADIENT = (
    "log p({0}) has no gradient in z here: give {1}=, which returns d log p({0}) / "
    "dz of shape [batch, latent_dim]"
)


class HostEncoder(AbstractEncoder):
    """q(z|x) of a foreign model: a normal whose parameters `host.encode` gives. They have no
    derivative in x.

    HostEncoder(host)(x).sample(key)
    """

    host: Host = eqx.field(static=True)

    def __call__(self, x: Array) -> Distribution:
        check_event(self.host.event_shape, x.shape)
        loc, scale = host_call(
            self.host.encode, [(self.host.latent_dim,), self.host.scale_shape], x
        )
        return full_normal(loc, scale) if self.host.full else diagonal_normal(loc, scale)


class HostDecoder(AbstractDecoder):
    """p(x|z) of a foreign model, see `HostLikelihood`."""

    host: Host = eqx.field(static=True)

    def __call__(self, z: Array) -> "HostLikelihood":
        return HostLikelihood(z, self.host)


class HostLikelihood(eqx.Module):
    """p(x|z) at one code. log_prob(x) is differentiable in z if the host has a gradient; `mean` and
    `sample` exist if the host has these callables.

    HostDecoder(host)(z).log_prob(x)
    """

    z: Float[Array, " latent"]
    host: Host = eqx.field(static=True)

    def log_prob(self, x: Array) -> Array:
        """log p(x|z), nats."""
        check_event(self.host.event_shape, x.shape)
        return _log_likelihood(self.host, x, self.z)

    @property
    def mean(self) -> Array:
        """E[x|z].

        Raises:
            ValueError: the model has no `decode`.
        """
        if not self.host.has("decode"):
            raise ValueError(
                "the mean of p(x|z) is not available for this model: give decode=, which "
                "returns E[x|z] of shape [batch, *event_shape]."
            )
        return host_call(self.host.decode, [self.host.event_shape], self.z)[0]

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        """x ~ p(x|z).

        Raises:
            ValueError: the model has no `sample`.
        """
        if not self.host.has("sample"):
            raise ValueError(
                "p(x|z) of this model cannot be sampled: give sample=, which takes codes z "
                "[batch, latent_dim] and a NumPy random generator and returns data."
            )
        draw = lambda key: host_call(  # noqa: E731
            self.host.sample, [self.host.event_shape], self.z, jr.bits(key, (2,))
        )[0]
        # One vmap for each axis of draws: a batch of draws is one call of the host.
        for _ in sample_shape:
            draw = jax.vmap(draw)
        return draw(jr.split(key, sample_shape) if sample_shape else key)


def check_event(expected: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Checks that data have the model's shape.

    check_event((8, 8), x.shape)
    """
    if tuple(shape) != tuple(expected):
        raise ValueError(
            f"the model describes data of shape {tuple(expected)}; got a datum of shape "
            f"{tuple(shape)}."
        )


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log_likelihood(host: Host, x: Array, z: Array) -> Array:
    return host_call(host.log_likelihood, [()], x, z)[0]


def _likelihood_jvp(host, primals, tangents):
    if not host.has("log_likelihood_gradient"):
        raise ValueError(NO_GRADIENT.format("x|z", "log_likelihood_gradient") + ".")
    if not isinstance(tangents[0], SymbolicZero):
        raise ValueError("log p(x|z) of a foreign model has a gradient in z only, none in x.")
    value, gradient = host_call(host.likelihood_and_gradient, [(), (host.latent_dim,)], *primals)
    return value, _along(gradient, tangents[1])


_log_likelihood.defjvp(_likelihood_jvp, symbolic_zeros=True)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def log_prior(host: Host, z: Array) -> Array:
    """log p(z) of one code, by the host.

    log_prior(host, jnp.zeros(2))
    """
    return host_call(host.log_prior, [()], z)[0]


def _prior_jvp(host, primals, tangents):
    if not host.has("log_prior_gradient"):
        raise ValueError(NO_GRADIENT.format("z", "log_prior_gradient") + ".")
    value, gradient = host_call(host.prior_and_gradient, [(), (host.latent_dim,)], *primals)
    return value, _along(gradient, tangents[0])


log_prior.defjvp(_prior_jvp, symbolic_zeros=True)


def _along(gradient: Array, tangent: Array | SymbolicZero) -> Array:
    return (
        jnp.zeros((), gradient.dtype)
        if isinstance(tangent, SymbolicZero)
        else jnp.vdot(gradient, tangent.astype(gradient.dtype))
    )
