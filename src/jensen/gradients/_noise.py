"""Signal-to-noise ratio of gradient estimators at a model's parameters.

Rainforth et al. 2018, "Tighter variational bounds are not necessarily better".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
from jensen.progress import OnProgress, silent

PARTS = ("encoder", "decoder", "prior")
GROUPS = 10  # of draws, for the jackknife


@dataclass(frozen=True)
class Noise:
    """Signal and noise of the gradient of one part of the model, averaged over the data given.

    The parts are encoder, decoder and prior.

    Attributes:
        signal: length of the expected gradient, from an unbiased estimate of its square (0 where
            that estimate is negative).
        deviation: square root of the trace of the gradient's covariance over draws: the length of
            the noise.
        ratio: signal / deviation, the signal-to-noise ratio of one step.
        standard_error: jackknife standard error of `ratio`, over groups of draws.
        parameters: number of parameters of the part.
    """

    signal: float
    deviation: float
    ratio: float
    standard_error: float
    parameters: int


class _Sums(NamedTuple):
    """Sums over the draws of a group, with the structure of the model's parameters."""

    differences: Model  # gradient less the pilot gradient
    squares: Model  # of these differences, elementwise


class _Figures(NamedTuple):
    signal: float
    deviation: float
    ratio: float


def gradient_noise(
    model: Model,
    data: np.ndarray,
    bound: AbstractBound,
    gradient: AbstractGradientEstimator,
    *,
    key: Key,
    num_samples: int,
    draws: int = 200,
    beta: float = 1.0,
    on_progress: OnProgress = silent,
) -> dict[str, Noise]:
    """Estimate the signal and noise of a gradient estimator, for each part of the model.

    Parts without parameters are left out.

    Args:
        model: the model at whose parameters the gradient is taken.
        data: [N, *event], the data of the step, held fixed: the noise is that of the posterior
            draws alone.
        bound, gradient: the bound that is ascended, and the estimator of its gradient.
        key: source of all randomness.
        num_samples: samples per datum, K.
        draws: independent gradients, at least 20; rounded up to a multiple of 10.
        beta: KL weight, as in training.
        on_progress: called with what is being done, the number of groups of draws done, and the
            total.

    Returns:
        {part: Noise}, for 'encoder', 'decoder' and 'prior'.

    Raises:
        ValueError: if the combination is invalid, there are no data, or there are fewer than 20
            draws.

    Example:
        noise = gradient_noise(
            model, data.test[:20], IWAE(), Pathwise(), key=key, num_samples=50
        )
        noise["encoder"].ratio
    """
    gradient.check(bound, model, num_samples)
    if draws < 2 * GROUPS:
        raise ValueError(
            f"draws must be at least {2 * GROUPS}, to estimate a variance and its error; "
            f"got {draws}."
        )
    if len(data) == 0:
        raise ValueError("data is empty: pass at least one datum; the gradient of no data is 0.")
    draws_per_group = -(-draws // GROUPS)
    parts = partition(model)
    x = jnp.asarray(data)

    def mean_surrogate(parameters: Model, key: Key) -> Array:
        complete = eqx.combine(parameters, parts.constants, parts.static)
        prior = complete.prior(complete.encoder)

        def datum(x: Array, n: Array) -> Array:
            return gradient.surrogate(
                bound, complete, prior, x, jr.fold_in(key, n), num_samples=num_samples, beta=beta
            ).surrogate

        return jnp.mean(jax.vmap(datum)(x, jnp.arange(len(data))))

    @jax.jit
    def sums_of_group(keys: Array, around: Model) -> _Sums:
        """Sum the gradients less `around`, and the squares of these differences."""

        def body(total: _Sums, key):
            g = jax.tree.map(jnp.subtract, jax.grad(mean_surrogate)(parts.parameters, key), around)
            return _Sums(
                jax.tree.map(jnp.add, total.differences, g),
                jax.tree.map(lambda t, v: t + v * v, total.squares, g),
            ), None

        zero = jax.tree.map(jnp.zeros_like, parts.parameters)
        return jax.lax.scan(body, _Sums(zero, zero), keys)[0]

    pilot_key, *group_keys = jr.split(key, GROUPS + 1)
    # Sums are taken of differences to one pilot gradient: in float32 the variance of gradients with
    # a large mean would otherwise be lost to cancellation.
    around = jax.jit(jax.grad(mean_surrogate))(parts.parameters, pilot_key)
    sums = []
    for i, k in enumerate(group_keys, start=1):
        sums.append(jax.tree.map(np.asarray, sums_of_group(jr.split(k, draws_per_group), around)))
        on_progress("gradients", i, GROUPS)
    return {
        part: _noise(part, around, sums, draws_per_group)
        for part in PARTS
        if _size(getattr(around, part))
    }


def _vector(tree: object) -> np.ndarray:
    leaves = [np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)]
    return np.concatenate(leaves) if leaves else np.zeros(0)


def _size(tree: object) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def _noise(part: str, around: Model, sums: Sequence[_Sums], draws_per_group: int) -> Noise:
    origin = _vector(getattr(around, part))
    # Only the sum of the squares over parameters is needed: the trace of the covariance.
    first = np.stack([_vector(getattr(s.differences, part)) for s in sums])  # [groups, parameters]
    second = np.array([_vector(getattr(s.squares, part)).sum() for s in sums])

    def figures(groups: np.ndarray) -> _Figures:
        n = draws_per_group * len(groups)
        mean = first[groups].sum(axis=0) / n
        variance = max(0.0, (second[groups].sum() - n * float(mean @ mean)) / (n - 1))
        # The squared length of the mean gradient holds its noise, variance / n, which is no signal.
        square = float((origin + mean) @ (origin + mean)) - variance / n
        signal, deviation = math.sqrt(max(0.0, square)), math.sqrt(variance)
        ratio = signal / deviation if deviation > 0 else math.inf if signal > 0 else math.nan
        return _Figures(signal, deviation, ratio)

    every = np.arange(len(sums))
    signal, deviation, ratio = figures(every)
    jackknife = np.array([figures(np.delete(every, i)).ratio for i in every])
    error = (
        math.sqrt((len(every) - 1) * jackknife.var()) if np.isfinite(jackknife).all() else math.nan
    )
    return Noise(signal, deviation, ratio, error, len(origin))
