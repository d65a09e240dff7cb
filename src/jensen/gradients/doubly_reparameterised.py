"""The doubly reparameterised gradient (Tucker et al. 2019), extended to every bound."""

from jensen._types import Array, Distribution, Key
from jensen.bounds import AbstractBound
from jensen.gradients._base import AbstractGradientEstimator, Estimate, no_reparameterisation
from jensen.gradients._reparameterised import reparameterised
from jensen.model import Model


class DoublyReparameterised(AbstractGradientEstimator):
    """Pathwise gradient whose score term is reparameterised a second time.

    The weight of draw k becomes F_k - beta F_kk. The estimator is unbiased, and its signal-to-noise
    ratio does not fall as K grows. For the importance weighted bound at beta = 1 the weight is
    w~_k^2 (w~ the normalised weights); for the ELBO it is 1/K, which is sticking the landing.

        DoublyReparameterised().surrogate(IWAE(), model, prior, x, key, num_samples=50, beta=1.0)
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
        return reparameterised(
            bound,
            model,
            prior,
            x,
            key,
            num_samples=num_samples,
            beta=beta,
            doubly=True,
            score=False,
        )
