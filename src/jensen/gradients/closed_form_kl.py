"""The ELBO with KL(q(z|x) || p(z)) in closed form, only the reconstruction sampled (Kingma & Welling 2013, equation 7 and appendix B)."""

import jax
import jax.numpy as jnp
import jax.random as jr
from numpyro.distributions.kl import kl_divergence

from jensen._types import Array, Distribution, Key
from jensen.bounds import AbstractBound
from jensen.gradients._base import AbstractGradientEstimator, Estimate
from jensen.model import Model
from jensen.weights import over_samples


class ClosedFormKL(AbstractGradientEstimator):
    """Surrogate and bound: mean_s log p(x|z_s) - beta KL(q || p). Valid for the ELBO, and for pairs of q and p whose KL is known.

    ClosedFormKL().surrogate(ELBO(), model, prior, x, key, num_samples=1, beta=1.0)
    """

    def check(self, bound: AbstractBound, model: Model, num_samples: int) -> None:
        if not bound.linear:
            raise ValueError(
                f"gradient closed_form_kl is valid for the elbo only: the {type(bound).__name__} bound is not an average of log w, so no term of it has a "
                "closed form. Use --gradient pathwise."
            )
        if num_samples < 1:
            raise ValueError(f"num_samples must be at least 1 for closed_form_kl; got {num_samples}.")
        recipe = model.recipe
        event_shape = recipe.values["event_shape"] if recipe else None
        if event_shape is not None:
            jax.eval_shape(lambda: _average_kl(model, model.encoder(jnp.zeros(event_shape)), model.prior(model.encoder)))

    def surrogate(self, bound: AbstractBound, model: Model, prior: Distribution, x: Array, key: Key, *, num_samples: int, beta) -> Estimate:
        del bound
        posterior = model.encoder(x)

        def log_likelihood(sample):
            return model.decoder(posterior.sample(jr.fold_in(key, sample))).log_prob(x)

        reconstruction = jnp.mean(over_samples(log_likelihood, num_samples))
        average_kl = _average_kl(model, posterior, prior)
        return Estimate(reconstruction - beta * average_kl, reconstruction - average_kl, reconstruction, average_kl)


def _average_kl(model: Model, posterior: Distribution, prior: Distribution) -> Array:
    try:
        return kl_divergence(posterior, prior)
    except NotImplementedError as error:
        name = model.recipe.values["prior"]["name"] if model.recipe else type(model.prior).__name__
        family = model.recipe.values["encoder"]["name"] if model.recipe else type(model.encoder).__name__
        between = f"from a {family} posterior to" if name == "standard_normal" else "for"
        raise ValueError(f"gradient closed_form_kl: there is no closed form of KL(q || p) {between} the {name} prior. Use --gradient pathwise.") from error
