"""A distribution moved by a bijection of its flattened codes: z' = T(z), z ~ q.

    log q'(z') = log q(z) - log |det dT/dz|,      z = T^-1(z')
    T(z) = m + s f((z - m) / s)

f acts in units of q's mean m and scale s, so that its parameters are numbers of order one whatever
the scale of the codes. With f from `bijections`, a diagonal normal under a `diagonal` map is again
a diagonal normal; any other q gives a family of its own, closed under these maps.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree

from jensen._types import Array, Distribution, Float, Key, Latent
from jensen.distributions.bijections import Bijection, identity
from jensen.distributions.diagonal_normals import diagonal_normal_parameters
from jensen.distributions.moments import DRAWS, mean_of, scale_of


class Pushforward(eqx.Module):
    """The distribution of loc + scale f((z - loc) / scale), z ~ base; log_prob in nats.

    Args:
        base: any distribution of continuous codes, tuples of levels included.
        bijection: f, over vectors as long as the flattened code.
        loc, scale: the units that f acts in.

    Example:
        # A draw of model.encoder(x), because f starts at the identity:
        pushforward(model.encoder(x), "diagonal").sample(key)
    """

    base: Distribution
    bijection: Bijection
    loc: Float[Array, " dim"]
    scale: Float[Array, " dim"]

    @property
    def has_rsample(self) -> bool:
        """Whether derivatives pass through the draws: true if they do in the base."""
        return bool(getattr(self.base, "has_rsample", True))

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Latent:
        """Draw from the base and apply T; leading axes `sample_shape`."""
        if sample_shape:
            draw = self.sample
            for _ in sample_shape:
                draw = jax.vmap(draw)
            return draw(jr.split(key, sample_shape))
        return self.transform(self.base.sample(key))[0]

    def log_prob(self, value: Latent) -> Array:
        """Compute log q'(value) in nats, by the bijection's inverse; leading axes are preserved."""
        # A lambda, because eval_shape's cache would compare a bound method by its arrays.
        event = jax.eval_shape(lambda key: self.base.sample(key), jr.key(0))
        log_density = self._log_prob
        for _ in range(jnp.ndim(jax.tree.leaves(value)[0]) - len(jax.tree.leaves(event)[0].shape)):
            log_density = jax.vmap(log_density)
        return log_density(value)

    def transform(self, z: Latent) -> tuple[Any, Float[Array, ""]]:
        """Compute T(z) and log |det dT/dz|, in nats.

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
    """Wrap a base distribution in the identity map of a family ('diagonal', 'full' or 'flow').

    The result equals the base until its bijection is changed. The units are the base's mean and
    scale, or those of 256 draws where these have no closed form or do not exist.

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
        exact_loc, exact_scale = (jnp.ravel(moment(base)) for moment in (mean_of, scale_of))
        # Student's t with few degrees of freedom has neither mean nor variance.
        loc, scale = (
            jnp.where(jnp.isfinite(exact_loc), exact_loc, loc),
            jnp.where(jnp.isfinite(exact_scale), exact_scale, scale),
        )
    # A constant dimension has spread 0; any unit serves, and 1 can be divided by.
    return loc, jnp.where(scale > 0, scale, 1.0)
