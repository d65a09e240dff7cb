"""The ELBO's pathwise gradient without the score of log q (Roeder, Wu & Duvenaud 2017)."""

from jensen._types import Array, Distribution, Key
from jensen.bounds import AbstractBound
from jensen.gradients._base import AbstractGradientEstimator, Estimate, no_reparameterisation
from jensen.gradients._reparameterised import reparameterised
from jensen.model import Model


class StickingTheLanding(AbstractGradientEstimator):
    """Pathwise gradient that differentiates log q(z|x) through z alone.

    The omitted score has expectation 0, and where q equals the posterior the gradient has no
    variance at all. Valid for the ELBO. For any other bound the omitted term has an expectation
    other than 0 and the estimator would be biased: use the doubly reparameterised gradient there.

        StickingTheLanding().surrogate(ELBO(), model, prior, x, key, num_samples=1, beta=1.0)
    """

    def objection(self, bound: AbstractBound, model: Model, num_samples: int) -> str | None:
        if not bound.linear:
            return (
                f"it is biased for the {type(bound).__name__} bound: the score it leaves out has "
                "expectation 0 in the elbo only."
            )
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
        return reparameterised(
            bound,
            model,
            prior,
            x,
            key,
            num_samples=num_samples,
            beta=beta,
            doubly=False,  # F_kk of the ELBO is 0: there is nothing to reparameterise again
            score=False,
        )
