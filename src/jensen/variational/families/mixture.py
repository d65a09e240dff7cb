"""A mixture of a few normals."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist

from jensen._parameters import constant
from jensen._types import Array, Distribution, Float
from jensen.variational.families._base import (
    AbstractFamily,
    Spread,
    Start,
    matched_normal,
    triangular,
)


class Mixture(AbstractFamily):
    """sum_k a_k N(m_k, L_k L_k^T) of u, for posteriors with several modes, or that no single normal
    fits.

    Reverse KL is not convex here, so the result depends on the start: the components start at
    places drawn around the start's normal, `width` of its standard deviations apart. Expectations
    under q are weighted sums over the components, each on the same draws, so that the weights have
    derivatives too. The entropy has no closed form and is estimated on the same draws.

    Args:
        start: the normal at the start of the fit.
        num_components: number of components.
        width: distance of the components at the start, in standard deviations of the start.
        seed: of the places they begin at.

    Raises:
        ValueError: fewer than 2 components, or a width that is not positive.

        Mixture(Start(jnp.zeros(1), jnp.eye(1)))().log_prob(jnp.zeros(1))
    """

    reparameterised: ClassVar[bool] = False
    richest: ClassVar[bool] = True
    logits: Float[Array, " components"]
    shift: Float[Array, "components dim"]
    log_diagonal: Float[Array, "components dim"]
    below: Float[Array, "components dim dim"]
    start: Start = constant()

    def __init__(self, start: Start, *, num_components: int = 3, width: float = 1.0, seed: int = 0):
        if num_components < 2 or num_components != int(num_components):
            raise ValueError(
                "family mixture: num_components must be a whole number, at least 2; got "
                f"{num_components}. For one take full_rank."
            )
        if not 0 < width < float("inf"):
            raise ValueError(
                "family mixture: width must be positive and finite, or the components would "
                f"stay alike; got {width}."
            )
        dim = len(start.loc)
        places = jr.normal(jr.key(seed), (num_components, dim), start.loc.dtype)
        self.start = start
        self.logits = jnp.zeros(num_components, start.loc.dtype)
        self.shift = width * (places - jnp.mean(places, axis=0))
        self.log_diagonal = jnp.zeros((num_components, dim), start.loc.dtype)
        self.below = jnp.zeros((num_components, dim, dim), start.loc.dtype)

    def __call__(self) -> Distribution:
        weights, loc, scale_tril = self.parameters()
        components = dist.MultivariateNormal(loc, scale_tril=scale_tril, validate_args=False)
        return dist.MixtureSameFamily(
            dist.Categorical(logits=weights, validate_args=False), components, validate_args=False
        )

    def parameters(
        self,
    ) -> tuple[
        Float[Array, " components"],
        Float[Array, "components dim"],
        Float[Array, "components dim dim"],
    ]:
        """Returns (log a, m, L) of the components."""
        loc = self.start.loc + self.shift @ self.start.scale_tril.T
        return (
            jax.nn.log_softmax(self.logits),
            loc,
            self.start.scale_tril @ jax.vmap(triangular)(self.log_diagonal, self.below),
        )

    def spread(self, noise: Float[Array, "draws noise"]) -> Spread:
        log_weights, loc, scale_tril = self.parameters()
        points = (loc[:, None] + jnp.einsum("kij,sj->ksi", scale_tril, noise)).reshape(
            -1, loc.shape[1]
        )
        shares = jnp.repeat(
            jnp.exp(log_weights) / len(noise), len(noise), total_repeat_length=len(points)
        )
        return Spread(points, shares, -jnp.vdot(shares, self().log_prob(points)))

    @property
    def noise_size(self) -> int:
        return self.shift.shape[1]

    def noise(self, uniforms: np.ndarray) -> np.ndarray:
        return matched_normal(uniforms)
