"""The state that training carries from one epoch to the next, as arrays.

A checkpoint of it resumes bit for bit: keys, data order, KL weight and patience are functions of
the seed and the epoch number.
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
    """Current parameters and optimiser, best parameters so far, counters, and constants."""

    parameters: Model  # the trained arrays of the model, None elsewhere
    optimiser: optax.OptState
    best: Model  # the best parameters so far, by validation bound
    best_bound: Array
    best_epoch: Array
    epoch: Array  # epochs done
    stale: Array  # epochs since the best, counted from where the KL weight stays at beta
    constants: Model  # the untrained arrays of the model, None elsewhere

    @property
    def named(self) -> dict[str, dict[str, Array]]:
        """Flat {path: array} trees 'current' and 'best', and 'constants' if there are any.

        Checkpoints store them.
        """
        return {
            "current": name_leaves(self._current),
            "best": name_leaves(self.best),
        } | named_constants(self.constants)

    def with_named(self, named: dict[str, dict[str, Array | np.ndarray]]) -> "TrainingState":
        """Return this state's structure with the arrays of `named`."""
        best_and_constants = (
            set_leaves(self.best, named["best"]),
            set_leaves(self.constants, named.get("constants", {})),
        )
        return eqx.tree_at(
            lambda s: (s.best, s.constants),
            set_leaves(self._current, named["current"]),
            best_and_constants,
            is_leaf=lambda x: x is None,
        )

    # 'current' holds neither the best parameters nor the constants: checkpoints store these once.
    @property
    def _current(self) -> "TrainingState":
        return eqx.tree_at(
            lambda s: (s.best, s.constants), self, (None, None), is_leaf=lambda x: x is None
        )


def initial_state(model: Model, optimiser: optax.GradientTransformation) -> TrainingState:
    """Return the state before the first epoch."""
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
    """Return {'constants': {path: array}}, or an empty dictionary if there are no constants."""
    named = name_leaves(constants)
    return {"constants": named} if named else {}


def name_leaves(tree) -> dict[str, Array]:
    """Return {path: array} of a pytree, e.g. {'.encoder.head.bias': ...}."""
    return {
        jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def set_leaves(tree, named: dict[str, Array | np.ndarray]):
    """Replace the leaves of a pytree by the arrays of the same path, as JAX arrays.

    Raises:
        ValueError: if paths, shapes or dtypes differ, with the first few of them.
    """
    paths = name_leaves(tree)
    mismatched = [
        p
        for p in paths.keys() | named.keys()
        if p not in named
        or p not in paths
        or named[p].shape != paths[p].shape
        or named[p].dtype != paths[p].dtype
    ]
    if mismatched:
        raise ValueError(
            f"stored arrays do not fit this model: {len(mismatched)} of {len(paths)} differ, among "
            f"them {', '.join(sorted(mismatched)[:3])}."
        )
    return jax.tree_util.tree_map_with_path(
        lambda path, _: jnp.asarray(named[jax.tree_util.keystr(path)]), tree
    )
