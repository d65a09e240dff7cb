"""Draws of q with their log-weights: the basis of every figure that a fit reports."""

import math
from collections.abc import Collection
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._rooms import nearest
from jensen._types import Array, Key
from jensen.model import Model
from jensen.variational._compilation import quick_jit
from jensen.variational._problem import TargetLikelihood
from jensen.variational.target import Target
from jensen.weights import LogWeights, largest_array, over_samples

BLOCK = 1000  # draws at a time
LARGEST = 2**21  # numbers in one array while draws are made: 16 MB
LARGE_DERIVED = 1000  # derived values with more numbers in each draw are stored on request only


def draws_at_a_time(target: Target) -> int:
    """The number of draws to make at a time, so that the model's largest array has at most LARGEST
    numbers.

    draws_at_a_time(target)  # 1000 for small models
    """
    return max(1, min(BLOCK, LARGEST // largest_array(target.evaluate, jnp.zeros(target.size))))


def names_to_keep(target: Target, keep: Collection[str]) -> tuple[str, ...]:
    """Chooses the constrained values to store for each draw: all, except derived values with very
    many numbers that `keep` does not name.

    Raises:
        ValueError: a name that the target does not have.

        names_to_keep(target, keep=("theta",))
    """
    if isinstance(keep, str):
        raise ValueError(f"keep= must be a tuple of names, such as ({keep!r},); got {keep!r}.")
    names = [name for name, _ in target.shapes]
    for name in keep:
        if name not in names:
            raise ValueError(
                f"keep= names {name!r}, which the target does not have{nearest(name, names)}; "
                f"it has {', '.join(names)}."
            )
    return tuple(
        name
        for name, shape in target.shapes
        if name in keep or name not in target.derived or math.prod(shape) <= LARGE_DERIVED
    )


@quick_jit
def weighted_draws(
    model: Model,
    x: Array,
    key: Key,
    num_draws: int,
    first: Array,
    names: tuple[str, ...],
    block: int,
) -> tuple[Array, dict[str, Any], LogWeights]:
    """Makes the draws of q from number `first` on, `block` at a time: (u [S, D], the named
    constrained values [S, ...], log-weights with leaves [S]).

    They are the draws that `datum_log_weights` makes with this key.
    """
    assert isinstance(model.decoder, TargetLikelihood)
    target, posterior = model.decoder.target, model.encoder(x)

    def draw(sample: Array):
        u = posterior.sample(jr.fold_in(key, first + sample))
        evaluation = target.evaluate(u)
        return (
            u,
            {name: evaluation.constrained[name] for name in names},
            LogWeights(evaluation.log_likelihood, evaluation.log_prior, posterior.log_prob(u)),
        )

    return over_samples(draw, num_draws, block)


@eqx.filter_jit
def constrained(constrain: Any, u: Array, names: tuple[str, ...]) -> dict[str, Any]:
    """Computes the named constrained values [S, ...] of u [S, D]."""

    def one(u: Array) -> dict[str, Any]:
        values = constrain(u)
        return {name: values[name] for name in names}

    return jax.vmap(one)(u)
