"""The mixture-of-Gaussians prior, p(z) = sum_k w_k N(z; m_k, diag(s_k^2)), with free parameters.

It is the baseline of Tomczak & Welling 2018, section 4.
"""

from collections.abc import Callable
from typing import ClassVar

import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key
from jensen.distributions import DiagonalNormalMixture
from jensen.priors._base import AbstractPrior


class Mixture(AbstractPrior):
    """Mixture of `num_components` diagonal normals with learned means, scales and weights.

    Means start as draws from N(0, initial_spread^2 I), scales at 1, and weights equal.

    Raises:
        ValueError: if num_components is below 1, or initial_spread is negative.

    Example:
        Mixture(2, key=jr.key(0), num_components=10)(encoder).log_prob(z)
    """

    refit_remedy: ClassVar[str] = (
        "more components: --try mixture --set prior.num_components=500; or --try vamp"
    )
    retrain_remedy: ClassVar[str] = (
        "more components: --set prior.num_components=500; or --prior vamp"
    )

    loc: Float[Array, "components latent"]
    log_scale: Float[Array, "components latent"]
    logits: Float[Array, " components"]

    def __init__(
        self, latent_dim: int, *, key: Key, num_components: int = 100, initial_spread: float = 1.0
    ):
        if num_components < 1:
            raise ValueError(
                f"prior mixture: num_components must be at least 1; got {num_components}."
            )
        if not initial_spread >= 0:
            raise ValueError(
                f"prior mixture: initial_spread must not be negative; got {initial_spread}."
            )
        # Different means break the symmetry of the components; equal ones would stay equal.
        self.loc = initial_spread * jr.normal(key, (num_components, latent_dim))
        self.log_scale = jnp.zeros((num_components, latent_dim))
        self.logits = jnp.zeros(num_components)

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        del encoder
        return DiagonalNormalMixture(self.loc, jnp.exp(self.log_scale), self.logits)
