"""What an encoder is."""

import abc
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from jensen._types import Array, Distribution


class AbstractEncoder(eqx.Module):
    """x -> q(z|x) of one datum. Constructed from context by name: event_shape, latent_dim, network, data, key.

    `bottom_up` says of an encoder of several levels that the datum acts on z_1 alone, and through it on the levels above (`distributions.BottomUp`). Otherwise
    z_L is the level that the datum decides by itself.
    """

    bottom_up: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, x: Array) -> Distribution:
        """q(z|x) for one datum x of the event's shape."""

    def standardise(self, x: Array) -> Array:
        """x as a vector, in the units that the encoder's network wants; a hierarchical encoder feeds its lower levels with it."""
        return jnp.asarray(x).ravel().astype(jnp.result_type(float))
