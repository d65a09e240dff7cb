"""The reparameterisation gradient: differentiate the bound through the samples.

Kingma & Welling 2013, section 2.4.
"""

from jensen._types import Array, Distribution, Key
from jensen.bounds import AbstractBound
from jensen.gradients._base import (
    AbstractGradientEstimator,
    Estimate,
    estimate,
    no_reparameterisation,
)
from jensen.gradients._reparameterised import reparameterised
from jensen.model import Model
from jensen.weights import datum_log_weights


class Pathwise(AbstractGradientEstimator):
    """Surrogate: the tempered bound itself, differentiated through the draws.

    Valid for every differentiable bound, with a posterior that samples by reparameterisation.

        Pathwise().surrogate(ELBO(), model, prior, x, key, num_samples=1, beta=1.0)
    """

    def objection(self, bound: AbstractBound, model: Model, num_samples: int) -> str | None:
        del bound, num_samples
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
        # Where encoder and model ascend different bounds, their paths need different weights.
        if bound.for_encoder is not bound or bound.for_model is not bound or bound.sign < 0:
            return reparameterised(
                bound,
                model,
                prior,
                x,
                key,
                num_samples=num_samples,
                beta=beta,
                doubly=False,
                score=True,
            )
        weights = datum_log_weights(model, prior, x, key, num_samples)
        return estimate(bound(weights.tempered(beta)), bound, weights)
