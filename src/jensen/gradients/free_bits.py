"""Free bits: an objective that charges no KL below a floor, per latent dimension.

Kingma et al. 2016, section on free bits.
"""

import math

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist
from numpyro.distributions.kl import kl_divergence

from jensen._types import Array, Distribution, Float, Key
from jensen.bounds import AbstractBound
from jensen.distributions import Joint
from jensen.gradients._base import (
    AbstractGradientEstimator,
    Estimate,
    no_reparameterisation,
    posterior_like,
    sampled_reconstruction,
)
from jensen.model import Model


class FreeBits(AbstractGradientEstimator):
    """Surrogate: mean_s log p(x|z_s) - beta sum_j max(floor, KL(q(z_j|x) || p(z_j))).

    The KL of each dimension is in closed form. The surrogate is neither the bound nor a gradient of
    it: a dimension below `floor` nats has no KL gradient, so that it is not switched off before the
    decoder uses it. The reported value stays the ELBO at beta = 1.

    The paper takes the maximum with the KL's mean over a batch. Here it is taken per datum, so that
    no result depends on the batch; since the maximum is convex, this charges at least as much. At
    floor 0 it is `closed_form_kl`. Valid for the ELBO, and for a posterior and a prior that are
    both products over dimensions.

    Raises:
        ValueError: if the floor is negative or not finite.

    Example:
        FreeBits(floor=0.25).surrogate(ELBO(), model, prior, x, key, num_samples=1, beta=1.0)
    """

    floor: float = eqx.field(static=True)

    def __init__(self, *, floor: float = 0.125):
        if not (math.isfinite(floor) and floor >= 0):
            raise ValueError(
                "gradient free_bits: floor must be finite and at least 0, nats per latent "
                f"dimension; got {floor}."
            )
        self.floor = floor

    @property
    def objective(self) -> str:
        """Description of the objective that is trained instead of the bound."""
        return (
            f"free bits, E log p(x|z) - beta sum_j max({self.floor:g}, KL_j), not the bound; "
            "reported is the ELBO at beta = 1"
        )

    def objection(self, bound: AbstractBound, model: Model, num_samples: int) -> str | None:
        del num_samples
        if not bound.linear:
            return (
                f"it is valid for the elbo only: the {type(bound).__name__} bound is not an "
                "average of log w, so no term of it is a KL."
            )
        if model.recipe is None:
            return None
        try:
            eqx.filter_eval_shape(
                lambda m, q: _kl_by_dimension(m, q, m.prior(m.encoder)),
                model,
                posterior_like(model),
            )
        except ValueError as error:
            return str(error)
        return no_reparameterisation(model)

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
        del bound
        posterior = model.encoder(x)
        reconstruction = sampled_reconstruction(model, posterior, x, key, num_samples)
        kl = _kl_by_dimension(model, posterior, prior)
        average_kl = jnp.sum(kl)
        # Rounding may leave a KL just below 0, so that a maximum with 0 would not be the KL itself.
        charged = jnp.sum(jnp.where(kl > self.floor, kl, self.floor)) if self.floor else average_kl
        return Estimate(
            reconstruction - beta * charged, reconstruction - average_kl, reconstruction, average_kl
        )


def _kl_by_dimension(
    model: Model, posterior: Distribution, prior: Distribution
) -> Float[Array, " dim"]:
    if isinstance(posterior, Joint) or isinstance(prior, Joint):
        raise ValueError(
            "free bits with a latent that has no per-dimension KL: in a model of several levels "
            "the KLs of the lower levels depend on the draws above them. Use --model vae, or "
            "--gradient pathwise with a longer --warm-up."
        )
    for part, distribution, remedy in (
        (f"the {_name(model, 'prior')} prior", prior, "--prior standard_normal"),
        (
            f"the posterior of the {_name(model, 'encoder')} encoder",
            posterior,
            "--set encoder.name=diagonal_normal",
        ),
    ):
        if not (isinstance(distribution, dist.Independent) and distribution.event_dim == 1):
            raise ValueError(
                f"free bits with a latent that has no per-dimension KL: {part} is no product over "
                f"dimensions. Use {remedy}, or --gradient pathwise with a longer --warm-up."
            )
    # The base distributions are over single dimensions: their KL is not summed.
    try:
        return kl_divergence(
            posterior.base_dist,  # pyright: ignore[reportAttributeAccessIssue]
            prior.base_dist,  # pyright: ignore[reportAttributeAccessIssue]
        )
    except NotImplementedError as error:
        raise ValueError(
            "free bits with a latent that has no per-dimension KL: there is no closed form of it "
            f"between the {_name(model, 'encoder')} encoder's posterior and the "
            f"{_name(model, 'prior')} prior. Use --gradient pathwise with a longer --warm-up."
        ) from error


def _name(model: Model, part: str) -> str:
    return (
        model.recipe.values[part]["name"] if model.recipe else type(getattr(model, part)).__name__
    )
