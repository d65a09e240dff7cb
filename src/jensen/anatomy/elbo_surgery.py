"""ELBO surgery (Hoffman & Johnson 2016), exact over the empirical data set.

    ELBO = reconstruction - I(n; z) - KL(q(z) || p(z)),      q(z) = (1/N) sum_n q(z|x_n)

with q(z) evaluated as the full N-component mixture, in float64, whatever the family of q(z|x)
(`anatomy.aggregated`); where all N would take too long, as the mixture over random subsets, which
the result states. For z_n ~ q(z|x_n), on the same draws,

    I(n; z)     = E log q(z_n|x_n) - log q(z_n)       (at most log N, see `distinct_rows`)
    marginal KL = E log q(z_n)     - log p(z_n)

In a model of several levels the datum decides one of them by itself, the root; its q(z) is the
mixture. Inferred from the top downwards, z is the top level here, and each level below adds its own
KL, E log q(z_l|x, z_{l+1}) - log p(z_l|z_{l+1}). Inferred from the data upwards, z is all levels:
the others know the datum through the root alone, so that I(n; z_1 .. z_L) = I(n; z_1) and log q(z_1
.. z_L) = log q(z_1) + sum_l log q(z_{l+1}|z_l).
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._numerics import diagonal_normal_log_density
from jensen._types import Array, Distribution, Key
from jensen.anatomy.aggregated import affordable, aggregated_density, log_densities
from jensen.anatomy.distinct_rows import RowCounts, count_rows
from jensen.distributions import (
    Stacked,
    concatenate,
    diagonal_normal_parameters,
    level_log_probs,
    mean_of,
    root_of,
    stack,
    top_of,
)
from jensen.interop import guarded
from jensen.model import Model
from jensen.progress import OnProgress, of_task, silent
from jensen.weights import LevelDraws, draw_levels, pairs_at_a_time

BLOCK = 512
SECOND_DRAWS = 1000  # data with a second draw, where all have one draw only


class PosteriorDraws(NamedTuple):
    """`weights.LevelDraws` of many data as NumPy arrays, float64 but for whole numbers.

    Attributes:
        z: the codes of the root level, [N, draws, *code].
        log_likelihood: log p(x|z), [N, draws].
        log_priors, log_posteriors: log p and log q of each level, [N, draws, levels].
    """

    z: np.ndarray
    log_likelihood: np.ndarray
    log_priors: np.ndarray
    log_posteriors: np.ndarray


class Normals(NamedTuple):
    """Independent normals, one for each latent dimension."""

    loc: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True)
class Surgery:
    """The log densities of `num_draws` posterior draws per datum, float64 arrays [N, draws], nats.

    Attributes:
        log_likelihood: log p(x|z).
        level_log_priors, level_log_posteriors: log p and log q of each level, [levels, N, draws],
            the top last.
        log_aggregated: log q(z) of the root level, the exact mixture over `aggregated_over` data.
        aggregated_over: N, or how many data the random subsets have that q(z) is taken over.
        posteriors: the root level of q(z|x_n), for all n.
        posterior_means: their means, [N, *code] (see `distributions.mean_of`).
        z: the draws themselves, of the root level, [N, draws, *code].
        indexed: the levels that I(n; z) and the marginal KL are those of, the root first: those
            that know the datum through the root alone.
        factors: mean and scale of p(z) at the one indexed level, if its dimensions are independent
            normals.
        rows: which of the data these are.
        row_counts: how often each distinct row of all the data occurs.
        second_draws: with one draw per datum, two draws (the first the same) of some of the data,
            chosen at random: they give the spread within a datum. None with more draws.
        subset_error: the standard error of the mean of `log_aggregated` that comes from the random
            data that q(z) is over; 0 where it is over all.
    """

    log_likelihood: np.ndarray
    level_log_priors: np.ndarray
    level_log_posteriors: np.ndarray
    log_aggregated: np.ndarray
    aggregated_over: int
    posteriors: Stacked
    posterior_means: np.ndarray
    z: np.ndarray
    indexed: tuple[int, ...] = (-1,)
    factors: Normals | None = None
    rows: np.ndarray = field(default_factory=lambda: np.arange(0))
    row_counts: RowCounts = field(default_factory=lambda: RowCounts({}))
    second_draws: "Surgery | None" = None
    subset_error: float = 0.0

    @property
    def again(self) -> "Surgery | None":
        """Deprecated, removed in the next version: `second_draws`."""
        warnings.warn(
            "Surgery.again is now called second_draws. The old name goes next version.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.second_draws

    @property
    def index_information(self) -> np.ndarray:
        """log q(z|x_n) - log q(z) of the indexed levels."""
        return self.level_log_posteriors[self.indexed[0]] - self.log_aggregated

    @property
    def marginal_kl(self) -> np.ndarray:
        """log q(z) - log p(z) of the indexed levels."""
        indexed = list(self.indexed)
        return (
            self.log_aggregated
            + self.level_log_posteriors[indexed[1:]].sum(axis=0)
            - self.level_log_priors[indexed].sum(axis=0)
        )

    @property
    def log_prior(self) -> np.ndarray:
        """log p(z), over all levels."""
        return self.level_log_priors.sum(axis=0)

    @property
    def log_posterior(self) -> np.ndarray:
        """log q(z|x), over all levels."""
        return self.level_log_posteriors.sum(axis=0)


@guarded
def surgery(
    model: Model,
    data: np.ndarray,
    *,
    key: Key,
    num_draws: int | None = None,
    aggregated_over: int | None = None,
    on_progress: OnProgress = silent,
) -> Surgery:
    """Draws from the posterior of every datum, with their four log densities.

    Args:
        model: its encoder may give posteriors of any family that are pytrees (numpyro's
            distributions, Equinox modules).
        data: [N, *event]; q(z) is the mixture over exactly these.
        key: with it, the datum's index and the draw's number everything random is determined.
        num_draws: per datum; by default as many (1 to 16) as are affordable.
        aggregated_over: take q(z) over random subsets of so many of the data; by default over all
            of them, or as many as are affordable (`aggregated.affordable`).
        on_progress: called with what is being done, the number of draws done, and the total.

    Returns:
        A `Surgery` record.

    Raises:
        ValueError: no data, fewer than 2 or more than N data to take q(z) over, posteriors that
            cannot be stacked, or a density that is not finite (the message names the datum).

        surgery(model, data.test, key=jax.random.key(0)).log_aggregated
    """
    n = len(data)
    if n == 0:
        raise ValueError("no data: there is nothing to account for in an empty split.")
    if aggregated_over is not None and not min(2, n) <= aggregated_over <= n:
        raise ValueError(
            f"aggregated_over must be from {min(2, n)} to the number of data, {n}; got "
            f"{aggregated_over}. Leave it out to take as many as can be afforded."
        )
    prior, posteriors = model.prior(model.encoder), encode(model, data)
    for name, values in _parameters(posteriors):
        _check_finite(name, values, np.arange(n), n)
    draws, over = affordable(posteriors, np.asarray(posteriors.one(0).sample(jr.key(0))))
    draws, over = num_draws or draws, aggregated_over or over
    levels = len(
        jax.eval_shape(
            lambda x, key: level_log_probs(prior, model.encoder(x).sample(key)),
            jnp.asarray(data[0]),
            key,
        )
    )
    indexed = tuple(range(levels)) if model.encoder.bottom_up else (-1,)
    parameters = diagonal_normal_parameters(top_of(prior)) if len(indexed) == 1 else None
    factors = (
        None
        if parameters is None
        else Normals(*(np.asarray(parameter, np.float64) for parameter in parameters))
    )
    key_subset, key_rows = jr.split(jr.fold_in(key, n))
    means = np.asarray(posteriors.map(mean_of), np.float64)
    row_counts = count_rows(data)

    def surgery_of(rows: np.ndarray, num_draws: int, report: Callable[[int, int], None]) -> Surgery:
        z, log_likelihood, log_priors, log_posteriors = posterior_draws(
            model, data[rows], key, num_draws, prior=prior, index=rows
        )
        for name, values in [
            ("log p(x|z)", log_likelihood),
            ("log p(z)", log_priors),
            ("log q(z|x)", log_posteriors),
        ]:
            _check_finite(name, values.reshape(len(rows), -1), rows, n)
        # log q(z_n|x_n) of the root level is computed again, in float64 from the same z, since the
        # mixture log q(z_n) is in float64 and holds that very term. I(n; z) is the difference of
        # the two: from float32 values a code at the ceiling would come out beyond log N by the
        # rounding of log q, which at small scales is whole nats.
        own = log_posteriors[..., indexed[0]] = log_densities(posteriors[rows], z)
        if factors is not None:
            # Likewise log p(z), so that the marginal KL closes with the KLs of its dimensions,
            # which are computed in float64 from the same z (`anatomy.marginal_split`).
            log_priors[..., -1] = diagonal_normal_log_density(z, *factors)
        log_aggregated, subset_error = aggregated_density(
            posteriors, z, own, rows=rows, over=over, key=key_subset, on_progress=report
        )
        level_log_priors, level_log_posteriors = (
            np.moveaxis(densities, -1, 0) for densities in (log_priors, log_posteriors)
        )
        return Surgery(
            log_likelihood,
            level_log_priors,
            level_log_posteriors,
            log_aggregated,
            over,
            posteriors,
            means,
            z,
            indexed,
            factors,
            rows,
            row_counts,
            subset_error=subset_error,
        )

    whole = surgery_of(np.arange(n), draws, of_task(on_progress, "aggregated posterior"))
    if draws > 1 or n == 1:
        return whole
    some = np.sort(np.asarray(jr.permutation(key_rows, n))[:SECOND_DRAWS])
    return replace(whole, second_draws=surgery_of(some, 2, lambda done, total: None))


def _check_finite(name: str, values: np.ndarray, rows: np.ndarray, n: int) -> None:
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{name} is not finite for datum {int(rows[np.argmax(bad)])} ({int(bad.sum())} of {n} "
            "data): no account can close."
        )


def encode(model: Model, data: np.ndarray, *, block: int = BLOCK) -> Stacked:
    """Compute q(z|x_n) of all data, of the root level in a model of several.

    `block` is how many data are encoded at a time.

    encode(model, data.test).map(lambda q: q.mean)
    """
    block = min(block, len(data))
    parts = []
    for start in range(0, len(data), block):
        index = np.minimum(np.arange(start, start + block), len(data) - 1)
        parts.append(_encode(model, jnp.asarray(data[index]))[: len(data) - start])
    return concatenate(parts)


@eqx.filter_jit
def _encode(model: Model, x: Array) -> Stacked:
    return stack(lambda x: root_of(model.encoder(x)), x)


def _parameters(posteriors: Stacked) -> list[tuple[str, np.ndarray]]:
    """(name, values [N, ...]) of what has to be finite about the posteriors.

    A diagonal normal's scale counts as finite only where it is positive.
    """
    normals = posteriors.map(diagonal_normal_parameters)
    if normals is not None:
        scale = np.asarray(normals[1])
        return [("posterior scale", np.where(scale > 0, scale, np.nan))]
    real = [
        np.asarray(a)
        for a in jax.tree.leaves(posteriors.each)
        if jnp.issubdtype(a.dtype, jnp.inexact)
    ]
    return [("q(z|x)", a.reshape(len(a), -1)) for a in real]


def posterior_draws(
    model: Model,
    data: np.ndarray,
    key: Key,
    draws: int,
    *,
    prior: Distribution | None = None,
    index: np.ndarray | None = None,
    block: int | None = None,
) -> PosteriorDraws:
    """Draw from the posteriors of many data, `block` data at a time.

    The draws are those of `surgery` and, with its key, of importance sampling: they depend on the
    key, the datum's index (0, 1, ... unless given) and the draw's number alone.

    posterior_draws(model, x, key, 8).log_likelihood.mean()
    """
    numbers = np.arange(len(data)) if index is None else index
    if block is None:
        block = max(1, pairs_at_a_time(model, data[0], BLOCK * draws) // draws)
    block = min(block, len(data))
    # Once for all blocks: a prior may encode thousands of rows.
    prior = prior or model.prior(model.encoder)
    parts = []
    for start in range(0, len(data), block):
        some = np.minimum(np.arange(start, start + block), len(data) - 1)
        of_block = _draws(
            model, prior, jnp.asarray(data[some]), jnp.asarray(numbers[some]), key, draws
        )
        parts.append([_float64(column)[: len(data) - start] for column in of_block])
    return PosteriorDraws(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


@eqx.filter_jit
def _draws(
    model: Model, prior: Distribution, x: Array, index: Array, key: Key, draws: int
) -> LevelDraws:
    """The draws of a block of data, leaves [data, draws, ...]."""

    def one(x, n):
        posterior, key_datum = model.encoder(x), jr.fold_in(key, n)
        return jax.vmap(
            lambda s: draw_levels(model, prior, posterior, x, jr.fold_in(key_datum, s))
        )(jnp.arange(draws))

    return jax.vmap(one)(x, index)


def _float64(a: Array) -> np.ndarray:
    return np.asarray(a, np.float64 if jnp.issubdtype(a.dtype, jnp.inexact) else None)
