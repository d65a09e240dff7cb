"""The wake-phase gradient of reweighted wake-sleep (Bornschein & Bengio 2015).

The encoder learns from its own draws, weighted towards the posterior.
"""

import jax
import jax.numpy as jnp

from jensen._types import Array, Distribution, Key
from jensen.bounds import AbstractBound
from jensen.gradients._base import AbstractGradientEstimator, Estimate, estimate
from jensen.gradients._score import held_log_weights
from jensen.model import Model


class Wake(AbstractGradientEstimator):
    """Wake-phase gradient: the encoder ascends sum_k v_k log q(z_k|x), draws and weights constant.

    For the eubo, v are the normalised weights: this descends KL(posterior || q). For the cubo they
    are (n - 1)/n times the normalised n-th powers: this descends the chi^n divergence (Dieng et al.
    2017). Both use self-normalised importance sampling, with a bias of order 1/K. Decoder and prior
    follow the gradient of the importance weighted bound.

    Valid for eubo and cubo, and codes of every kind. Training's KL weight beta weighs the terms of
    log w within v.

        Wake().surrogate(EUBO(), model, prior, x, key, num_samples=50, beta=1.0)
    """

    def objection(self, bound: AbstractBound, model: Model, num_samples: int) -> str | None:
        del model, num_samples
        if bound.sign < 0:
            return None
        return (
            f"it descends a divergence of the posterior from q, not the {type(bound).__name__} "
            "bound; it is for --bound eubo and --bound cubo."
        )

    def surrogate(
        self,
        bound: AbstractBound,
        model: Model,
        prior: Distribution,
        x: Array,
        key: Key,
        *,
        num_samples: int,
        beta,
    ) -> Estimate:
        weights = held_log_weights(model, prior, x, key, num_samples)
        log_w = jax.lax.stop_gradient(weights.tempered(beta))
        encoder_weights = bound.held_weights(log_w)
        assert encoder_weights is not None  # `check` refuses bounds without them
        direct = bound.for_model.derivatives(log_w)[0]
        surrogate = jnp.vdot(direct, weights.log_likelihood + beta * weights.log_prior) + jnp.vdot(
            encoder_weights, weights.log_posterior
        )
        return estimate(surrogate, bound, weights)
