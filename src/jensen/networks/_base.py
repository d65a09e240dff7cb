"""The abstract base class of networks, and the linear layer."""

import abc
from collections.abc import Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from jensen._types import Array, Float, Key


class AbstractNetwork(eqx.Module):
    """Map a vector of `in_size` numbers to a vector of `out_size` features, for one datum.

    The constructor receives from context, by name: in_size, key, event_shape (the data's shape,
    whatever the network reads).
    """

    out_size: eqx.AbstractVar[int]

    @abc.abstractmethod
    def __call__(self, x: Float[Array, " in_size"]) -> Float[Array, " out_size"]:
        """Compute the features of one datum."""

    @classmethod
    def part(cls, options: Mapping[str, Any], which: Literal["stem", "trunk"]) -> dict[str, Any]:
        """Return the options of one part of a network of several inputs.

        The last hidden layer is the trunk, and the layers before it are each input's stem. A
        network without `hidden` has the same options in either part.
        """
        if "hidden" not in options:
            return dict(options)
        hidden = list(options["hidden"])
        # A single layer serves as stem and as trunk: a stem without layers would be no network.
        return {**options, "hidden": (hidden[:-1] or hidden) if which == "stem" else hidden[-1:]}


class Linear(eqx.Module):
    """Linear map x -> x W + b, with Glorot-uniform weights and zero biases.

    Glorot & Bengio 2010, as in Burda et al. 2016.

    Raises:
        ValueError: if a size is below 1.

    Example:
        Linear(784, 300, key=jr.key(0))(x)
    """

    weight: Float[Array, "in_size out_size"]
    bias: Float[Array, " out_size"]

    def __init__(self, in_size: int, out_size: int, *, key: Key):
        if min(in_size, out_size) < 1:
            raise ValueError(
                f"every layer needs a width of at least 1; got {in_size} -> {out_size}."
            )
        # Stored as [in, out]: under nested vmap, x W stays one plain matrix product, where W x can
        # cost a transposition.
        self.weight = jax.nn.initializers.glorot_uniform()(key, (in_size, out_size))
        self.bias = jnp.zeros(out_size)

    def __call__(self, x: Float[Array, " in_size"]) -> Float[Array, " out_size"]:
        return x @ self.weight + self.bias
