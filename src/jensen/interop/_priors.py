"""p(z) of a foreign model: a name, a prior of jensen, a distribution, a NumPy callable, or the
posteriors at pseudo-inputs.
"""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jensen._parameters import constant
from jensen._types import Array, Distribution, Float
from jensen.interop._density import log_prior
from jensen.interop._host import Host
from jensen.priors import AbstractPrior
from jensen.priors import priors as room
from jensen.priors._pseudo_inputs import mixture_of_posteriors

READY = ("standard_normal",)  # the priors of the room that need no training


class GivenPrior(AbstractPrior):
    """A distribution over codes as the prior.

    GivenPrior(numpyro.distributions.Normal(jnp.zeros(2), 1.0).to_event(1))
    """

    distribution: Any

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        del encoder
        return self.distribution


class HostPrior(AbstractPrior):
    """log p(z) by a NumPy callable; it cannot be sampled."""

    host: Host = eqx.field(static=True)

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        del encoder
        return HostPriorDensity(self.host)


class HostPriorDensity(eqx.Module):
    """p(z) by a NumPy callable: log_prob, differentiable where its gradient was given."""

    host: Host = eqx.field(static=True)

    def log_prob(self, value: Float[Array, "*batch latent"]) -> Float[Array, "*batch"]:
        """log p(z), nats."""
        return jnp.vectorize(lambda z: log_prior(self.host, z), signature="(d)->()")(value)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """Refused: a callable is not a sampler."""
        del key, sample_shape
        raise ValueError(
            "p(z) is a callable log_prior(z) here and cannot be sampled: give the prior as a "
            "distribution (numpyro's) or by name."
        )


class PseudoInputs(AbstractPrior):
    """p(z) = sum_k w_k q(z | u_k), the mixture of the encoder's own posteriors at pseudo-inputs
    (Tomczak & Welling 2018, equation 9).

    Args:
        rows: u_1 ... u_K, [components, *event], as the encoder takes them.
        log_weights: [components], need not be normalised; uniform when absent.

        PseudoInputs(u)(encoder).log_prob(z)
    """

    rows: Array = constant()
    log_weights: Array | None = constant()

    def __init__(self, rows: Any, log_weights: Any = None):
        self.rows = jnp.asarray(rows)
        self.log_weights = None if log_weights is None else jnp.asarray(log_weights)
        if (
            self.rows.ndim < 1
            or len(self.rows) < 1
            or (self.log_weights is not None and self.log_weights.shape != self.rows.shape[:1])
        ):
            weights = "none" if self.log_weights is None else self.log_weights.shape
            raise ValueError(
                "pseudo-inputs must be [components, *event], with one weight each if any; got "
                f"{self.rows.shape} and weights {weights}."
            )

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        return mixture_of_posteriors("pseudo_inputs", encoder, self.rows, self.log_weights)


def prior_of(prior: Any, host: Host) -> AbstractPrior:
    """Makes the prior from the `prior` argument of `foreign`.

    Raises:
        ValueError: the name of a prior that needs training, a distribution that is not over codes,
            or none of these.

        prior_of("standard_normal", host)
    """
    if isinstance(prior, str | Mapping):
        options = {"name": prior} if isinstance(prior, str) else dict(prior)
        name = options.pop("name", None)
        if name not in READY:
            raise ValueError(
                f"prior={name!r}: a foreign model can only have {', '.join(READY)} by name, "
                "since other priors need training. Give the prior as a distribution, "
                "as a callable log_prior(z), or as jensen.interop.PseudoInputs(u)."
            )
        return room.build(name, options, {"latent_dim": host.latent_dim})
    if isinstance(prior, PseudoInputs) and prior.rows.shape[1:] != host.event_shape:
        raise ValueError(
            f"pseudo-inputs must be data of shape {host.event_shape}; got {prior.rows.shape}, "
            "whose first axis is that of the components."
        )
    if isinstance(prior, AbstractPrior):
        return prior
    if hasattr(prior, "log_prob"):
        _check_distribution(prior, host.latent_dim)
        return GivenPrior(prior)
    if is_log_prior(prior):
        return HostPrior(host)
    raise ValueError(
        "prior must be a name, a prior, a distribution with log_prob, or a callable "
        f"log_prior(z); got {type(prior).__name__}."
    )


def is_log_prior(prior: Any) -> bool:
    """Whether this is a callable z -> log p(z), and not one of the other things that can be called.

    is_log_prior(lambda z: -0.5 * (z**2).sum(1))  # True
    """
    return (
        callable(prior) and not isinstance(prior, AbstractPrior) and not hasattr(prior, "log_prob")
    )


def _check_distribution(prior: Any, latent_dim: int) -> None:
    try:
        shape = jax.eval_shape(
            prior.log_prob, jax.ShapeDtypeStruct((latent_dim,), np.float32)
        ).shape
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the prior's log_prob does not take a code of {latent_dim} dimensions: {error}"
        ) from error
    if shape != ():
        raise ValueError(
            f"the prior must be one distribution over codes of {latent_dim} dimensions; its "
            f"log_prob of one code has shape {shape}. "
            f"Of a distribution over numbers make that by .expand([{latent_dim}]).to_event(1)."
        )
