"""Plain Monte Carlo: z_s ~ p(z), w_s = p(x|z_s). Unbiased for p(x), and hopeless whenever the posterior is narrow: here to be compared with."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key
from jensen.evidence._base import AbstractEvidenceEstimator
from jensen.model import Model


class MonteCarlo(AbstractEvidenceEstimator):
    """Samples from the prior, weighted by the likelihood. Exactly `num_samples` samples per datum.

    estimate_evidence(MonteCarlo(num_samples=5000), model, x, key).value  # nats per datum
    """

    num_samples: int = eqx.field(static=True)

    def __init__(self, *, num_samples: int = 5000):
        self.num_samples = num_samples

    def log_weights(self, model: Model, prior: Distribution, x: Array, key: Key, first: Array, count: int) -> Float[Array, " count"]:
        def one(sample):
            return model.decoder(prior.sample(jr.fold_in(key, sample))).log_prob(x)

        return jax.vmap(one)(first + jnp.arange(count))
