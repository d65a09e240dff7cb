"""What a gradient estimator is."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key
from jensen.bounds import AbstractBound
from jensen.model import Model
from jensen.weights import LogWeights, over_samples


class Estimate(eqx.Module):
    """What one datum gives to a training step, nats. Only `surrogate` is ever differentiated and it is never reported; `bound` is at beta = 1."""

    surrogate: Float[Array, ""]
    bound: Float[Array, ""]
    reconstruction: Float[Array, ""]
    average_kl: Float[Array, ""]


class AbstractGradientEstimator(eqx.Module):
    """(bound, model, prior, x, key) -> a surrogate whose gradient estimates that of the tempered bound, for one datum."""

    @abc.abstractmethod
    def objection(self, bound: AbstractBound, model: Model, num_samples: int) -> str | None:
        """Why this combination is not valid, as a sentence; None if it is."""

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
        """The estimate for one datum; `prior` is model.prior(model.encoder), made once per step."""

    @property
    def name(self) -> str:
        """In the room: pathwise, score_function ..."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def objective(self) -> str:
        """What is trained if it is not the bound, in words; empty if it is."""
        return ""

    def check(self, bound: AbstractBound, model: Model, num_samples: int) -> None:
        """Raises ValueError, with the reason and the estimators that would do, when bound, estimator, model and number of samples do not go together."""
        reason = bound.objection(num_samples)
        if reason:
            raise ValueError(reason)
        reason = self._refusal(bound, model, num_samples)
        if reason:
            raise ValueError(f"gradient {self.name}: {reason} {_remedy(bound, model, num_samples)}")

    def _refusal(self, bound: AbstractBound, model: Model, num_samples: int) -> str | None:
        if bound.estimators is not None and self.name not in bound.estimators:
            return f"the {type(bound).__name__} bound is not trained by it, for the reason that its documentation gives."
        return self.objection(bound, model, num_samples)


def valid_estimators(bound: AbstractBound, model: Model, num_samples: int) -> list[str]:
    """The names of the room's estimators (with their default options) that go with this bound, model and number of samples.

    valid_estimators(IWAE(), model, 50)  # ['doubly_reparameterised', 'pathwise', 'score_function', 'vimco']
    """
    from jensen.gradients import gradients

    if bound.objection(num_samples):
        return []
    return [
        name
        for name in gradients.names()
        if gradients.build(name, {}, {})._refusal(bound, model, num_samples) is None
    ]


def _remedy(bound: AbstractBound, model: Model, num_samples: int) -> str:
    for count in (num_samples, 4, 16):  # those of discrete codes need more than one sample
        valid = [f"--gradient {name}" for name in valid_estimators(bound, model, count)]
        if valid:
            return f"Valid {'here' if count == num_samples else f'with --num-samples {count}'}: {', '.join(valid)}."
    return "No estimator trains this bound with this model."


def estimate(surrogate: Array, bound: AbstractBound, weights: LogWeights) -> Estimate:
    """The estimate with what is reported, from the log-weights [samples] at beta = 1."""
    average_kl = jnp.mean(weights.log_posterior - weights.log_prior)
    return Estimate(
        surrogate, bound(weights.tempered()), jnp.mean(weights.log_likelihood), average_kl
    )


def sampled_reconstruction(
    model: Model, posterior: Distribution, x: Array, key: Key, num_samples: int
) -> Array:
    """mean_s log p(x|z_s), z_s ~ q(z|x): the term that is left to sample where the KL is known."""

    def log_likelihood(sample: Array) -> Array:
        return model.decoder(posterior.sample(jr.fold_in(key, sample))).log_prob(x)

    return jnp.mean(over_samples(log_likelihood, num_samples))


def no_reparameterisation(model: Model) -> str | None:
    """A sentence if codes are drawn in a way that no derivative passes (discrete codes), else None. A model without a recipe is trusted."""
    if model.recipe is None:
        return None
    posterior = posterior_like(model)
    if getattr(posterior, "has_rsample", True):
        return None
    return f"it differentiates through the draws, and those of the {model.recipe.values['encoder']['name']} encoder have no derivative."


def posterior_like(model: Model) -> Distribution:
    """q(z|x) in structure alone: nothing is computed. The model needs a recipe, which knows the shape of a datum."""
    assert model.recipe is not None
    x = jax.ShapeDtypeStruct(tuple(model.recipe.values["event_shape"]), jnp.result_type(float))
    return eqx.filter_eval_shape(model.encoder, x)
