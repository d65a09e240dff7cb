"""What an encoder is."""

import abc

import equinox as eqx

from jensen._types import Array, Distribution


class AbstractEncoder(eqx.Module):
    """x -> q(z|x) of one datum. Constructed from context by name: event_shape, latent_dim, network, data, key."""

    @abc.abstractmethod
    def __call__(self, x: Array) -> Distribution:
        """q(z|x) for one datum x of the event's shape."""
