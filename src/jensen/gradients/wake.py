"""The wake-phase gradient: the encoder learns from its own draws, weighted towards the posterior (Bornschein & Bengio 2015, reweighted wake-sleep)."""

import jax
import jax.numpy as jnp

from jensen._types import Array, Distribution, Key
from jensen.bounds import AbstractBound
from jensen.bounds.eubo import EUBO
from jensen.gradients._base import AbstractGradientEstimator, Estimate, estimate
from jensen.gradients._score import held_log_weights
from jensen.model import Model


class Wake(AbstractGradientEstimator):
    """Encoder: ascends sum_k v_k log q(z_k|x) with the normalised weights v held, which descends KL(posterior || q), by self-normalised importance sampling,
    with a bias of order 1/K. Decoder and prior: sum_k v_k log p(x, z_k), the gradient of the importance weighted bound.

    Valid for the eubo and codes of every kind. Training's beta weighs the terms of log w within v.

    Wake().surrogate(EUBO(), model, prior, x, key, num_samples=50, beta=1.0)
    """

    def objection(self, bound: AbstractBound, model: Model, num_samples: int) -> str | None:
        del model, num_samples
        return None if isinstance(bound, EUBO) else f"it descends the forward KL divergence, not the {type(bound).__name__} bound; it is for --bound eubo."

    def surrogate(self, bound: AbstractBound, model: Model, prior: Distribution, x: Array, key: Key, *, num_samples: int, beta) -> Estimate:
        weights = held_log_weights(model, prior, x, key, num_samples)
        share = jax.lax.stop_gradient(jax.nn.softmax(weights.tempered(beta)))
        surrogate = jnp.vdot(share, weights.log_likelihood + beta * weights.log_prior + weights.log_posterior)
        return estimate(surrogate, bound, weights)
