"""How noisy gradient estimators are at a model's parameters (Rainforth et al. 2018, "Tighter variational bounds are not necessarily better")."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._parameters import partition
from jensen._types import Array, Key
from jensen.bounds import AbstractBound
from jensen.gradients._base import AbstractGradientEstimator
from jensen.model import Model

PARTS = ("encoder", "decoder", "prior")
GROUPS = 10


@dataclass(frozen=True)
class Noise:
    """Of the gradient of one part of the model (encoder, decoder or prior), averaged over the data given.

    Attributes:
        signal: the length of the expected gradient, an unbiased estimate of its square before the root (0 where noise alone is seen).
        deviation: the root of the trace of its covariance over draws: the length of the noise.
        ratio: signal / deviation, the signal-to-noise ratio of one step.
        standard_error: of `ratio`, by the jackknife over groups of draws.
        parameters: how many numbers the part has.
    """

    signal: float
    deviation: float
    ratio: float
    standard_error: float
    parameters: int


def gradient_noise(
    bound: AbstractBound,
    gradient: AbstractGradientEstimator,
    model: Model,
    data: np.ndarray,
    key: Key,
    *,
    num_samples: int,
    draws: int = 200,
    beta: float = 1.0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Noise]:
    """Signal and noise of a gradient estimator, for each part of the model that has parameters.

    Args:
        bound, gradient: what is ascended and how its gradient is estimated.
        model: at whose parameters.
        data: [N, *event], the data of the step, held fixed: the noise is that of the posterior draws alone.
        key: everything random.
        num_samples: samples per datum, K.
        draws: independent gradients, at least 20; rounded up to a multiple of 10.
        beta: as in training.
        on_progress: called with the number of groups of draws done and their total.

    Raises:
        ValueError: a combination that is not valid, no data, or fewer than 20 draws.

        gradient_noise(IWAE(), Pathwise(), model, data.test[:20], jax.random.key(0), num_samples=50)["encoder"].ratio
    """
    gradient.check(bound, model, num_samples)
    if draws < 2 * GROUPS:
        raise ValueError(
            f"draws must be at least {2 * GROUPS}: a variance and its error are to be estimated; got {draws}."
        )
    if len(data) == 0:
        raise ValueError("no data: a gradient of no data is 0.")
    each = -(-draws // GROUPS)
    parts = partition(model)
    x = jnp.asarray(data)

    def one(parameters: Model, key: Key) -> Array:
        complete = eqx.combine(parameters, parts.constants, parts.static)
        prior = complete.prior(complete.encoder)

        def datum(x: Array, n: Array) -> Array:
            return gradient.surrogate(
                bound, complete, prior, x, jr.fold_in(key, n), num_samples=num_samples, beta=beta
            ).surrogate

        return jnp.mean(jax.vmap(datum)(x, jnp.arange(len(data))))

    @jax.jit
    def group(keys: Array, around: Model) -> tuple[Model, Model]:
        """(sum of the gradients less `around`, sum of their squares)."""

        def body(total, key):
            g = jax.tree.map(jnp.subtract, jax.grad(one)(parts.parameters, key), around)
            return (
                jax.tree.map(jnp.add, total[0], g),
                jax.tree.map(lambda t, v: t + v * v, total[1], g),
            ), None

        zero = jax.tree.map(jnp.zeros_like, parts.parameters)
        return jax.lax.scan(body, (zero, zero), keys)[0]

    pilot_key, *group_keys = jr.split(key, GROUPS + 1)
    around = jax.jit(jax.grad(one))(
        parts.parameters, pilot_key
    )  # sums of differences to it lose nothing to rounding
    sums = []
    for i, k in enumerate(group_keys, start=1):
        sums.append(jax.tree.map(np.asarray, group(jr.split(k, each), around)))
        on_progress(i, GROUPS)
    return {
        part: _noise(part, around, sums, each) for part in PARTS if _size(getattr(around, part))
    }


def _vector(tree: object) -> np.ndarray:
    leaves = [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)]
    return np.concatenate(leaves) if leaves else np.zeros(0)


def _size(tree: object) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _noise(part: str, around: Model, sums: Sequence[tuple[Model, Model]], each: int) -> Noise:
    origin = _vector(getattr(around, part))
    first = np.stack([_vector(getattr(s[0], part)) for s in sums])  # [groups, parameters]
    second = np.array([_vector(getattr(s[1], part)).sum() for s in sums])

    def figures(chosen: np.ndarray) -> tuple[float, float, float]:
        n = each * len(chosen)
        mean = first[chosen].sum(axis=0) / n
        variance = max(0.0, (second[chosen].sum() - n * float(mean @ mean)) / (n - 1))
        square = (
            float((origin + mean) @ (origin + mean)) - variance / n
        )  # the noise of the mean is not signal
        signal, deviation = math.sqrt(max(0.0, square)), math.sqrt(variance)
        return (
            signal,
            deviation,
            signal / deviation if deviation > 0 else math.inf if signal > 0 else math.nan,
        )

    every = np.arange(len(sums))
    signal, deviation, ratio = figures(every)
    left_out = np.array([figures(np.delete(every, i))[2] for i in every])
    error = (
        math.sqrt((len(every) - 1) * left_out.var()) if np.isfinite(left_out).all() else math.nan
    )
    return Noise(signal, deviation, ratio, error, len(origin))
