"""Gated dense layers: Linear(x) * sigmoid(Linear(x)) (Dauphin et al. 2017).

Tomczak & Welling 2018 use them throughout.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.random as jr

from jensen._types import Array, Float, Key
from jensen.networks._base import AbstractNetwork, Linear


class GatedDense(AbstractNetwork):
    """Layers h = (A x + a) * sigmoid(B x + b); `hidden` are the layer widths.

    GatedDense(784, hidden=(300, 300), key=jr.key(0))(x)  # 300 features
    """

    layers: list[Linear]  # value and gate of a layer are the two halves of one product
    out_size: int = eqx.field(static=True)

    def __init__(self, in_size: int, *, key: Key, hidden: Sequence[int] = (300, 300)):
        sizes = [in_size, *hidden]
        self.layers = [
            Linear(a, 2 * b, key=k)
            for a, b, k in zip(sizes, sizes[1:], jr.split(key, len(hidden)), strict=False)
        ]
        self.out_size = sizes[-1]

    def __call__(self, x: Float[Array, " in_size"]) -> Float[Array, " out_size"]:
        for layer in self.layers:
            value, gate = layer(x).reshape(2, -1)
            x = value * jax.nn.sigmoid(gate)
        return x
