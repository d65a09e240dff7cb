"""VIMCO, variational inference for Monte Carlo objectives (Mnih & Rezende 2016).

The score-function gradient of a bound of many samples.
"""

import jax
import jax.numpy as jnp

from jensen._types import Array, Distribution, Float, Key
from jensen.bounds import AbstractBound
from jensen.gradients._base import AbstractGradientEstimator, Estimate
from jensen.gradients._score import held_log_weights, leave_one_out, score_function
from jensen.model import Model


class VIMCO(AbstractGradientEstimator):
    """Score-function gradient whose baseline replaces w_k by a geometric mean.

    Sample k is credited with the bound less the same bound with w_k replaced by the geometric mean
    of the other weights. Unbiased, for every bound (with at least 2 samples) and codes of every
    kind. For the ELBO it equals the score function with the leave-one-out baseline.

        VIMCO().surrogate(IWAE(), model, prior, x, key, num_samples=5, beta=1.0)
    """

    def objection(self, bound: AbstractBound, model: Model, num_samples: int) -> str | None:
        del bound, model
        if num_samples < 2:
            return (
                "its baseline for a sample is computed from the other samples: it needs at least "
                f"2 samples per datum (--num-samples); got {num_samples}."
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
            bound, held_log_weights(model, prior, x, key, num_samples), beta, _with_each_replaced
        )


def _with_each_replaced(
    bound: AbstractBound, log_w: Float[Array, " samples"]
) -> Float[Array, " samples"]:
    means = leave_one_out(log_w).mean(axis=1)
    # Row k holds all log-weights, the k-th replaced.
    replaced = jnp.where(jnp.eye(log_w.shape[0], dtype=bool), means[:, None], log_w[None])
    return jax.vmap(bound)(replaced)
