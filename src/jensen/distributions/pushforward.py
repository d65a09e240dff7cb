"""A distribution moved by a bijection of its flattened codes: z' = T(z), z ~ q.

    log q'(z') = log q(z) - log |det dT/dz|,      z = T^-1(z')
    T(z) = m + s f((z - m) / s)

f acts in units of q, its mean m and scale s, so that its parameters are numbers of order one whatever the scale of the codes. With f from `bijections`, a
diagonal normal under a `diagonal` map is again a diagonal normal; any other q gives its own family, closed under those maps.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree

from jensen._types import Array, Distribution, Float, Key, Latent
from jensen.distributions.bijections import Bijection, identity
from jensen.distributions.diagonal_normal import diagonal_normal_parameters
from jensen.distributions.moments import DRAWS, mean_of, scale_of


class Pushforward(eqx.Module):
    """The law of loc + scale f((z - loc) / scale), z ~ base; log_prob in nats.

    Args:
        base: any distribution of continuous codes, tuples of levels too.
        bijection: f, of vectors as long as the flattened code.
        loc, scale: the units that f acts in.

        pushforward(model.encoder(x), "diagonal").sample(key)  # the draw of model.encoder(x): f starts at the identity
    """

    base: Distribution
    bijection: Bijection
    loc: Float[Array, " dim"]
    scale: Float[Array, " dim"]

    @property
    def has_rsample(self) -> bool:
        """Whether derivatives pass through the draws: as through those of the base."""
        return bool(getattr(self.base, "has_rsample", True))

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Latent:
        """Draws of the base, moved; leading axes `sample_shape`."""
        if sample_shape:
            draw = self.sample
            for _ in sample_shape:
                draw = jax.vmap(draw)
            return draw(jr.split(key, sample_shape))
        return self.transform(self.base.sample(key))[0]

    def log_prob(self, value: Latent) -> Array:
        """log q'(value), by the bijection backwards; leading axes of codes are kept."""
        event = jax.eval_shape(
            lambda key: self.base.sample(key), jr.key(0)
        )  # a bound method would be compared by its arrays
        one = self._log_prob
        for _ in range(jnp.ndim(jax.tree.leaves(value)[0]) - len(jax.tree.leaves(event)[0].shape)):
            one = jax.vmap(one)
        return one(value)

    def transform(self, z: Latent) -> tuple[Any, Float[Array, ""]]:
        """T(z) and log |det dT/dz|, in nats.

        moved, log_det = q.transform(z)
        """
        flat, unravel = ravel_pytree(z)
        y, log_det = self.bijection.forward((flat - self.loc) / self.scale)
        return unravel(self.loc + self.scale * y), log_det

    def _log_prob(self, value: Latent) -> Array:
        flat, unravel = ravel_pytree(value)
        u, log_det = self.bijection.inverse((flat - self.loc) / self.scale)
        return self.base.log_prob(unravel(self.loc + self.scale * u)) - log_det


def pushforward(base: Distribution, family: str) -> Pushforward:
    """The base itself, as the member of a family of maps ('diagonal', 'full' or 'flow') that moves nothing.

    The units are the base's mean and scale; where it does not know them, or they do not exist, those of 256 draws.

        pushforward(model.encoder(x), "full").log_prob(z)
    """
    loc, scale = _units(base)
    return Pushforward(base, identity(family, loc), loc, scale)


def _units(base: Distribution) -> tuple[Array, Array]:
    normal = diagonal_normal_parameters(base)
    if normal is not None:
        return normal
    draws = jax.vmap(base.sample)(jr.split(jr.key(0), DRAWS))
    flat = jax.vmap(lambda z: ravel_pytree(z)[0])(draws)
    loc, scale = flat.mean(axis=0), flat.std(axis=0)
    if not isinstance(draws, tuple):
        known_loc, known_scale = (jnp.ravel(moment(base)) for moment in (mean_of, scale_of))
        # Student's t of few degrees of freedom has neither.
        loc, scale = (
            jnp.where(jnp.isfinite(known_loc), known_loc, loc),
            jnp.where(jnp.isfinite(known_scale), known_scale, scale),
        )
    return loc, jnp.where(scale > 0, scale, 1.0)
