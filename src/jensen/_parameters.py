"""What of a model is trained, what only travels with it, and what is code.

    parameters    inexact arrays: they have gradients and optimiser slots, and the best of them are kept
    constants     all other arrays: integers, and the fields declared with `constant()`; stored once with the model, never trained
    static        the rest: shapes, names, functions

Constants are handed to compiled programs as arguments, so that many rows of data neither swell a program nor are folded into it.
"""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.tree_util import DictKey, GetAttrKey, SequenceKey

_CONSTANT = "jensen: constant"


class Parts(NamedTuple):
    """The three parts of a model, each of its structure with None elsewhere; `eqx.combine(*parts)` is the model."""

    parameters: Any
    constants: Any
    static: Any


def constant(**options: Any) -> Any:
    """A field whose arrays, however deep, are stored with the model and never trained; options as of `eqx.field`.

    class Fixed(AbstractPrior):
        rows: Array = constant()
    """
    return eqx.field(metadata={_CONSTANT: True}, **options)


def partition(model: Any) -> Parts:
    """The parts of a model: see the module.

    parameters, constants, static = partition(model)
    """
    trained = jax.tree_util.tree_map_with_path(
        lambda path, leaf: eqx.is_inexact_array(leaf) and not _declared_constant(model, path), model
    )
    parameters, rest = eqx.partition(model, trained)
    return Parts(parameters, *eqx.partition(rest, _is_numeric))


def _is_numeric(leaf: Any) -> bool:
    return eqx.is_array(leaf) and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _declared_constant(node: Any, path: tuple) -> bool:
    for key in path:
        match key:
            case GetAttrKey(name=name):
                fields = (
                    {f.name: f for f in dataclasses.fields(node)}
                    if dataclasses.is_dataclass(node)
                    else {}
                )
                if name in fields and fields[name].metadata.get(_CONSTANT):
                    return True
                node = getattr(node, name)
            case SequenceKey(idx=index):
                node = node[index]
            case DictKey(key=name):
                node = node[name]
            case _:
                return False
    return False
