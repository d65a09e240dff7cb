"""A network of several inputs: a stem for each, their features concatenated, a trunk on top.

It is the network of the HVAE of Tomczak & Welling 2018.
"""

from collections.abc import Callable, Sequence
from functools import partial

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Float, Key, LatentDim
from jensen.networks._base import AbstractNetwork
from jensen.networks.gated_dense import GatedDense


def gated_layers(in_size: LatentDim, hidden: Sequence[int], key: Key) -> "GatedDense | Joined":
    """Make gated dense layers of these widths, for a code or for the levels of a code.

    `in_size` is an integer for one code, and a tuple of sizes for a code of several levels, whose
    layers are then joined.

        gated_layers((40, 40), [300, 784], key)((z1, z2))
    """
    if isinstance(in_size, int):
        return GatedDense(in_size, key=key, hidden=hidden)
    stem, trunk = (
        partial(GatedDense, **GatedDense.part({"hidden": hidden}, part))
        for part in ("stem", "trunk")
    )
    return Joined(in_size, stem, trunk, key=key)


class Joined(eqx.Module):
    """Map (x_1, ..., x_n) to trunk(concatenate(stem_1(x_1), ..., stem_n(x_n))), for one datum.

    Joined((784, 40), stem=make_stem, trunk=make_trunk, key=jr.key(0))((x, z2))
    """

    stems: tuple[AbstractNetwork, ...]
    trunk: AbstractNetwork
    out_size: int = eqx.field(static=True)

    def __init__(
        self,
        in_sizes: Sequence[int],
        stem: Callable[..., AbstractNetwork],
        trunk: Callable[..., AbstractNetwork],
        *,
        key: Key,
    ):
        *keys, key_trunk = jr.split(key, len(in_sizes) + 1)
        self.stems = tuple(stem(size, key=k) for size, k in zip(in_sizes, keys, strict=True))
        self.trunk = trunk(sum(s.out_size for s in self.stems), key=key_trunk)
        self.out_size = self.trunk.out_size

    def __call__(self, inputs: Sequence[Float[Array, " _"]]) -> Float[Array, " out_size"]:
        return self.trunk(
            jnp.concatenate([stem(x) for stem, x in zip(self.stems, inputs, strict=True)])
        )
