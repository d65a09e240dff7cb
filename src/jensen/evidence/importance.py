"""Importance sampling with the encoder's posterior as the proposal: log (1/S) sum_s w_s (Burda et al. 2016; Rezende et al. 2014, appendix E)."""

from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import numpy as np

from jensen._types import Array, Distribution, Float, Key
from jensen.evidence._base import AbstractEvidenceEstimator, estimate_by_streaming
from jensen.evidence._record import Evidence
from jensen.model import Model
from jensen.weights import datum_log_weights


class Importance(AbstractEvidenceEstimator):
    """z_s ~ q(z|x), w_s = p(x, z_s) / q(z_s|x). Exactly `num_samples` samples per datum.

    With the true posterior as q the weights have no variance; with a q of lighter tails the estimate is low and k-hat says so.

        estimate_evidence(Importance(num_samples=5000), model, x, key).value  # nats per datum
    """

    num_samples: int = eqx.field(static=True)

    def __init__(self, *, num_samples: int = 5000):
        self.num_samples = num_samples

    def log_weights(self, model: Model, prior: Distribution, x: Array, key: Key, *, block: int) -> Float[Array, " samples"]:
        return datum_log_weights(model, prior, x, key, self.num_samples, block=block).tempered()

    def estimate(self, model: Model, data: np.ndarray, key: Key, *, chunk: int | None, on_progress: Callable[[int, int], None], store: Path | None) -> Evidence:
        return estimate_by_streaming(self, model, data, key, chunk, on_progress)
