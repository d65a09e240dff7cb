"""The evidence lower bound, E_q log w (Kingma & Welling 2013)."""

from typing import ClassVar, Literal

import jax.numpy as jnp

from jensen._types import Array, Float
from jensen.bounds._base import AbstractBound


class ELBO(AbstractBound):
    """Evidence lower bound (1/S) sum_s log w_s.

    Unbiased for E_q[log p(x,z) - log q(z|x)] = log p(x) - KL(q || posterior) (Kingma & Welling
    2013, equation 2).

        ELBO()(log_w)  # nats
    """

    guarantee: ClassVar[Literal["lower", "consistent"]] = "lower"
    linear: ClassVar[bool] = True

    def __call__(self, log_w: Float[Array, " samples"]) -> Float[Array, ""]:
        return jnp.mean(log_w)

    def derivatives(
        self, log_w: Float[Array, " samples"]
    ) -> tuple[Float[Array, " samples"], Float[Array, " samples"]]:
        return jnp.full_like(log_w, 1 / log_w.shape[0]), jnp.zeros_like(log_w)
