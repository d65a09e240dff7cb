"""The evidence upper bound, E_posterior log w, by self-normalised importance sampling."""

from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from jensen._types import Array, Float
from jensen.bounds._base import AbstractBound
from jensen.bounds.iwae import IWAE


class EUBO(AbstractBound):
    """sum_k v_k log w_k with v_k = w_k / sum_j w_j: in the limit log p(x) + KL(posterior || q), the forward KL (the wake phase of Bornschein & Bengio 2015).

    Its limit is an upper bound; this value is biased low (it is the ELBO at K = 1) and certifies nothing. The encoder descends the divergence with the weights
    held (`--gradient wake`): to descend the K-sample value itself would drive q away from the posterior wherever few samples hold all the weight. Decoder and
    prior ascend the importance weighted bound of the same weights.

    EUBO()(log_w)
    """

    guarantee: ClassVar[Literal["lower", "consistent"]] = "consistent"
    sign: ClassVar[Literal[1, -1]] = -1
    estimators: ClassVar[tuple[str, ...] | None] = ("wake",)

    def __call__(self, log_w: Float[Array, " samples"]) -> Float[Array, ""]:
        return jnp.vdot(jax.nn.softmax(log_w), log_w)

    @property
    def for_model(self) -> IWAE:
        return IWAE()

    def objection(self, num_samples: int) -> str | None:
        if num_samples >= 2:
            return None
        return f"bound eubo needs at least 2 samples per datum (--num-samples), or its weights say nothing of the posterior; got {num_samples}."
