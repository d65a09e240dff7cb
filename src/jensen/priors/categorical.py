"""The categorical prior over codes of one-hot vectors, p(z) = prod_i Categorical(z_i;
softmax(l_i)).
"""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from jensen._types import Array, Distribution, Float
from jensen.distributions import OneHotCategorical
from jensen.priors._base import AbstractPrior


class Categorical(AbstractPrior):
    """`latent_dim` independent variables with learned logits.

    They have as many classes as the encoder's codes (code_size / latent_dim). The logits start at
    0, where all codes are equally probable; with `learn_logits=False` they stay there.

        Categorical(3, 12)(encoder).log_prob(z)  # -4.1589 = 3 log(1/4)
    """

    retrain_remedy: ClassVar[str] = "variables that depend on each other: --prior vamp"
    usual_for: ClassVar[str] = "one-hot"

    logits: Float[Array, "latent classes"] | None
    shape: tuple[int, int] = eqx.field(static=True)

    def __init__(self, latent_dim: int, code_size: int, *, learn_logits: bool = True):
        self.shape = (latent_dim, code_size // latent_dim)
        self.logits = jnp.zeros(self.shape) if learn_logits else None

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        del encoder
        return OneHotCategorical(jnp.zeros(self.shape) if self.logits is None else self.logits)
