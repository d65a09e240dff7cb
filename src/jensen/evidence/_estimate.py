"""log p(x) of every datum, by any estimator: what is wrong with any of them is refused here."""

from pathlib import Path

import numpy as np

from jensen._types import Key
from jensen.evidence._base import AbstractEvidenceEstimator
from jensen.evidence._record import Evidence
from jensen.interop import guarded
from jensen.model import Model
from jensen.progress import OnProgress, of_task, silent


@guarded
def estimate_evidence(
    model: Model,
    data: np.ndarray,
    estimator: AbstractEvidenceEstimator,
    *,
    key: Key,
    chunk: int | None = None,
    on_progress: OnProgress = silent,
    store: Path | None = None,
) -> Evidence:
    """log p(x) of every datum.

    Args:
        estimator: makes the log-weights, e.g. Importance(num_samples=5000).
        model: the model.
        data: [N, *event].
        key: with it, a datum's index and a sample's number everything random is determined.
        chunk: how many (datum, sample) pairs are decoded at a time; bounds the memory, not the result. By default by the size of the decoder's arrays.
        on_progress: called with what is being done, how much is done, and the total: data, or of annealing data x temperatures.
        store: a file in which to keep what is done, so that the same call goes on from there after it was stopped; only estimators that take long use it.

    Returns:
        An `Evidence` record.

    Raises:
        ValueError: fewer than 2 samples (no standard error), no data, or a log-weight that is NaN or +inf (the datum is named).

        estimate_evidence(model, data.test, Importance(num_samples=5000), key=jax.random.key(0)).value
    """
    if estimator.num_samples < 2:
        raise ValueError(
            f"num_samples must be at least 2, or there is no standard error; got {estimator.num_samples}."
        )
    if len(data) == 0:
        raise ValueError("no data: the evidence of an empty split is undefined.")
    advance = of_task(on_progress, "evidence")
    return estimator.estimate(model, data, key, chunk=chunk, on_progress=advance, store=store)
