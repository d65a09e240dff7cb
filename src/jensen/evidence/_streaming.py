"""Log-weights of data, streamed over data and samples.

Only the [S, data] log-weights of a few data are in memory at a time, never decoded images for more than `chunk` samples. Samples are numbered per datum, so
the result depends on neither the chunk nor the order of the data.
"""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array, Distribution, Float, Key
from jensen.model import Model
from jensen.weights import pairs_at_a_time

ROWS_PER_CALL = 16384
DEFAULT_CHUNK = {"cpu": 2048}
MANY_CORES_CHUNK = 65536


@runtime_checkable
class MakesLogWeights(Protocol):
    """What makes a fixed number of log-weights of one datum."""

    @property
    def num_samples(self) -> int:
        """How many."""
        ...

    @property
    def data_at_a_time(self) -> int:
        """Of how many data to make the log-weights side by side, where those of one fill a chunk."""
        ...

    def log_weights(
        self, model: Model, prior: Distribution, x: Array, key: Key, *, block: int
    ) -> Float[Array, " samples"]:
        """The log-weights of one datum, at most `block` samples at a time; `prior` is model.prior(model.encoder)."""
        ...


def stream_log_weights(
    estimator: MakesLogWeights, model: Model, data: np.ndarray, key: Key, chunk: int | None
) -> Iterator[np.ndarray]:
    """float64 log-weights [some data, S], in the order of the data, `chunk` pairs of datum and sample at a time.

    Raises:
        ValueError: no data, or a log-weight that is NaN or +inf (the datum and the sample are named).
    """
    if len(data) == 0:
        raise ValueError("no data: the evidence of an empty split is undefined.")
    done = 0
    for log_w in _stream(estimator, model, data, key, chunk):
        check_log_weights(log_w, np.arange(done, done + len(log_w)), 0)
        done += len(log_w)
        yield log_w


def check_log_weights(log_w: np.ndarray, data: np.ndarray, first: int) -> None:
    """Refuses a log-weight [data, S] that is NaN or +inf; `data` are the data's numbers, `first` that of the first sample.

    Raises:
        ValueError: names the datum and the sample.

        check_log_weights(np.zeros((2, 10)), np.array([4, 7]), 0)
    """
    bad = np.isnan(log_w) | (log_w == np.inf)
    if bad.any():
        n, s = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"the log-weight of datum {data[n]}, sample {first + s}, is {log_w[n, s]}: the model gives no finite density there."
        )


def chunk_or_default(chunk: int | None, model: Model, data: np.ndarray) -> int:
    """`chunk`, or as many pairs of datum and sample as the decoder's arrays and the device allow at a time.

    Raises:
        ValueError: a chunk below 1.

        chunk_or_default(None, model, data)  # 2048 for dense layers on a CPU
    """
    if chunk is None:
        return pairs_at_a_time(
            model, data[0], DEFAULT_CHUNK.get(jax.default_backend(), MANY_CORES_CHUNK)
        )
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1; got {chunk}.")
    return chunk


def _stream(
    estimator: MakesLogWeights, model: Model, data: np.ndarray, key: Key, chunk: int | None
) -> Iterator[np.ndarray]:
    """float64 log-weights [some data, S], in the order of the data."""
    samples = estimator.num_samples
    chunk = chunk_or_default(chunk, model, data)
    block = (
        min(samples, max(1, chunk // estimator.data_at_a_time))
        if samples * 2 > chunk or estimator.data_at_a_time > 4
        else samples
    )
    group = max(1, chunk // block)
    groups = max(1, ROWS_PER_CALL // (group * samples))
    group = min(group, len(data))
    groups = min(groups, -(-len(data) // group))
    prior = model.prior(model.encoder)  # once for all calls: a prior may encode thousands of rows
    under_way = None  # the device goes on while the host looks at what it has made
    for start in range(0, len(data), group * groups):
        index = np.minimum(np.arange(start, start + group * groups), len(data) - 1)
        x = jnp.asarray(data[index]).reshape(groups, group, *data.shape[1:])
        log_w = _log_weights(
            estimator, model, prior, x, jnp.asarray(index).reshape(groups, group), key, block
        )
        if under_way is not None:
            yield np.asarray(under_way, np.float64)
        under_way = log_w[: len(data) - start]
    yield np.asarray(under_way, np.float64)


@eqx.filter_jit  # compiled once for a model's structure and these shapes, not once per call
def _log_weights(
    estimator: MakesLogWeights,
    model: Model,
    prior: Distribution,
    x: Array,
    index: Array,
    key: Key,
    block: int,
) -> Array:
    """Log-weights [groups * group, S] of data [groups, group, *event], `block` samples of one group at a time."""

    def some_data(part):
        return jax.vmap(
            lambda x, n: estimator.log_weights(model, prior, x, jr.fold_in(key, n), block=block)
        )(*part)

    return jax.lax.map(some_data, (x, index)).reshape(-1, estimator.num_samples)
