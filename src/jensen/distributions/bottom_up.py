"""The joint distribution of levels of latent variables, from the data upwards.

    q(z_1) q(z_2 | z_1) ... q(z_L | z_{L-1})

It is the posterior of a Markov chain of latent variables (Burda, Grosse & Salakhutdinov 2016,
section 2).
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution, Key

Codes = tuple[Array, ...]
NO_TOP = (
    "the top level of a Markov chain of latent variables has no q(z_L|x) in closed form, because "
    "z_L depends on the datum through the levels below. The priors vamp, vamp_data and aggregated, "
    "and a new prior on a frozen encoder, need q(z_L|x): use --model hvae or vae. Priors that do "
    "not need it: standard_normal, mixture, flow."
)


class BottomUp(eqx.Module):
    """q(z_1) and, from z_2 up to z_L, q(z_l | z_{l-1}); log_prob in nats.

    If q(z_1) is that of a datum and the conditionals depend on the datum through z_1 alone, so do
    all higher levels: I(n; z_1 .. z_L) = I(n; z_1).

    Args:
        first: q(z_1).
        above: the conditionals, that of z_2 first; each maps z_{l-1} to q(z_l | z_{l-1}).

    Example:
        BottomUp(normal, (lambda z1: diagonal_normal(z1, scale),)).sample(key)  # (z1, z2)
    """

    first: Distribution
    above: tuple[Callable[[Array], Any], ...]

    @property
    def top(self) -> Any:
        """Not available: q(z_L) is an integral over the levels below.

        Raises:
            ValueError: always, with the alternatives.
        """
        raise ValueError(NO_TOP)

    @property
    def has_rsample(self) -> bool:
        """Whether derivatives pass through the draws of q(z_1).

        The conditionals, unknown before a draw, are assumed to be of the same kind.
        """
        return bool(getattr(self.first, "has_rsample", True))

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Codes:
        """Draw (z_1, ..., z_L), level after level from the data upwards.

        `sample_shape` gives the leading axes.
        """
        if sample_shape:
            keys = jr.split(key, sample_shape)
            draw = self.sample
            for _ in sample_shape:
                draw = jax.vmap(draw)
            return draw(keys)
        keys = jr.split(key, len(self.above) + 1)
        codes = [self.first.sample(keys[0])]
        for conditional, key_level in zip(self.above, keys[1:], strict=True):
            codes.append(conditional(codes[-1]).sample(key_level))
        return tuple(codes)

    def log_prob(self, value: Codes) -> Array:
        """Compute log q(z_1, ..., z_L), in nats."""
        return sum(self.log_probs(value), start=jnp.zeros(()))

    def log_probs(self, value: Codes) -> tuple[Array, ...]:
        """Compute its terms, in the order of the codes: log q(z_1), log q(z_2 | z_1), ..."""
        return tuple(
            level.log_prob(code) for level, code in zip(self.levels(value), value, strict=True)
        )

    def levels(self, value: Codes) -> tuple[Any, ...]:
        """Return the distributions q(z_1), q(z_2 | z_1), ... along a code."""
        return (
            self.first,
            *(
                conditional(below)
                for conditional, below in zip(self.above, value[:-1], strict=True)
            ),
        )

    def completed(self, first: Array) -> Codes:
        """Complete z_1 to (z_1, ..., z_L), each higher level at its conditional mean."""
        codes = [first]
        for conditional in self.above:
            codes.append(conditional(codes[-1]).mean)
        return tuple(codes)
