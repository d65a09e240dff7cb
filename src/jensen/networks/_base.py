"""What a network is."""

import abc
from collections.abc import Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from jensen._types import Array, Float, Key


class AbstractNetwork(eqx.Module):
    """A vector of `in_size` numbers -> a vector of `out_size` features, for one datum.

    Constructed from context by name: in_size, key, event_shape (that of the data, whatever the network is to read).
    """

    out_size: eqx.AbstractVar[int]

    @abc.abstractmethod
    def __call__(self, x: Float[Array, " in_size"]) -> Float[Array, " out_size"]:
        """The features of one datum."""

    @classmethod
    def part(cls, options: Mapping[str, Any], which: Literal["stem", "trunk"]) -> dict[str, Any]:
        """The options of the two parts of a network of several inputs: its last hidden layer is the trunk, those before are each input's stem. A
        network without `hidden` is the same in either place."""
        if "hidden" not in options:
            return dict(options)
        hidden = list(options["hidden"])
        return {**options, "hidden": (hidden[:-1] or hidden) if which == "stem" else hidden[-1:]}


class Linear(eqx.Module):
    """x -> x W + b, with Glorot-uniform weights and zero biases (Glorot & Bengio 2010, as in Burda et al. 2016).

    W is kept as [in, out]: under nested `vmap` the product x W then stays one plain matrix product, where W x can cost a transposition.

    Raises:
        ValueError: a size below 1.

        Linear(784, 300, key=jr.key(0))(x)
    """

    weight: Float[Array, "in_size out_size"]
    bias: Float[Array, " out_size"]

    def __init__(self, in_size: int, out_size: int, *, key: Key):
        if min(in_size, out_size) < 1:
            raise ValueError(
                f"every layer needs a width of at least 1; got {in_size} -> {out_size}."
            )
        self.weight = jax.nn.initializers.glorot_uniform()(key, (in_size, out_size))
        self.bias = jnp.zeros(out_size)

    def __call__(self, x: Float[Array, " in_size"]) -> Float[Array, " out_size"]:
        return x @ self.weight + self.bias
