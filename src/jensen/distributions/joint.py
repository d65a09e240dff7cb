"""The joint distribution of several levels of latent variables, p(z_L) p(z_{L-1} | z_L) ... p(z_1 | z_2): prior and posterior of a hierarchical model alike.

A latent code is then the tuple (z_1, ..., z_L), z_1 nearest to the data. The functions below read a distribution or a code level by level; one without levels
is a hierarchy of one, so what comes after needs no other case.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key, Latent
from jensen.distributions.moments import mean_of

Codes = tuple[Array, ...]


class Joint(eqx.Module):
    """p(z_L) and, from z_{L-1} down to z_1, p(z_l | z_{l+1}); log_prob in nats.

    Args:
        top: p(z_L).
        below: the conditionals, the one under the top first; each maps z_{l+1} to p(z_l | z_{l+1}).

        Joint(normal, (lambda z2: diagonal_normal(z2, scale),)).sample(key)  # (z1, z2)
    """

    top: Distribution
    below: tuple[Callable[[Array], Any], ...]

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Codes:
        """A draw (z_1, ..., z_L), level after level from the top; leading axes `sample_shape`."""
        if sample_shape:
            keys = jr.split(key, sample_shape)
            draw = self.sample
            for _ in sample_shape:
                draw = jax.vmap(draw)
            return draw(keys)
        keys = jr.split(key, len(self.below) + 1)
        codes = [self.top.sample(keys[0])]
        for conditional, key in zip(self.below, keys[1:], strict=True):
            codes.append(conditional(codes[-1]).sample(key))
        return tuple(reversed(codes))

    def log_prob(self, value: Codes) -> Array:
        """log p(z_1, ..., z_L), nats."""
        return sum(self.log_probs(value), start=jnp.zeros(()))

    def log_probs(self, value: Codes) -> tuple[Array, ...]:
        """Its terms, in the order of the codes: log p(z_1 | z_2), ..., log p(z_L)."""
        terms = [self.top.log_prob(value[-1])]
        for conditional, above, code in zip(self.below, reversed(value), reversed(value[:-1]), strict=False):
            terms.append(conditional(above).log_prob(code))
        return tuple(reversed(terms))

    def below_mean(self, top: Array) -> Codes:
        """(z_1, ..., z_L) under a given z_L, each lower level at its conditional mean."""
        codes = [top]
        for conditional in self.below:
            codes.append(mean_of(conditional(codes[-1])))
        return tuple(reversed(codes))


def level_log_probs(distribution: Distribution, code: Latent) -> Float[Array, " levels"]:
    """The log densities of a code level by level, the top last, nats; they sum to log_prob.

    level_log_probs(diagonal_normal(loc, scale), z)  # one level
    """
    return jnp.stack(distribution.log_probs(code) if isinstance(distribution, Joint) else (distribution.log_prob(code),))


def top_of(distribution: Distribution) -> Any:
    """The distribution of the top level.

    top_of(Joint(top, below))  # top
    """
    return distribution.top if isinstance(distribution, Joint) else distribution


def top_code(code: Latent) -> Array:
    """The top level of a code.

    top_code((z1, z2))  # z2
    """
    return code[-1] if isinstance(code, tuple) else code


def complete(distribution: Distribution, top: Array) -> Latent:
    """The code under a given top level, the lower levels at their conditional means under the distribution, prior or posterior.

    complete(prior, z2)  # (E p(z1 | z2), z2)
    """
    return distribution.below_mean(top) if isinstance(distribution, Joint) else top
