"""What an evidence estimator is."""

import abc

import equinox as eqx

from jensen._types import Array, Distribution, Float, Key
from jensen.model import Model


class AbstractEvidenceEstimator(eqx.Module):
    """Makes log-weights whose mean weight is an unbiased estimate of p(x)."""

    num_samples: eqx.AbstractVar[int]

    @abc.abstractmethod
    def log_weights(self, model: Model, prior: Distribution, x: Array, key: Key, first: Array, count: int) -> Float[Array, " count"]:
        """The log-weights of samples first, ..., first + count - 1 of one datum; `prior` is model.prior(model.encoder)."""
