"""The abstract base class of gradient estimators, and what estimators share."""

import abc
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key
from jensen.bounds import AbstractBound
from jensen.model import Model
from jensen.weights import LogWeights, over_samples


class Estimate(eqx.Module):
    """What one datum contributes to a training step, in nats.

    Only `surrogate` is differentiated, and it is never reported. The other fields are reported;
    `bound` is taken at beta = 1.
    """

    surrogate: Float[Array, ""]
    bound: Float[Array, ""]
    reconstruction: Float[Array, ""]
    average_kl: Float[Array, ""]


class AbstractGradientEstimator(eqx.Module):
    """Map (bound, model, prior, x, key) to a surrogate for one datum.

    The surrogate's gradient estimates the gradient of the tempered bound.
    """

    @abc.abstractmethod
    def objection(self, bound: AbstractBound, model: Model, num_samples: int) -> str | None:
        """Say why this combination is invalid, as a sentence; None if it is valid."""

    @abc.abstractmethod
    def surrogate(
        self,
        bound: AbstractBound,
        model: Model,
        prior: Distribution,
        x: Array,
        key: Key,
        *,
        num_samples: int,
        beta: Float[Array, ""] | float,
    ) -> Estimate:
        """Compute the estimate for one datum.

        `prior` is model.prior(model.encoder), made once a step for all data.
        """

    @property
    def name(self) -> str:
        """The estimator's name in the room: 'pathwise', 'score_function' ..."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def objective(self) -> str:
        """Description of the objective if it is not the bound; empty if it is."""
        return ""

    def check(self, bound: AbstractBound, model: Model, num_samples: int) -> None:
        """Raise if bound, estimator, model and number of samples do not go together.

        Raises:
            ValueError: with the reason and the names of the valid estimators.
        """
        reason = bound.objection(num_samples)
        if reason:
            raise ValueError(reason)
        reason = self._refusal(bound, model, num_samples)
        if reason:
            raise ValueError(f"gradient {self.name}: {reason} {_remedy(bound, model, num_samples)}")

    def _refusal(self, bound: AbstractBound, model: Model, num_samples: int) -> str | None:
        if bound.estimators is not None and self.name not in bound.estimators:
            return (
                f"the {type(bound).__name__} bound is not trained by it, for the reason that the "
                "bound's documentation gives."
            )
        return self.objection(bound, model, num_samples)


def valid_estimators(model: Model, bound: AbstractBound, num_samples: int) -> list[str]:
    """List the estimators that are valid for this bound, model and number of samples.

    The names are those of the room's members, each taken with its default options.

        valid_estimators(model, IWAE(), 50)  # ['doubly_reparameterised', 'pathwise', ...]
    """
    from jensen.gradients import gradients  # the room imports this module

    if bound.objection(num_samples):
        return []
    return [
        name
        for name in gradients.names()
        if gradients.build(name, {}, {})._refusal(bound, model, num_samples) is None  # noqa: SLF001
    ]


def _remedy(bound: AbstractBound, model: Model, num_samples: int) -> str:
    # The estimators for discrete codes need more than one sample: try larger counts too.
    for count in (num_samples, 4, 16):
        valid = [f"--gradient {name}" for name in valid_estimators(model, bound, count)]
        if valid:
            where = "here" if count == num_samples else f"with --num-samples {count}"
            return f"Valid {where}: {', '.join(valid)}."
    return "No estimator trains this bound with this model."


def estimate(surrogate: Array, bound: AbstractBound, weights: LogWeights) -> Estimate:
    """Make the estimate of a surrogate, with the reported values from the log-weights at beta = 1.

    `weights` has leaves of shape [samples].
    """
    average_kl = jnp.mean(weights.log_posterior - weights.log_prior)
    return Estimate(
        surrogate, bound(weights.tempered()), jnp.mean(weights.log_likelihood), average_kl
    )


def sampled_reconstruction(
    model: Model, posterior: Distribution, x: Array, key: Key, num_samples: int
) -> Array:
    """Compute mean_s log p(x|z_s), z_s ~ q(z|x): the only sampled term where the KL is exact."""

    def log_likelihood(sample: Array) -> Array:
        return model.decoder(posterior.sample(jr.fold_in(key, sample))).log_prob(x)

    return jnp.mean(over_samples(log_likelihood, num_samples))


def no_reparameterisation(model: Model) -> str | None:
    """Say why no derivative passes through the draws (discrete codes); None if one does.

    A model without a recipe is trusted to have a reparameterised encoder.
    """
    if model.recipe is None:
        return None
    posterior = posterior_like(model)
    if getattr(posterior, "has_rsample", True):
        return None
    encoder = model.recipe.values["encoder"]["name"]
    return (
        "it differentiates through the draws, and the draws of the "
        f"{encoder} encoder have no derivative."
    )


def posterior_like(model: Model) -> Distribution:
    """Trace the structure of q(z|x) without computing anything.

    The model needs a recipe, which holds the shape of a datum.
    """
    assert model.recipe is not None
    x = jax.ShapeDtypeStruct(tuple(model.recipe.values["event_shape"]), jnp.result_type(float))
    return eqx.filter_eval_shape(model.encoder, x)


# How an estimator is chosen: a name, {"name": ..., option: value}, a class, an instance; None is
# the default.
GradientChoice = (
    str | Mapping[str, Any] | type[AbstractGradientEstimator] | AbstractGradientEstimator | None
)
