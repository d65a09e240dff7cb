"""A target and a family as a `Model` of one datum, so that every function that takes models
applies.

q ignores the datum; p(x|z) is the target's likelihood of all data.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from numpyro.distributions import Distribution as NumPyroDistribution
from numpyro.distributions.kl import kl_divergence

from jensen._types import Array, Distribution, Float
from jensen.decoders import AbstractDecoder
from jensen.encoders import AbstractEncoder
from jensen.model import Model
from jensen.priors import AbstractPrior
from jensen.variational.families import AbstractFamily
from jensen.variational.target import Target


class ConstantPosterior(AbstractEncoder):
    """q(z), the same for every datum."""

    family: AbstractFamily

    def __call__(self, x: Array) -> Distribution:
        del x
        return self.family()


class TargetPrior(AbstractPrior):
    """p(z), or a flat density of 1 if the target does not separate prior and likelihood."""

    target: Target
    separate: bool = eqx.field(static=True)

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        del encoder
        return PriorDensity(self.target) if self.separate else Flat()


class TargetLikelihood(AbstractDecoder):
    """p(x|z), or p(x, z) if the target does not separate prior and likelihood."""

    target: Target
    separate: bool = eqx.field(static=True)

    def __call__(self, z: Array) -> "LikelihoodDensity":
        return LikelihoodDensity(self.target, z, self.separate)


class LikelihoodDensity(eqx.Module):
    """log p(x|z) at one z. x [B] are indices of rows of data; it is N/B times the sum over these
    rows.
    """

    target: Target
    z: Array
    separate: bool = eqx.field(static=True)

    def log_prob(self, x: Array) -> Float[Array, ""]:
        """log p(x|z), nats."""
        if not self.separate:
            return self.target.log_density(self.z)
        return self.target.log_likelihood(self.z, x if self.target.num_data else None)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        raise ValueError(
            "a target is a density without a sampler, so nothing can be simulated from it; use a "
            "fit's predict(), which calls the target's `predictive`."
        )


class PriorDensity(eqx.Module):
    """log p(z), a density without a sampler."""

    target: Target

    def log_prob(self, value: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        """log p(value), nats."""
        return jnp.vectorize(self.target.log_prior, signature="(d)->()")(value)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        raise ValueError(
            "the target's prior is a density without a sampler: anneal from q instead "
            "(start='encoder')."
        )


class Flat(eqx.Module):
    """Density 1 everywhere; KL(q || flat) = -entropy of q."""

    def log_prob(self, value: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        """0 nats."""
        return jnp.zeros(jnp.shape(value)[:-1], jnp.result_type(float))

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        raise ValueError("a flat density has no draws: anneal from q (start='encoder').")


@kl_divergence.register(NumPyroDistribution, Flat)  # pyright: ignore[reportFunctionMemberAccess]
def _kl_from_flat(q: NumPyroDistribution, p: Flat) -> Array:
    """KL(q || 1) = -H(q), nats."""
    return -jnp.asarray(q.entropy())


def as_model(target: Target, family: AbstractFamily, *, together: bool = False) -> Model:
    """Makes the `Model` whose only datum is `datum(target)`.

    With `together` prior and likelihood are one density, and the model's prior is flat.

    as_model(target, fit.family).encoder(datum(target)[0]).sample(key)
    """
    separate = target.separate and not together
    return Model(
        TargetPrior(target, separate), ConstantPosterior(family), TargetLikelihood(target, separate)
    )


def datum(target: Target) -> np.ndarray:
    """Makes the data set of one datum, [1, N]: the indices of all rows, or [1, 1] if the target has
    no rows.

    estimate_evidence(fit.model, datum(target), Importance(), key=key)
    """
    return np.arange(max(target.num_data, 1))[None]
