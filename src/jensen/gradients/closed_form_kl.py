"""The ELBO with KL(q(z|x) || p(z)) in closed form and a sampled reconstruction.

Kingma & Welling 2013, equation 7 and appendix B.
"""

import equinox as eqx
from numpyro.distributions.kl import kl_divergence

from jensen._types import Array, Distribution, Key
from jensen.bounds import AbstractBound
from jensen.gradients._base import (
    AbstractGradientEstimator,
    Estimate,
    no_reparameterisation,
    posterior_like,
    sampled_reconstruction,
)
from jensen.model import Model


class ClosedFormKL(AbstractGradientEstimator):
    """Surrogate and bound: mean_s log p(x|z_s) - beta KL(q || p).

    Valid for the ELBO, and for pairs of q and p with a KL in closed form.

        ClosedFormKL().surrogate(ELBO(), model, prior, x, key, num_samples=1, beta=1.0)
    """

    def objection(self, bound: AbstractBound, model: Model, num_samples: int) -> str | None:
        del num_samples
        if not bound.linear:
            return (
                f"the {type(bound).__name__} bound is not an average of log w, so no term of it "
                "has a closed form; it is for the elbo."
            )
        if model.recipe is None:
            return None
        # Whether a pair has a closed form is only known to numpyro's dispatch: trace it.
        try:
            eqx.filter_eval_shape(
                lambda m, q: _average_kl(q, m.prior(m.encoder), m), model, posterior_like(model)
            )
        except ValueError as error:
            return str(error)
        return no_reparameterisation(model)

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
        del bound
        posterior = model.encoder(x)
        reconstruction = sampled_reconstruction(model, posterior, x, key, num_samples)
        average_kl = _average_kl(posterior, prior, model)
        return Estimate(
            reconstruction - beta * average_kl,
            reconstruction - average_kl,
            reconstruction,
            average_kl,
        )


def _average_kl(posterior: Distribution, prior: Distribution, model: Model) -> Array:
    try:
        return kl_divergence(posterior, prior)
    except NotImplementedError as error:
        name = model.recipe.values["prior"]["name"] if model.recipe else type(model.prior).__name__
        family = (
            model.recipe.values["encoder"]["name"] if model.recipe else type(model.encoder).__name__
        )
        between = f"from a {family} posterior to" if name == "standard_normal" else "for"
        raise ValueError(
            f"there is no closed form of KL(q || p) {between} the {name} prior."
        ) from error
