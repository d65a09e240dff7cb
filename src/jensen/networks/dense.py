"""The multi-layer perceptron."""

from collections.abc import Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Float, Key
from jensen.networks._base import AbstractNetwork, Linear

Activation = Literal["relu", "tanh", "gelu", "silu", "identity"]


class Dense(AbstractNetwork):
    """Multi-layer perceptron: linear maps with an activation after each.

    `hidden` are the layer widths; the last is the number of features.

        Dense(784, hidden=(300, 300), key=jr.key(0))(x)  # 300 features
    """

    layers: list[Linear]
    activation: Activation = eqx.field(static=True)
    out_size: int = eqx.field(static=True)

    def __init__(
        self,
        in_size: int,
        *,
        key: Key,
        hidden: Sequence[int] = (300, 300),
        activation: Activation = "relu",
    ):
        sizes = [in_size, *hidden]
        self.layers = [
            Linear(a, b, key=k)
            for a, b, k in zip(sizes, sizes[1:], jr.split(key, len(hidden)), strict=False)
        ]
        self.activation = activation
        self.out_size = sizes[-1]

    def __call__(self, x: Float[Array, " in_size"]) -> Float[Array, " out_size"]:
        for layer in self.layers:
            x = _activate(self.activation, layer(x))
        return x


def _activate(name: Activation, x: Array) -> Array:
    match name:
        case "relu":
            return jax.nn.relu(x)
        case "tanh":
            return jnp.tanh(x)
        case "gelu":
            return jax.nn.gelu(x)
        case "silu":
            return jax.nn.silu(x)
        case "identity":
            return x
