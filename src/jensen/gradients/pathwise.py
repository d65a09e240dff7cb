"""The reparameterisation gradient: differentiate the bound through the samples (Kingma & Welling 2013, section 2.4)."""

import jax.numpy as jnp

from jensen._types import Array, Distribution, Key
from jensen.bounds import AbstractBound
from jensen.gradients._base import AbstractGradientEstimator, Estimate
from jensen.model import Model
from jensen.weights import datum_log_weights


class Pathwise(AbstractGradientEstimator):
    """The tempered bound itself is the surrogate. Valid for every differentiable bound with a posterior that samples by reparameterisation.

    Pathwise().surrogate(ELBO(), model, prior, x, key, num_samples=1, beta=1.0)
    """

    def check(self, bound: AbstractBound, model: Model, num_samples: int) -> None:
        del bound, model
        if num_samples < 1:
            raise ValueError(f"num_samples must be at least 1 for pathwise; got {num_samples}.")

    def surrogate(self, bound: AbstractBound, model: Model, prior: Distribution, x: Array, key: Key, *, num_samples: int, beta) -> Estimate:
        weights = datum_log_weights(model, prior, x, key, num_samples)
        reconstruction = jnp.mean(weights.log_likelihood)
        average_kl = jnp.mean(weights.log_posterior - weights.log_prior)
        return Estimate(bound(weights.tempered(beta)), bound(weights.tempered()), reconstruction, average_kl)
