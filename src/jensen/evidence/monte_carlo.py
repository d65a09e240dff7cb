"""Plain Monte Carlo: z_s ~ p(z), w_s = p(x|z_s). Unbiased for p(x), and hopeless whenever the posterior is narrow: here to be compared with."""

from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax.random as jr
import numpy as np

from jensen._types import Array, Distribution, Float, Key
from jensen.evidence._base import AbstractEvidenceEstimator, estimate_by_streaming
from jensen.evidence._record import Evidence
from jensen.model import Model
from jensen.weights import over_samples


class MonteCarlo(AbstractEvidenceEstimator):
    """Samples from the prior, weighted by the likelihood. Exactly `num_samples` samples per datum.

    estimate_evidence(model, x, MonteCarlo(num_samples=5000), key=key).value  # nats per datum
    """

    num_samples: int = eqx.field(static=True)

    def __init__(self, *, num_samples: int = 5000):
        self.num_samples = num_samples

    def log_weights(
        self, model: Model, prior: Distribution, x: Array, key: Key, *, block: int
    ) -> Float[Array, " samples"]:
        def one(sample):
            return model.decoder(prior.sample(jr.fold_in(key, sample))).log_prob(x)

        return over_samples(one, self.num_samples, block)

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
        return estimate_by_streaming(self, model, data, key, chunk, on_progress)

    @property
    def data_at_a_time(self) -> int:
        """See `Importance`."""
        return 4
