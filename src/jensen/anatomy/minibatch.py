"""What minibatches estimate of I(n; z) and the parts of the marginal KL, and with what bias.

They are training signals (Chen, Li, Grosse & Duvenaud 2018, appendix C). With a batch of M data the
mixture q(z) = (1/N) sum_n q(z|x_n) is replaced at each draw by a weighted sum over the batch:

    weighted     1 / (N M) for every datum of the batch: log q(z) is too low by log M where the
                 data's codes are apart, by log N where they are the same. The first holds for codes, the
                 second for their single dimensions: the dimension-wise KL is too low by some log N
                 for every dimension
    stratified   1 / N for the draw's own datum, 1 / (M - 1) for the others but one,
                 (N - M + 1) / (N (M - 1)) for that one: unbiased for q(z), so its log is low

Neither is a figure to report: the account takes all N. They are here to be compared with it, by
those whose training uses them.
"""

from dataclasses import dataclass

import jax.random as jr
import numpy as np
from scipy.special import logsumexp

from jensen._numerics import LOG_2PI, diagonal_normal_log_density
from jensen._types import Key
from jensen.anatomy.elbo_surgery import Surgery
from jensen.anatomy.lines import Line, line_from_data
from jensen.distributions import diagonal_normal_parameters

BIAS = {
    "weighted": "log q(z) too low by log M to log N, so I(n; z) too high; the dimension-wise KL too "
    "low by up to log N for every dimension",
    "stratified": "unbiased for q(z), so log q(z) too low and I(n; z) too high; the parts of the "
    "marginal KL with it",
}


@dataclass(frozen=True)
class MinibatchSplit:
    """I(n; z), total correlation and dimension-wise KL as minibatches estimate them.

    In nats per datum; `bias` says which way they err.
    """

    estimator: str
    batch_size: int
    index_information: Line
    total_correlation: Line
    dimension_wise_kl: Line
    bias: str


def minibatch_split(
    draws: Surgery, key: Key, *, batch_size: int = 64, estimator: str = "stratified"
) -> MinibatchSplit:
    """Estimate the split of the average KL from minibatches, on the first draw of each datum.

    Args:
        draws: of an encoder of diagonal normals under a prior of independent normals.
        key: shuffles the data into batches; a remainder of fewer than batch_size data is left out.
        batch_size: M, from 3 to N.
        estimator: 'weighted' or 'stratified'.

    Raises:
        ValueError: another estimator, a batch size out of range, or posteriors or a prior of
            another family.

        minibatch_split(surgery(model, x, key=key), key).total_correlation.value
    """
    n = len(draws.posterior_means)
    if estimator not in BIAS:
        raise ValueError(f"estimator must be one of {', '.join(BIAS)}; got {estimator!r}.")
    if not 3 <= batch_size <= n:
        raise ValueError(f"batch_size must be from 3 to the number of data, {n}; got {batch_size}.")
    normals = draws.posteriors.map(diagonal_normal_parameters)
    if normals is None or draws.factors is None:
        raise ValueError(
            "minibatch estimates are for diagonal normal posteriors under a prior of independent "
            "normals."
        )
    loc, scale = (np.asarray(a, np.float64) for a in normals)
    z, weights = np.asarray(draws.z, np.float64)[:, 0], _log_weights(estimator, batch_size, n)
    batches = np.asarray(jr.permutation(key, n))[: n // batch_size * batch_size].reshape(
        -1, batch_size
    )
    columns = [_split(z[b], loc[b], scale[b], weights, draws.factors) for b in batches]
    columns = [np.concatenate(values) for values in zip(*columns, strict=True)]
    information, correlation, dimension_wise = (
        line_from_data(values, np.full(len(values), values.std(ddof=1))) for values in columns
    )
    return MinibatchSplit(
        estimator, batch_size, information, correlation, dimension_wise, BIAS[estimator]
    )


def _log_weights(estimator: str, batch: int, n: int) -> np.ndarray:
    """The log weight of datum m in the mixture at the draw of datum i, [i, m]."""
    if estimator == "weighted":
        return np.full((batch, batch), -np.log(n * batch))
    rest = batch - 1
    weights = np.full((batch, batch), 1 / rest)
    each = np.arange(batch)
    weights[each, each] = 1 / n  # the draw's own, wherever it stands in the batch
    weights[each, each - 1] = (n - rest) / (n * rest)
    return np.log(weights)


def _split(
    z: np.ndarray,
    loc: np.ndarray,
    scale: np.ndarray,
    weights: np.ndarray,
    prior: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, ...]:
    pairs = (
        -0.5 * np.square((z[:, None] - loc) / scale) - np.log(scale) - 0.5 * LOG_2PI
    )  # [draw, datum, D]
    joint = logsumexp(pairs.sum(axis=2) + weights, axis=1)
    apart = logsumexp(pairs + weights[:, :, None], axis=1).sum(axis=1)
    own = diagonal_normal_log_density(z, loc, scale)
    return own - joint, joint - apart, apart - diagonal_normal_log_density(z, *prior)
