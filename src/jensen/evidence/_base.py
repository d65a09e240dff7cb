"""What an evidence estimator is."""

import abc

import equinox as eqx

from jensen._types import Array, Distribution, Float, Key
from jensen.model import Model


class AbstractEvidenceEstimator(eqx.Module):
    """Makes log-weights whose mean weight is an unbiased estimate of p(x)."""

    num_samples: eqx.AbstractVar[int]

    @abc.abstractmethod
    def log_weights(self, model: Model, prior: Distribution, x: Array, key: Key, *, block: int) -> Float[Array, " samples"]:
        """The log-weights of one datum, at most `block` samples at a time; `prior` is model.prior(model.encoder)."""
