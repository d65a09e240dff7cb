"""The Bernoulli prior over binary codes, p(z) = prod_i Bernoulli(z_i; sigmoid(l_i))."""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from jensen._types import Array, Distribution, Float
from jensen.distributions import Bernoulli as BernoulliVector
from jensen.priors._base import AbstractPrior


class Bernoulli(AbstractPrior):
    """Independent bits with learned logits.

    The logits start at 0, where all codes are equally probable; with `learn_logits=False` they stay
    there.

        Bernoulli(3)(encoder).log_prob(jnp.ones(3))  # -2.0794 = 3 log(1/2)
    """

    retrain_remedy: ClassVar[str] = "bits that depend on each other: --prior vamp"
    usual_for: ClassVar[str] = "binary"

    logits: Float[Array, " latent"] | None
    latent_dim: int = eqx.field(static=True)

    def __init__(self, latent_dim: int, *, learn_logits: bool = True):
        self.logits = jnp.zeros(latent_dim) if learn_logits else None
        self.latent_dim = latent_dim

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        del encoder
        logits = jnp.zeros(self.latent_dim) if self.logits is None else self.logits
        # Draws are floats, not bytes: the decoder's network reads them.
        return BernoulliVector(logits, dtype=logits.dtype)
