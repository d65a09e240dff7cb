"""The convolutional decoder: dense layers to an image of one channel, then gated convolutions.

It is the decoder of the convHVAE of Tomczak & Welling 2018.
"""

from collections.abc import Sequence

import jax.random as jr

from jensen._types import Distribution, Key, Latent, LatentDim
from jensen.decoders._base import AbstractDecoder
from jensen.decoders._pixel_head import PixelHead
from jensen.likelihoods import AbstractLikelihood, DataSummary
from jensen.networks._convolution import image_shape
from jensen.networks._joined import Joined, gated_layers
from jensen.networks.gated_conv import GatedConv as Convolutions
from jensen.networks.gated_dense import GatedDense


class GatedConv(AbstractDecoder):
    """Gated dense layers -> gated convolutions -> 1x1 convolution -> likelihood.

    The dense layers have widths `hidden` and H W. `channels` and `kernels` have one entry per
    convolution. The last biases, one for each output, start at the likelihood's best constant
    guess. The decoder takes no `network`.

    Raises:
        ValueError: if the event is not an image, or the lists have unequal lengths.

    Example:
        decoder = GatedConv(40, likelihood, None, jr.key(0), channels=(64, 64), kernels=(3, 3))
        decoder(z).log_prob(x)
    """

    dense: GatedDense | Joined
    convolutions: Convolutions
    head: PixelHead
    likelihood: AbstractLikelihood

    def __init__(
        self,
        latent_dim: LatentDim,
        likelihood: AbstractLikelihood,
        data: DataSummary | None,
        *,
        key: Key,
        hidden: Sequence[int] = (300,),
        channels: Sequence[int] = (64, 64, 64, 64),
        kernels: Sequence[int] = (3, 3, 3, 3),
    ):
        if not channels or len(channels) != len(kernels):
            raise ValueError(
                "decoder gated_conv: channels and kernels need one entry per layer each, at least "
                f"one; got {len(channels)} and {len(kernels)}."
            )
        who = "decoder gated_conv"
        height, width, _ = image_shape(likelihood.event_shape, who)
        key_dense, key_convolutions, key_head = jr.split(key, 3)
        size, strides = height * width, [1] * len(channels)
        self.dense = gated_layers(latent_dim, [*hidden, size], key_dense)
        self.convolutions = Convolutions(
            size,
            (height, width),
            key=key_convolutions,
            channels=channels,
            kernels=kernels,
            strides=strides,
        )
        self.head = PixelHead(channels[-1], likelihood, data, who=who, key=key_head)
        self.likelihood = likelihood

    def __call__(self, z: Latent) -> Distribution:
        height, width, _ = self.convolutions.shape
        features = self.convolutions(self.dense(z)).reshape(height, width, -1)
        return self.likelihood(self.head(features))
