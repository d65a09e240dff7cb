"""From log-weights to an estimate of log p(x) per datum, streaming over data and samples, with standard error, effective sample size and Pareto k-hat.

Only the [S, data] log-weights of a few data are in memory at a time, never decoded images for more than `chunk` samples. Samples are numbered per datum, so
the result depends on neither the chunk nor the order of the data.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from scipy.special import logsumexp

from jensen._types import Array, Distribution, Key
from jensen.evidence._base import AbstractEvidenceEstimator
from jensen.model import Model
from jensen.weights import pairs_at_a_time

ROWS_PER_CALL = 16384
DEFAULT_CHUNK = {"cpu": 2048}
MANY_CORES_CHUNK = 65536


@dataclass(frozen=True)
class Evidence:
    """Estimates of log p(x_n), nats.

    Attributes:
        values, standard_errors: per datum; the standard error is the Monte Carlo one (delta method).
        effective_samples: (sum w)^2 / sum w^2 per datum.
        pareto_k: k-hat per datum (Vehtari et al. 2024); -inf where all weights are equal.
        num_samples, estimator: how they were made.
    """

    values: np.ndarray
    standard_errors: np.ndarray
    effective_samples: np.ndarray
    pareto_k: np.ndarray
    num_samples: int
    estimator: str

    @property
    def value(self) -> float:
        """The average over the data, nats per datum."""
        return float(self.values.mean())

    @property
    def standard_error(self) -> float:
        """The Monte Carlo standard error of `value`, these data given."""
        return float(np.sqrt(np.sum(self.standard_errors**2)) / len(self.values))

    @property
    def untrusted(self) -> float:
        """The share of data whose k-hat is above the threshold: their values are likely too low, and their standard errors too small."""
        return float(np.mean(~(self.pareto_k <= pareto_k_threshold(self.num_samples))))


def pareto_k_threshold(num_samples: int) -> float:
    """min(1 - 1 / log10 S, 0.7): above it the estimate is not to be trusted (Vehtari et al. 2024, equation 13).

    pareto_k_threshold(5000)  # 0.7
    """
    return min(1 - 1 / math.log10(num_samples), 0.7) if num_samples > 10 else 0.0


def pareto_k(log_w: np.ndarray) -> np.ndarray:
    """k-hat of each row of log-weights [data, S] by arviz-stats; -inf where the tail has no spread, NaN for fewer than 25 samples.

    pareto_k(np.zeros((1, 100)))  # [-inf]
    """
    from arviz_stats.base.array import array_stats

    out = np.full(len(log_w), np.nan)
    if log_w.shape[1] < 25:  # no tail of five to fit
        return out
    for n, row in enumerate(np.asarray(log_w, np.float64)):
        tail = np.sort(row)[-max(5, min(len(row) // 5, int(3 * len(row) ** 0.5))) :]
        # Rounding makes equal float32 weights differ by 1e-6 nats: no tail at all, but enough to fit noise to.
        if tail[-1] - tail[0] < 1e-5 * max(1.0, abs(tail[-1]) * 0.01):
            out[n] = -np.inf
        else:
            # Weights of few discrete codes are equal by the dozen: the fit then divides by 0 on its way to a k near 0, which is what so short a tail has.
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                out[n] = array_stats.psislw(-row)[1]  # arviz-stats wants -(log p - log q)
    return out


def estimate_evidence(
    estimator: AbstractEvidenceEstimator,
    model: Model,
    data: np.ndarray,
    key: Key,
    *,
    chunk: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evidence:
    """log p(x) of every datum.

    Args:
        estimator: makes the log-weights, e.g. Importance(num_samples=5000).
        model: the model.
        data: [N, *event].
        key: with it, a datum's index and a sample's number everything random is determined.
        chunk: how many (datum, sample) pairs are decoded at a time; bounds the memory, not the result. By default by the size of the decoder's arrays.
        on_progress: called with the number of data done and N.

    Returns:
        An `Evidence` record.

    Raises:
        ValueError: fewer than 2 samples (no standard error), no data, or a log-weight that is NaN or +inf (the datum is named).

        estimate_evidence(Importance(num_samples=5000), model, data.test, jax.random.key(0)).value
    """
    if estimator.num_samples < 2:
        raise ValueError(f"num_samples must be at least 2, or there is no standard error; got {estimator.num_samples}.")
    values, errors, effective, k = [], [], [], []
    done = 0
    for log_w in stream_log_weights(estimator, model, data, key, chunk):
        for column, part in zip((values, errors, effective, k), _summary(log_w), strict=True):
            column.append(part)
        done += len(log_w)
        on_progress(done, len(data))
    columns = (np.concatenate(part) for part in (values, errors, effective, k))
    return Evidence(*columns, num_samples=estimator.num_samples, estimator=type(estimator).__name__)


def evidence_of_log_weights(log_w: np.ndarray, *, estimator: str = "Importance") -> Evidence:
    """The `Evidence` that log-weights [data, S], nats, give, wherever they come from.

    evidence_of_log_weights(np.zeros((3, 100))).value  # 0.0
    """
    return Evidence(*_summary(np.asarray(log_w, np.float64)), num_samples=log_w.shape[1], estimator=estimator)


def _summary(log_w: np.ndarray) -> tuple[np.ndarray, ...]:
    """(values, standard errors, effective samples, k-hat), per datum."""
    samples = log_w.shape[1]
    value = np.asarray(logsumexp(log_w, axis=1)) - math.log(samples)
    relative = np.exp(log_w - value[:, None])  # w / mean(w)
    return value, np.std(relative, axis=1, ddof=1) / math.sqrt(samples), samples / np.mean(relative**2, axis=1), pareto_k(log_w)


def stream_log_weights(estimator: AbstractEvidenceEstimator, model: Model, data: np.ndarray, key: Key, chunk: int | None) -> Iterator[np.ndarray]:
    """float64 log-weights [some data, S], in the order of the data, `chunk` pairs of datum and sample at a time.

    Raises:
        ValueError: no data, or a log-weight that is NaN or +inf (the datum and the sample are named).
    """
    if len(data) == 0:
        raise ValueError("no data: the evidence of an empty split is undefined.")
    done = 0
    for log_w in _stream(estimator, model, data, key, chunk):
        bad = np.isnan(log_w) | (log_w == np.inf)
        if bad.any():
            n, s = (int(i) for i in np.argwhere(bad)[0])
            raise ValueError(f"the log-weight of datum {done + n}, sample {s}, is {log_w[n, s]}: the model gives no finite density there.")
        done += len(log_w)
        yield log_w


def _stream(estimator: AbstractEvidenceEstimator, model: Model, data: np.ndarray, key: Key, chunk: int | None) -> Iterator[np.ndarray]:
    """float64 log-weights [some data, S], in the order of the data."""
    samples = estimator.num_samples
    if chunk is None:
        chunk = pairs_at_a_time(model, data[0], DEFAULT_CHUNK.get(jax.default_backend(), MANY_CORES_CHUNK))
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1; got {chunk}.")
    block = min(samples, max(1, chunk // 4)) if samples * 2 > chunk else samples
    group = max(1, chunk // block)
    groups = max(1, ROWS_PER_CALL // (group * samples))
    group = min(group, len(data))
    groups = min(groups, -(-len(data) // group))
    prior = model.prior(model.encoder)  # once for all calls: a prior may encode thousands of rows
    under_way = None  # the device goes on while the host looks at what it has made
    for start in range(0, len(data), group * groups):
        index = np.minimum(np.arange(start, start + group * groups), len(data) - 1)
        x = jnp.asarray(data[index]).reshape(groups, group, *data.shape[1:])
        log_w = _log_weights(estimator, model, prior, x, jnp.asarray(index).reshape(groups, group), key, block)
        if under_way is not None:
            yield np.asarray(under_way, np.float64)
        under_way = log_w[: len(data) - start]
    yield np.asarray(under_way, np.float64)


@eqx.filter_jit  # compiled once for a model's structure and these shapes, not once per call
def _log_weights(estimator: AbstractEvidenceEstimator, model: Model, prior: Distribution, x: Array, index: Array, key: Key, block: int) -> Array:
    """Log-weights [groups * group, S] of data [groups, group, *event], `block` samples of one group at a time."""

    def some_data(part):
        return jax.vmap(lambda x, n: estimator.log_weights(model, prior, x, jr.fold_in(key, n), block=block))(*part)

    return jax.lax.map(some_data, (x, index)).reshape(-1, estimator.num_samples)
