"""The joint distribution of levels of latent variables, from the top downwards.

    p(z_L) p(z_{L-1} | z_L) ... p(z_1 | z_2)

Prior and posterior of a hierarchical model both have this form. A latent code is then the tuple
(z_1, ..., z_L), z_1 nearest to the data. The functions below read a distribution or a code level by
level; a distribution without levels is a hierarchy of one level, so that callers need no other
case.
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
        below: the conditionals, that of z_{L-1} first; each maps z_{l+1} to p(z_l | z_{l+1}).

    Example:
        Joint(normal, (lambda z2: diagonal_normal(z2, scale),)).sample(key)  # (z1, z2)
    """

    top: Distribution
    below: tuple[Callable[[Array], Any], ...]

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Codes:
        """Draw (z_1, ..., z_L), level after level from the top; leading axes `sample_shape`."""
        if sample_shape:
            keys = jr.split(key, sample_shape)
            draw = self.sample
            for _ in sample_shape:
                draw = jax.vmap(draw)
            return draw(keys)
        keys = jr.split(key, len(self.below) + 1)
        codes = [self.top.sample(keys[0])]
        for conditional, key_level in zip(self.below, keys[1:], strict=True):
            codes.append(conditional(codes[-1]).sample(key_level))
        return tuple(reversed(codes))

    def log_prob(self, value: Codes) -> Array:
        """Compute log p(z_1, ..., z_L), in nats."""
        return sum(self.log_probs(value), start=jnp.zeros(()))

    def log_probs(self, value: Codes) -> tuple[Array, ...]:
        """Compute its terms, in the order of the codes: log p(z_1 | z_2), ..., log p(z_L)."""
        return tuple(
            level.log_prob(code) for level, code in zip(self.levels(value), value, strict=True)
        )

    def levels(self, value: Codes) -> tuple[Any, ...]:
        """Return the distributions p(z_1 | z_2), ..., p(z_L) along a code."""
        below = (
            conditional(above)
            for conditional, above in zip(self.below, reversed(value[1:]), strict=True)
        )
        return tuple(reversed((self.top, *below)))

    def completed(self, top: Array) -> Codes:
        """Complete z_L to (z_1, ..., z_L), each lower level at its conditional mean."""
        codes = [top]
        for conditional in self.below:
            codes.append(mean_of(conditional(codes[-1])))
        return tuple(reversed(codes))


def levels_along(distribution: Distribution, code: Latent) -> tuple[Any, ...]:
    """Return the distribution of each level given the other levels of a code, z_1 first.

    Their log densities sum to log_prob.

        levels_along(Joint(top, below), (z1, z2))  # (p(z1 | z2), p(z2))
    """
    return (
        distribution.levels(code) if isinstance(distribution, Joint | BottomUp) else (distribution,)
    )


def level_log_probs(distribution: Distribution, code: Latent) -> Float[Array, " levels"]:
    """Compute the log densities of a code level by level, the top last, in nats.

    They sum to log_prob.

        level_log_probs(diagonal_normal(loc, scale), z)  # one level
    """
    return jnp.stack(
        distribution.log_probs(code)
        if isinstance(distribution, Joint | BottomUp)
        else (distribution.log_prob(code),)
    )


def top_of(distribution: Distribution) -> Any:
    """Return the distribution of the top level.

    top_of(Joint(top, below))  # top
    """
    return distribution.top if isinstance(distribution, Joint | BottomUp) else distribution


def root_of(distribution: Distribution) -> Any:
    """Return the distribution of the root, the level that is drawn first.

    The root is the top of a `Joint` and the first level of a `BottomUp`. In a posterior it is the
    level that depends on the datum alone.

        root_of(model.encoder(x)).mean
    """
    return distribution.first if isinstance(distribution, BottomUp) else top_of(distribution)


def root_code(distribution: Distribution, code: Latent) -> Array:
    """Return the part of a code that the distribution draws first.

    root_code(Joint(top, below), (z1, z2))  # z2
    """
    if not isinstance(code, tuple):
        return code
    return code[0] if isinstance(distribution, BottomUp) else code[-1]


def complete(distribution: Distribution, root: Array) -> Latent:
    """Complete a root code to a code of all levels, the other levels at their conditional means.

    `distribution` is a prior or a posterior.

        complete(prior, z2)  # (E p(z1 | z2), z2)
    """
    return distribution.completed(root) if isinstance(distribution, Joint | BottomUp) else root
