"""As many samples for each datum as it needs: doubled for the data that have not met a target, up to a largest number.

Sample s of datum n is the same draw however it is scheduled, and whether a datum has met the target is decided by its own weights, so its estimate depends on
neither chunk, order nor the other data. The log-weights of the data in flight are kept, about LOG_WEIGHTS numbers, since k-hat needs all of them.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array, Distribution, Float, Int, Key
from jensen.evidence._record import Evidence, pareto_k_threshold
from jensen.evidence._streaming import check_log_weights, chunk_or_default
from jensen.model import Model

LOG_WEIGHTS = 2**22  # 32 MB
ADAPTIVE_NOTE = "The number of samples was decided by the draws themselves, datum by datum, which costs a small bias."

Summarise = Callable[[np.ndarray], tuple[np.ndarray, ...]]


@runtime_checkable
class MakesNumberedLogWeights(Protocol):
    """What makes log-weights of one datum for any numbers of samples."""

    @property
    def num_samples(self) -> int:
        """How many every datum gets."""
        ...

    @property
    def max_samples(self) -> int:
        """How many no datum goes beyond."""
        ...

    def numbered_log_weights(
        self, model: Model, prior: Distribution, x: Array, key: Key, samples: Int[Array, " samples"]
    ) -> Float[Array, " samples"]:
        """The log-weights of the samples with these numbers."""
        ...


class Target(eqx.Module):
    """When a datum has enough samples: its standard error is at most `standard_error` nats, and, with `trusted`, its k-hat at most the threshold.

    Target(standard_error=0.05, trusted=True)
    """

    standard_error: float | None = None
    trusted: bool = False

    def verdicts(
        self, standard_errors: np.ndarray, pareto_k: np.ndarray, samples: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(which data have met it, the reason of each), after so many samples."""
        met, parts = np.ones(len(pareto_k), bool), []
        if self.trusted:
            threshold = pareto_k_threshold(samples)
            met &= pareto_k <= threshold
            parts.append(
                [
                    _compared("k-hat", k, threshold, ".2f") if k != -np.inf else "equal weights"
                    for k in pareto_k
                ]
            )
        if self.standard_error is not None:
            met &= standard_errors <= self.standard_error
            parts.append(
                [
                    _compared("standard error", e, self.standard_error, ".3g")
                    for e in standard_errors
                ]
            )
        return met, np.array(
            [f"{', '.join(texts)} at {samples} samples" for texts in zip(*parts, strict=True)]
        )


def estimate_adaptively(
    estimator: MakesNumberedLogWeights,
    target: Target,
    summarise: Summarise,
    model: Model,
    data: np.ndarray,
    key: Key,
    chunk: int | None,
    on_progress: Callable[[int, int], None],
) -> Evidence:
    """The evidence, each datum with as many samples as `target` asks for; `summarise` makes values, errors, effective samples and k-hat of log-weights.

    estimate_adaptively(Importance(num_samples=100), Target(trusted=True), summarise_log_weights, model, x, key, None, lambda done, total: None)
    """
    chunk = chunk_or_default(chunk, model, data)
    calls = -(-estimator.num_samples // min(chunk, estimator.num_samples))
    block = -(
        -estimator.num_samples // calls
    )  # the same shape in every round: nothing is compiled twice
    in_flight = max(1, LOG_WEIGHTS // estimator.max_samples)
    group = min(max(1, chunk // block), in_flight, len(data))
    window = in_flight // group * group
    prior = model.prior(model.encoder)

    def drawn(rows: np.ndarray, first: int) -> np.ndarray:
        padded = np.append(rows, np.full(-len(rows) % group, rows[-1])).reshape(-1, group)
        parts = [
            _block(
                estimator,
                model,
                prior,
                jnp.asarray(data[i]),
                jnp.asarray(i),
                key,
                jnp.asarray(first),
                block,
            )
            for i in padded
        ]
        log_w = np.concatenate([np.asarray(part, np.float64) for part in parts])[: len(rows)]
        check_log_weights(log_w, rows, first)
        return log_w

    columns = [np.full(len(data), np.nan) for _ in range(4)]
    samples, reasons = np.zeros(len(data), int), np.full(len(data), "", object)
    for start in range(0, len(data), window):
        rows = np.arange(start, min(start + window, len(data)))
        log_w, size = np.empty((len(rows), 0)), estimator.num_samples
        while len(rows):
            log_w = np.concatenate(
                [log_w, *(drawn(rows, first) for first in range(log_w.shape[1], size, block))],
                axis=1,
            )
            found = summarise(log_w[:, :size])
            met, texts = target.verdicts(found[1], found[3], size)
            settled = met | (size >= estimator.max_samples)
            for column, values in zip(columns, found, strict=True):
                column[rows[settled]] = values[settled]
            samples[rows[settled]], reasons[rows[settled]] = size, texts[settled]
            rows, log_w, size = (
                rows[~settled],
                log_w[~settled],
                min(2 * size, estimator.max_samples),
            )
            on_progress(int((samples > 0).sum()), len(data))
    name = type(estimator).__name__
    return Evidence(
        *columns,
        num_samples=int(samples.max()),
        estimator=name,
        samples=samples,
        reasons=reasons.astype(str),
        notes=(ADAPTIVE_NOTE,),
    )


def _compared(what: str, value: float, limit: float, form: str) -> str:
    return (
        f"{what} {value:{form}}"
        if value <= limit
        else f"{what} {value:{form}} still above {limit:{form}}"
    )


@eqx.filter_jit
def _block(
    estimator: MakesNumberedLogWeights,
    model: Model,
    prior: Distribution,
    x: Array,
    index: Array,
    key: Key,
    first: Array,
    block: int,
) -> Float[Array, "data samples"]:
    """Log-weights of the samples first, ..., first + block - 1 of some data."""
    samples = first + jnp.arange(block)
    return jax.vmap(
        lambda x, n: estimator.numbered_log_weights(model, prior, x, jr.fold_in(key, n), samples)
    )(x, index)
