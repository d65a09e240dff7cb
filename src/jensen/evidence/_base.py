"""What an evidence estimator is, and how those that make a fixed number of independent log-weights for each datum estimate."""

import abc
from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import numpy as np

from jensen._types import Key
from jensen.evidence._record import Evidence, summarise_log_weights
from jensen.evidence._streaming import MakesLogWeights, stream_log_weights
from jensen.model import Model


class AbstractEvidenceEstimator(eqx.Module):
    """Estimates log p(x) of data."""

    num_samples: eqx.AbstractVar[int]

    @abc.abstractmethod
    def estimate(
        self,
        model: Model,
        data: np.ndarray,
        key: Key,
        *,
        chunk: int | None,
        on_progress: Callable[[int, int], None],
        store: Path | None,
    ) -> Evidence:
        """The evidence of data [N, *event], N at least 1; the arguments are those of `estimate_evidence`."""


def estimate_by_streaming(
    estimator: MakesLogWeights,
    model: Model,
    data: np.ndarray,
    key: Key,
    chunk: int | None,
    on_progress: Callable[[int, int], None],
) -> Evidence:
    """The log of the mean weight of every datum, from all its log-weights at once.

    estimate_by_streaming(Importance(num_samples=5000), model, x, key, None, lambda done, total: None)
    """
    columns: list[tuple[np.ndarray, ...]] = []
    done = 0
    for log_w in stream_log_weights(estimator, model, data, key, chunk):
        columns.append(summarise_log_weights(log_w))
        done += len(log_w)
        on_progress(done, len(data))
    values = (np.concatenate(part) for part in zip(*columns, strict=True))
    return Evidence(*values, num_samples=estimator.num_samples, estimator=type(estimator).__name__)
