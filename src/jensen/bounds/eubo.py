"""The evidence upper bound, E_posterior log w, by self-normalised importance sampling."""

from typing import ClassVar, Literal

import jax
import jax.numpy as jnp

from jensen._types import Array, Float
from jensen.bounds._base import AbstractBound, upper_objection
from jensen.bounds.iwae import IWAE


class EUBO(AbstractBound):
    """Evidence upper bound sum_k v_k log w_k, with v_k = w_k / sum_j w_j.

    In the limit of many samples it is log p(x) + KL(posterior || q), the forward KL (the wake phase
    of Bornschein & Bengio 2015). The limit is an upper bound; the K-sample value is biased low (it
    is the ELBO at K = 1) and certifies nothing.

    The encoder descends the limit with the weights held constant (`--gradient wake`): descending
    the K-sample value itself would drive q away from the posterior wherever few samples hold all
    the weight. Decoder and prior ascend the importance weighted bound of the same weights.

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
        return upper_objection("eubo", num_samples)

    def held_weights(self, log_w: Float[Array, " samples"]) -> Float[Array, " samples"]:
        # d KL(posterior || q) = -E_posterior[d log q], estimated with the normalised weights; the
        # surrogate is ascended, hence the sign.
        return jax.nn.softmax(log_w)
