"""Everything that training carries from one epoch to the next, as arrays, so that a checkpoint of it resumes bit for bit.

Keys, data order, KL weight and patience are functions of the seed and the epoch number, so nothing else has to be kept.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jensen._parameters import partition
from jensen._types import Array
from jensen.model import Model


class TrainingState(eqx.Module):
    """Current parameters and optimiser; best parameters so far (by validation bound); counters; the arrays that are not trained."""

    parameters: Model  # what is trained of the model, None elsewhere
    optimiser: optax.OptState
    best: Model
    best_bound: Array
    best_epoch: Array
    epoch: Array  # epochs done
    stale: Array  # epochs since the best, counted from where the KL weight has settled
    constants: Model  # the model's other arrays

    @property
    def named(self) -> dict[str, dict[str, Array]]:
        """Flat {path: array} trees 'current' and 'best', and 'constants' if there are any, as checkpoints store them."""
        return {
            "current": name_leaves(self._current),
            "best": name_leaves(self.best),
        } | named_constants(self.constants)

    def with_named(self, named: dict[str, dict[str, Array | np.ndarray]]) -> "TrainingState":
        """This state's structure with the arrays of `named`."""
        kept = (
            set_leaves(self.best, named["best"]),
            set_leaves(self.constants, named.get("constants", {})),
        )
        return eqx.tree_at(
            lambda s: (s.best, s.constants),
            set_leaves(self._current, named["current"]),
            kept,
            is_leaf=lambda x: x is None,
        )

    @property
    def _current(self) -> "TrainingState":
        return eqx.tree_at(
            lambda s: (s.best, s.constants), self, (None, None), is_leaf=lambda x: x is None
        )


def initial_state(model: Model, optimiser: optax.GradientTransformation) -> TrainingState:
    """The state before the first epoch."""
    parameters, constants, _ = partition(model)
    zero = jnp.zeros((), jnp.int32)
    return TrainingState(
        parameters,
        optimiser.init(parameters),
        parameters,
        jnp.asarray(-jnp.inf),
        zero,
        zero,
        zero,
        constants,
    )


def named_constants(constants: Model) -> dict[str, dict[str, Array]]:
    """{'constants': {path: array}}, or nothing when there are none."""
    named = name_leaves(constants)
    return {"constants": named} if named else {}


def name_leaves(tree) -> dict[str, Array]:
    """{path: array} of a pytree, e.g. {'.encoder.head.bias': ...}."""
    return {
        jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def set_leaves(tree, named: dict[str, Array | np.ndarray]):
    """The pytree with its leaves replaced by those of the same path, as JAX arrays.

    Raises:
        ValueError: paths, shapes or dtypes that differ; the first few are named.
    """
    paths = name_leaves(tree)
    wrong = [
        p
        for p in paths.keys() | named.keys()
        if p not in named
        or p not in paths
        or named[p].shape != paths[p].shape
        or named[p].dtype != paths[p].dtype
    ]
    if wrong:
        raise ValueError(
            f"stored arrays do not fit this model: {len(wrong)} of {len(paths)} differ, among them {', '.join(sorted(wrong)[:3])}."
        )
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jnp.asarray(named[jax.tree_util.keystr(path)]), tree
    )
