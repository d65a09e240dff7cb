"""Gated convolutions: conv(x) * sigmoid(conv(x)) (van den Oord et al. 2016).

They form the encoder of the convHVAE of Tomczak & Welling 2018.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Float, Key
from jensen.networks._base import AbstractNetwork
from jensen.networks._convolution import Convolution, image_shape


class GatedConv(AbstractNetwork):
    """Layers h = (A * x + a) sigmoid(B * x + b) over an image; the last output is flattened.

    `channels`, `kernels` and `strides` have one entry per layer. The network reads one datum, an
    image [H, W] or [H, W, C] (channels last) flattened in that order, so it serves encoders. A
    stride s leaves ceil(H / s) rows. The defaults are the paper's: 28x28 images become 7 x 7 x 6 =
    294 features.

    Raises:
        ValueError: if the lists have unequal lengths, an entry is below 1, the event is not an
            image, or the input is not one datum.

    Example:
        GatedConv(784, (28, 28), key=jr.key(0))(x)  # 294 features
    """

    layers: list[Convolution]  # value and gate of a layer are the halves of its channels: one pass
    shape: tuple[int, int, int] = eqx.field(static=True)
    out_size: int = eqx.field(static=True)

    def __init__(
        self,
        in_size: int,
        event_shape: tuple[int, ...],
        *,
        key: Key,
        channels: Sequence[int] = (32, 32, 64, 64, 6),
        kernels: Sequence[int] = (7, 3, 5, 3, 3),
        strides: Sequence[int] = (1, 2, 1, 2, 1),
    ):
        if not len(channels) == len(kernels) == len(strides):
            raise ValueError(
                "gated_conv: channels, kernels and strides need one entry per layer each; got "
                f"{len(channels)}, {len(kernels)}, {len(strides)}."
            )
        height, width, depth = self.shape = image_shape(event_shape, "network gated_conv")
        if in_size != height * width * depth:
            raise ValueError(
                "network gated_conv reads data, "
                f"images of {height * width * depth} numbers, and was asked to read {in_size} "
                "numbers (a latent code, perhaps). Use it for the encoder alone: --set "
                "encoder_network.name=gated_conv; the convolutional decoder is --set "
                "decoder.name=gated_conv."
            )
        self.layers = []
        for out, kernel, stride, k in zip(
            channels, kernels, strides, jr.split(key, len(channels)), strict=True
        ):
            self.layers.append(Convolution(depth, 2 * out, kernel=kernel, stride=stride, key=k))
            height, width, depth = -(-height // stride), -(-width // stride), out
        self.out_size = height * width * depth

    def __call__(self, x: Float[Array, " in_size"]) -> Float[Array, " out_size"]:
        image = x.reshape(self.shape)
        for layer in self.layers:
            value, gate = jnp.split(layer(image), 2, axis=-1)
            image = value * jax.nn.sigmoid(gate)
        return image.ravel()
