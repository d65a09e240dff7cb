"""The abstract base class of decoders."""

import abc
from typing import ClassVar

import equinox as eqx

from jensen._types import Distribution, Latent


class AbstractDecoder(eqx.Module):
    """Map one latent code z to the likelihood p(x|z).

    The constructor receives from context, by name: latent_dim (the length of a code), likelihood,
    network, data, key.

    Attributes:
        autoregressive: whether p(x|z) couples the elements of x. It then has no `mean`, but
            `conditional_mean(x)`: the means of p(x_i | x_<i, z) along an x.
    """

    autoregressive: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, z: Latent) -> Distribution:
        """Return p(x|z) for one latent code z."""
