"""What a decoder is."""

import abc
from typing import ClassVar

import equinox as eqx

from jensen._types import Distribution, Latent


class AbstractDecoder(eqx.Module):
    """z -> p(x|z) of one datum. Constructed from context by name: latent_dim (numbers in a code), likelihood, network, data, key.

    `autoregressive` says that p(x|z) couples the elements of x: it has no `mean` then, but `conditional_mean(x)`, the means of p(x_i | x_<i, z) along an x.
    """

    autoregressive: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, z: Latent) -> Distribution:
        """p(x|z) for one latent code z."""
