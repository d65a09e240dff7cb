"""The autoregressive decoder p(x|z) = prod_i p(x_i | x_<i, z), pixels in raster order.

Masked convolutions of van den Oord, Kalchbrenner & Kavukcuoglu 2016; with a latent code as in
Gulrajani et al. 2017 and the PixelHVAE of Tomczak & Welling 2018. The first convolution sees the
pixels before its own (mask A), the later ones also the features at their own (mask B).

The published network has batch normalisation, which would make p(x|z) of one datum depend on the
other data of its batch, so that it would not be a density. There is no normalisation here; weights
are drawn with the fan-in of the unmasked taps, which preserves the size of the features through the
layers.
"""

from collections.abc import Sequence
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array, Distribution, Float, Key, Latent, LatentDim
from jensen.decoders._base import AbstractDecoder
from jensen.decoders._pixel_head import PixelHead
from jensen.likelihoods import AbstractLikelihood, DataSummary
from jensen.networks._convolution import convolve, draw_weight, image_shape
from jensen.networks._joined import Joined, gated_layers
from jensen.networks.gated_dense import GatedDense


class PixelCNN(AbstractDecoder):
    """`num_layers` masked convolutions with ReLUs, then a 1x1 convolution -> likelihood.

    The convolutions are `channels` wide. z enters as an image, made by gated dense layers of widths
    `hidden` and H W, which the first layer sees without a mask. The decoder takes no `network`. The
    channels of one pixel are independent given z and the pixels before it; the likelihood must have
    independent elements.

    Raises:
        ValueError: if the event is not an image, the kernel is even or below 3, or there is no
            layer or channel.

    Example:
        PixelCNN(40, likelihood, data=None, key=jr.key(0), channels=16)(z).log_prob(x)
    """

    autoregressive: ClassVar[bool] = True
    dense: GatedDense | Joined
    weight_z: Float[Array, "kernel kernel 1 channels"]
    weights: list[Float[Array, "kernel kernel _ channels"]]
    biases: list[Float[Array, " channels"]]
    head: PixelHead
    likelihood: AbstractLikelihood
    data_mean: Float[Array, "height width _"]
    data_scale: Float[Array, ""]

    def __init__(
        self,
        latent_dim: LatentDim,
        likelihood: AbstractLikelihood,
        data: DataSummary | None,
        *,
        key: Key,
        num_layers: int = 8,
        channels: int = 64,
        kernel: int = 3,
        hidden: Sequence[int] = (),
    ):
        if kernel < 3 or kernel % 2 == 0:
            raise ValueError(
                f"decoder pixel_cnn: kernel must be odd and at least 3; got {kernel}. An even "
                "kernel has no middle tap, so that no mask can tell a pixel from those before it; "
                "a kernel of 1 sees no pixel before its own. Use 3 or 5."
            )
        if min(num_layers, channels) < 1:
            raise ValueError(
                "decoder pixel_cnn: num_layers and channels must be at least 1; got "
                f"{num_layers} and {channels}."
            )
        who = "decoder pixel_cnn"
        shape = height, width, depth = image_shape(likelihood.event_shape, who)
        key_dense, key_z, key_head, *keys = jr.split(key, 3 + num_layers)
        num_before = kernel**2 // 2
        # The unmasked taps alone: of z's image and the pixels before, then of the features.
        fan_in = [kernel**2 + num_before * depth] + [(num_before + 1) * channels] * (num_layers - 1)
        self.dense = gated_layers(latent_dim, [*hidden, height * width], key_dense)
        self.weight_z = draw_weight(key_z, (kernel, kernel, 1, channels), fan_in[0])
        self.weights = [
            _mask(kernel, own=layer > 0)
            * draw_weight(
                k, (kernel, kernel, channels if layer else depth, channels), fan_in[layer]
            )
            for layer, k in enumerate(keys)
        ]
        self.biases = [jnp.zeros(channels) for _ in keys]
        self.head = PixelHead(channels, likelihood, data, who=who, key=key_head)
        self.likelihood = likelihood
        self.data_mean = jnp.zeros(shape) if data is None else jnp.asarray(data.mean.reshape(shape))
        self.data_scale = jnp.asarray(1.0 if data is None else data.input_scale)

    def __call__(self, z: Latent) -> Distribution:
        height, width, _ = self.data_mean.shape
        return _Pixels(self, convolve(self.dense(z).reshape(height, width, 1), self.weight_z))

    @property
    def masked_weights(self) -> list[Array]:
        """The layers' weights with the masked taps set to zero."""
        # Masked on every use, so that no update of the weights can open a masked tap.
        return [_mask(len(w), own=layer > 0) * w for layer, w in enumerate(self.weights)]

    def standardise(self, x: Array) -> Array:
        """Return the image that the first layer sees, (x - mean) / scale, of shape [H, W, C].

        Mean and scale are the training data's and get no gradient.
        """
        mean, scale = jax.lax.stop_gradient((self.data_mean, self.data_scale))
        return (x.reshape(mean.shape) - mean) / scale


class _Pixels(eqx.Module):
    """p(x|z) for one z: `log_prob` in one pass over a given x, `sample` pixel by pixel.

    There is no mean in closed form; `conditional_mean(x)` has the means of p(x_i | x_<i, z) along a
    given x.
    """

    decoder: PixelCNN
    from_z: Float[Array, "height width channels"]

    def log_prob(self, value: Array) -> Array:
        return self._conditionals(value).log_prob(value)

    def conditional_mean(self, value: Array) -> Array:
        """Compute E[x_i | x_<i, z] for every i, with x_<i those of `value`."""
        return self._conditionals(value).mean  # pyright: ignore[reportAttributeAccessIssue]

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        if not sample_shape:
            return self._one_sample(key)
        samples = jax.vmap(self._one_sample)(jr.split(key, int(np.prod(sample_shape))))
        return samples.reshape(*sample_shape, *self.decoder.likelihood.event_shape)

    def outputs(self, x: Array) -> Float[Array, " outputs"]:
        """Compute the likelihood's inputs for every pixel, given the pixels of x before it."""
        decoder = self.decoder
        first, *later = zip(decoder.masked_weights, decoder.biases, strict=True)
        # x and z are convolved separately: for many codes of one datum, x is convolved once.
        features = jax.nn.relu(convolve(decoder.standardise(x), first[0]) + first[1] + self.from_z)
        for weight, bias in later:
            features = jax.nn.relu(convolve(features, weight) + bias)
        return decoder.head(features)

    def _conditionals(self, x: Array) -> Distribution:
        return self.decoder.likelihood(self.outputs(x))

    def _one_sample(self, key: Key) -> Array:
        """Sample in one pass over the pixels.

        Each layer's features at earlier pixels are stored, so that a pixel costs one patch per
        layer, and all pixels together cost one forward pass. The likelihood draws with the same key
        each time, so its noise is made once: x is the fixed point of x ->
        likelihood(outputs(x)).sample(key).
        """
        decoder = self.decoder
        likelihood, weights = decoder.likelihood, decoder.masked_weights
        height, width, _ = decoder.data_mean.shape
        kernel = weights[0].shape[0]
        middle = kernel // 2
        weights = [w[: middle + 1] for w in weights]  # the rows below are masked

        def pixel(i, carry):
            # `inputs[layer]` is the zero-padded input image of a layer, filled pixel by pixel.
            x, outputs, inputs = carry
            row, column = i // width, i % width
            features = self.from_z[row, column]
            for layer, (weight, bias) in enumerate(zip(weights, decoder.biases, strict=True)):
                if layer:
                    inputs[layer] = _put(inputs[layer], features, row + middle, column + middle)
                patch = jax.lax.dynamic_slice(inputs[layer], (row, column, 0), weight.shape[:3])
                features = jax.nn.relu(
                    patch.ravel() @ weight.reshape(-1, weight.shape[3])
                    + bias
                    + (0 if layer else features)
                )
            outputs = outputs.at[:, row, column].add(
                (features @ decoder.head.weight).reshape(outputs.shape[0], -1)
            )
            # The whole image is drawn and one pixel of it used: likelihoods draw whole events.
            draw = likelihood(outputs.ravel()).sample(key).reshape(x.shape)
            x = x.at[row, column].set(draw[row, column])
            pixel_input = decoder.standardise(x)[row, column]
            inputs[0] = _put(inputs[0], pixel_input, row + middle, column + middle)
            return x, outputs, inputs

        dtype = jax.eval_shape(lambda k: likelihood(decoder.head.bias.ravel()).sample(k), key).dtype
        x = jnp.zeros(decoder.data_mean.shape, dtype)
        inputs = [
            jnp.zeros((height + 2 * middle, width + 2 * middle, w.shape[2]), w.dtype)
            for w in weights
        ]
        x, *_ = jax.lax.fori_loop(0, height * width, pixel, (x, decoder.head.bias, inputs))
        return x.reshape(likelihood.event_shape)


def _put(image: Array, pixel: Array, row: Array, column: Array) -> Array:
    return jax.lax.dynamic_update_slice(
        image, pixel[None, None].astype(image.dtype), (row, column, 0)
    )


def _mask(kernel: int, *, own: bool) -> Array:
    """Make the mask [kernel, kernel, 1, 1] of the taps before the middle in raster order.

    1 at those taps, and at the middle itself if `own`; 0 elsewhere.
    """
    taps = np.arange(kernel**2) < kernel**2 // 2 + own
    return jnp.asarray(taps.reshape(kernel, kernel, 1, 1).astype(np.float32))
