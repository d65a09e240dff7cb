"""The last layer of image decoders: a 1x1 convolution with a bias for every output."""

import equinox as eqx
import jax.numpy as jnp

from jensen._types import Array, Float, Key
from jensen.likelihoods import AbstractLikelihood, DataSummary
from jensen.likelihoods._base import event_size
from jensen.networks._convolution import draw_weight, image_shape


class PixelHead(eqx.Module):
    """Map features [H, W, F] to outputs [k * H * W * C] of a likelihood.

    The k groups of parameters follow one another, each of the event's shape. Every output has a
    bias of its own, so that outputs start at the likelihood's best constant guess pixel by pixel.
    `who` names the decoder, for error messages.

    Raises:
        ValueError: if the likelihood's outputs are not k for every element.

    Example:
        PixelHead(64, likelihood, None, who="decoder mine", key=jr.key(0))(features)
    """

    weight: Float[Array, "features per_pixel"]
    bias: Float[Array, "groups height width channels"]

    def __init__(
        self,
        in_channels: int,
        likelihood: AbstractLikelihood,
        data: DataSummary | None,
        *,
        who: str,
        key: Key,
    ):
        *_, depth = image_shape(likelihood.event_shape, who)
        groups, rest = divmod(likelihood.num_outputs, event_size(likelihood.event_shape))
        if rest or not groups:
            raise ValueError(
                f"{who} gives each element of an event the same number of outputs; the likelihood "
                f"{type(likelihood).__name__} needs {likelihood.num_outputs} for events of shape "
                f"{list(likelihood.event_shape)}. Use the feedforward decoder with it."
            )
        self.weight = draw_weight(key, (1, 1, in_channels, groups * depth), in_channels)[0, 0]
        bias = likelihood.initial_bias(data).astype(self.weight.dtype)
        self.bias = bias.reshape(groups, *image_shape(likelihood.event_shape, who))

    def __call__(self, features: Float[Array, "height width features"]) -> Float[Array, " outputs"]:
        groups, height, width, _ = self.bias.shape
        # A likelihood reads its parameters group by group, the convolution gives them pixel by
        # pixel.
        outputs = (features @ self.weight).reshape(height, width, groups, -1)
        return (jnp.moveaxis(outputs, 2, 0) + self.bias).ravel()
