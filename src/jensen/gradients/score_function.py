"""The score-function gradient with a leave-one-out baseline.

Williams 1992; Kool, van Hoof & Welling 2019.
"""

import jax

from jensen._types import Array, Distribution, Float, Key
from jensen.bounds import AbstractBound
from jensen.gradients._base import AbstractGradientEstimator, Estimate
from jensen.gradients._score import held_log_weights, leave_one_out, score_function
from jensen.model import Model


class ScoreFunction(AbstractGradientEstimator):
    """Score-function gradient: sample k is credited with its contribution to the bound.

    The contribution is the bound of all K samples less the bound of the other K - 1. Unbiased, and
    valid for codes of every kind, discrete ones included; it needs at least 2 samples. Its noise is
    far above that of the reparameterised estimators: prefer those where they are valid.

        ScoreFunction().surrogate(ELBO(), model, prior, x, key, num_samples=4, beta=1.0)
    """

    def objection(self, bound: AbstractBound, model: Model, num_samples: int) -> str | None:
        del model
        if num_samples < 2:
            return (
                "its baseline for a sample is computed from the other samples: it needs at least "
                f"2 samples per datum (--num-samples); got {num_samples}."
            )
        if bound.for_encoder.objection(num_samples - 1):
            return (
                "its baseline is the bound of all samples but one, and the "
                f"{type(bound).__name__} bound is not defined for {num_samples - 1}."
            )
        return None

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
        return score_function(
            bound, held_log_weights(model, prior, x, key, num_samples), beta, _without_each
        )


def _without_each(
    bound: AbstractBound, log_w: Float[Array, " samples"]
) -> Float[Array, " samples"]:
    return jax.vmap(bound)(leave_one_out(log_w))
