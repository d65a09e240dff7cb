"""What a decoder is."""

import abc

import equinox as eqx

from jensen._types import Distribution, Latent


class AbstractDecoder(eqx.Module):
    """z -> p(x|z) of one datum. Constructed from context by name: latent_dim, likelihood, network, data, key."""

    @abc.abstractmethod
    def __call__(self, z: Latent) -> Distribution:
        """p(x|z) for one latent code z."""
