"""Convolutions of one image, channels last: [H, W, C] -> [H', W', C']."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from jensen._types import Array, Float, Key

LAYOUT = ("NHWC", "HWIO", "NHWC")


def image_shape(event_shape: tuple[int, ...], who: str) -> tuple[int, int, int]:
    """Return (H, W, C) of an event [H, W] (C = 1) or [H, W, C].

    `who` names the component that needs an image, for the error message.

    Raises:
        ValueError: if the event has fewer or more axes.

    Example:
        image_shape((28, 28), "network gated_conv")  # (28, 28, 1)
    """
    if len(event_shape) not in (2, 3):
        raise ValueError(
            f"{who} needs images, events of shape [H, W] or [H, W, C] (channels last); got events "
            f"of shape {list(event_shape)}. Use dense networks and the feedforward decoder for "
            "these, or give the data as images."
        )
    height, width, *channels = event_shape
    return height, width, *(channels or [1])  # pyright: ignore[reportReturnType]


def convolve(
    image: Float[Array, "height width in"],
    weight: Float[Array, "rows columns in out"],
    stride: int = 1,
) -> Float[Array, "new_height new_width out"]:
    """Cross-correlate an image with a kernel, zero-padded by (k - 1) / 2 on each side.

    The output has ceil(H / stride) x ceil(W / stride) positions.

        convolve(jnp.ones((28, 28, 1)), jnp.ones((3, 3, 1, 8)), 2)  # [14, 14, 8]
    """
    dtype = jnp.result_type(image, weight)
    image, weight = image.astype(dtype), weight.astype(dtype)
    # On a CPU, XLA's weight gradient of a 1x1 convolution takes many times as long as that of the
    # same matrix product.
    if (*weight.shape[:2], stride) == (1, 1, 1):
        return image @ weight[0, 0]
    # The batch axis is explicit: `vmap` of any depth then merges into it, and one convolution of
    # the whole batch results.
    return _convolve_batch(image[None], weight, stride)[0]


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _convolve_batch(images: Array, weight: Array, stride: int) -> Array:
    return _convolution(images, weight, stride, LAYOUT)


@partial(_convolve_batch.defjvp, symbolic_zeros=True)
def _convolve_batch_jvp(stride: int, primals, tangents):
    """The usual derivative, in layouts whose transposes are convolutions in LAYOUT.

    In a loop on a CPU, XLA has a fast path for that layout alone (it rewrites other layouts outside
    of loops only), and the gradients of a convolution in LAYOUT are in other layouts: they took 10
    to 40 times as long in the loop of an epoch.
    """
    (images, weight), (images_dot, weight_dot) = primals, tangents
    out = _convolve_batch(images, weight, stride)
    # Symbolic zeros tell which of image and weight is differentiated: the other term is not
    # computed.
    out_dot = jnp.zeros_like(out)
    if not isinstance(images_dot, SymbolicZero):
        out_dot += _convolution(
            images_dot, weight.transpose(0, 1, 3, 2), stride, ("NHWC", "HWOI", "NHWC")
        )
    if not isinstance(weight_dot, SymbolicZero):
        by_channel = _convolution(
            images.transpose(3, 1, 2, 0),
            weight_dot.transpose(2, 0, 1, 3),
            stride,
            ("CHWN", "IHWO", "HWNC"),
        )
        out_dot += by_channel.transpose(2, 0, 1, 3)
    return out, out_dot


def _convolution(images: Array, weight: Array, stride: int, layout: tuple[str, str, str]) -> Array:
    rows, columns = (weight.shape[layout[1].index(axis)] for axis in "HW")
    padding = [((k - 1) // 2, k // 2) for k in (rows, columns)]
    return jax.lax.conv_general_dilated(
        images, weight, (stride, stride), padding, dimension_numbers=layout
    )


def draw_weight(
    key: Key, shape: tuple[int, int, int, int], fan_in: int
) -> Float[Array, "rows columns in out"]:
    """Draw normal weights of variance 2 / fan_in.

    He et al. 2015, equation 10; as Tomczak & Welling 2018.

        draw_weight(key, (3, 3, 64, 128), fan_in=9 * 64)
    """
    return (2 / fan_in) ** 0.5 * jax.random.normal(key, shape)


class Convolution(eqx.Module):
    """Convolution with a bias per channel; weights N(0, 2 / fan_in), biases zero.

    Raises:
        ValueError: if a number is below 1.

    Example:
        Convolution(1, 32, kernel=7, stride=1, key=jr.key(0))(image)  # [H, W, 32]
    """

    weight: Float[Array, "rows columns in out"]
    bias: Float[Array, " out"]
    stride: int = eqx.field(static=True)

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel: int, stride: int = 1, key: Key
    ):
        if min(in_channels, out_channels, kernel, stride) < 1:
            raise ValueError(
                "a convolution needs channels, kernel and stride of at least 1; got "
                f"{in_channels} -> {out_channels}, {kernel}, {stride}."
            )
        self.weight = draw_weight(
            key, (kernel, kernel, in_channels, out_channels), kernel**2 * in_channels
        )
        self.bias = jnp.zeros(out_channels)
        self.stride = stride

    def __call__(
        self, image: Float[Array, "height width in"]
    ) -> Float[Array, "new_height new_width out"]:
        return convolve(image, self.weight, self.stride) + self.bias
