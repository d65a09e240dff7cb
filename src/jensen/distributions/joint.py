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
from jensen.distributions.bottom_up import BottomUp
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
        return tuple(
            level.log_prob(code) for level, code in zip(self.levels(value), value, strict=True)
        )

    def levels(self, value: Codes) -> tuple[Any, ...]:
        """p(z_1 | z_2), ..., p(z_L) along a code."""
        below = (
            conditional(above)
            for conditional, above in zip(self.below, reversed(value[1:]), strict=True)
        )
        return tuple(reversed((self.top, *below)))

    def completed(self, top: Array) -> Codes:
        """(z_1, ..., z_L) under a given z_L, each lower level at its conditional mean."""
        codes = [top]
        for conditional in self.below:
            codes.append(mean_of(conditional(codes[-1])))
        return tuple(reversed(codes))


def levels_along(distribution: Distribution, code: Latent) -> tuple[Any, ...]:
    """The distribution of each level given the others of a code, z_1 first; their log densities sum to log_prob.

    levels_along(Joint(top, below), (z1, z2))  # (p(z1 | z2), p(z2))
    """
    return (
        distribution.levels(code) if isinstance(distribution, Joint | BottomUp) else (distribution,)
    )


def level_log_probs(distribution: Distribution, code: Latent) -> Float[Array, " levels"]:
    """The log densities of a code level by level, the top last, nats; they sum to log_prob.

    level_log_probs(diagonal_normal(loc, scale), z)  # one level
    """
    return jnp.stack(
        distribution.log_probs(code)
        if isinstance(distribution, Joint | BottomUp)
        else (distribution.log_prob(code),)
    )


def top_of(distribution: Distribution) -> Any:
    """The distribution of the top level.

    top_of(Joint(top, below))  # top
    """
    return distribution.top if isinstance(distribution, Joint | BottomUp) else distribution


def root_of(distribution: Distribution) -> Any:
    """The distribution of the level that is drawn first: the top of a Joint, the first level of a BottomUp. Of a posterior it is the one of the datum alone.

    root_of(model.encoder(x)).mean
    """
    return distribution.first if isinstance(distribution, BottomUp) else top_of(distribution)


def root_code(distribution: Distribution, code: Latent) -> Array:
    """The part of a code that the distribution draws first.

    root_code(Joint(top, below), (z1, z2))  # z2
    """
    if not isinstance(code, tuple):
        return code
    return code[0] if isinstance(distribution, BottomUp) else code[-1]


def complete(distribution: Distribution, root: Array) -> Latent:
    """The code with a given root level, the others at their conditional means under the distribution, prior or posterior.

    complete(prior, z2)  # (E p(z1 | z2), z2)
    """
    return distribution.completed(root) if isinstance(distribution, Joint | BottomUp) else root
