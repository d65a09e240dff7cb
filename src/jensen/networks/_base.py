"""What a network is."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp

from jensen._types import Array, Float, Key


class AbstractNetwork(eqx.Module):
    """A vector of `in_size` numbers -> a vector of `out_size` features, for one datum; constructed with (in_size, *, key, options)."""

    out_size: eqx.AbstractVar[int]

    @abc.abstractmethod
    def __call__(self, x: Float[Array, " in_size"]) -> Float[Array, " out_size"]:
        """The features of one datum."""


def linear(in_size: int, out_size: int, *, key: Key) -> eqx.nn.Linear:
    """A linear map with Glorot-uniform weights and zero biases (Glorot & Bengio 2010, as in Burda et al. 2016).

    Raises:
        ValueError: a size below 1.

        linear(784, 300, key=jr.key(0))
    """
    if min(in_size, out_size) < 1:
        raise ValueError(f"every layer needs a width of at least 1; got {in_size} -> {out_size}.")
    layer = eqx.nn.Linear(in_size, out_size, key=key)
    weight = jax.nn.initializers.glorot_uniform(in_axis=1, out_axis=0)(key, (out_size, in_size), layer.weight.dtype)
    return eqx.tree_at(lambda m: (m.weight, m.bias), layer, (weight, jnp.zeros_like(layer.bias)))
