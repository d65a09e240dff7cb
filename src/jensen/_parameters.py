"""Split a model into trained parameters, constants and static parts.

    parameters    inexact arrays: they have gradients and optimiser slots
    constants     all other arrays: integers, and fields declared with `constant()`; never trained
    static        the rest: shapes, names, functions

Constants are passed to compiled programs as arguments, so that XLA neither embeds large data arrays
in a program nor folds them at compile time.
"""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.tree_util import DictKey, GetAttrKey, SequenceKey

_CONSTANT = "jensen: constant"


class Parts(NamedTuple):
    """The three parts of a model, each with the model's structure and None elsewhere.

    `eqx.combine(*parts)` gives the model back.
    """

    parameters: Any
    constants: Any
    static: Any


def constant(**options: Any) -> Any:
    """Declare a field whose arrays, at any depth, are stored with the model and never trained.

    Options are those of `eqx.field`.

        class Fixed(AbstractPrior):
            rows: Array = constant()
    """
    return eqx.field(metadata={_CONSTANT: True}, **options)


def partition(model: Any) -> Parts:
    """Split a model into its `Parts`: parameters, constants and static.

    parameters, constants, static = partition(model)
    """
    trained = jax.tree_util.tree_map_with_path(
        lambda path, leaf: eqx.is_inexact_array(leaf) and not _declared_constant(model, path), model
    )
    parameters, rest = eqx.partition(model, trained)
    return Parts(parameters, *eqx.partition(rest, _is_numeric))


# Typed PRNG keys are arrays without a numeric dtype: they stay in the static part.
def _is_numeric(leaf: Any) -> bool:
    return eqx.is_array(leaf) and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _declared_constant(node: Any, path: tuple) -> bool:
    # A declaration on any field along the path makes every array below it a constant.
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
