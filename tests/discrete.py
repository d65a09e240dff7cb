"""Models of discrete codes, small enough to sum over every code in float64."""

import itertools
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import random as jr
from scipy.special import logsumexp

from jensen._parameters import partition
from jensen._types import Array, Distribution
from jensen.decoders import AbstractDecoder
from jensen.distributions import Bernoulli, OneHotCategorical
from jensen.encoders import AbstractEncoder
from jensen.model import Model
from jensen.models import Choice
from jensen.models.vae import vae
from jensen.priors import priors

DISCRETE = {
    "bernoulli": {},
    "categorical": {"num_classes": 3},
}  # the encoder of a prior's name, and its options
CLASSES = {"bernoulli": 2, "categorical": 3}


def all_codes(name: str, variables: int) -> np.ndarray:
    """Every code of that many variables, float64 [codes, numbers in a code]."""
    classes = np.asarray(list(itertools.product(range(CLASSES[name]), repeat=variables)))
    return (
        classes if name == "bernoulli" else np.eye(CLASSES[name])[classes].reshape(len(classes), -1)
    ).astype(np.float64)


def moved(module, *, by: float = 0.7, seed: int = 2):
    """The same in float64, every parameter away from its start by a normal draw."""
    parameters, constants, static = partition(module)
    leaves, structure = jax.tree.flatten(parameters)
    keys = jr.split(jr.key(seed), max(len(leaves), 1))
    leaves = [
        jnp.asarray(leaf, jnp.float64) + by * jr.normal(key, leaf.shape, jnp.float64)
        for key, leaf in zip(keys, leaves)
    ]
    return eqx.combine(jax.tree.unflatten(structure, leaves), constants, static)


def small_vae(
    name: str,
    *,
    variables: int = 2,
    pixels: int = 3,
    by: float = 0.7,
    seed: int = 2,
    prior: Choice = "",
) -> Model:
    """A model whose posterior does not factorise: all bits meet in a hidden layer."""
    choices = {
        "prior": prior or name,
        "encoder": {"name": name, **DISCRETE[name]},
        "network": {"name": "dense", "hidden": (4,), "activation": "tanh"},
    }
    return moved(vae((pixels,), latent_dim=variables, **choices, key=jr.key(0)), by=by, seed=seed)


@dataclass(frozen=True)
class Table:
    """log p(x, z) and log q(z|x) of every datum and code, [data, codes]."""

    log_joint: np.ndarray
    log_posterior: np.ndarray

    @property
    def log_evidence(self) -> np.ndarray:
        return np.asarray(logsumexp(self.log_joint, axis=1))

    @property
    def log_w(self) -> np.ndarray:
        return self.log_joint - self.log_posterior

    @property
    def elbo(self) -> np.ndarray:
        return np.sum(np.exp(self.log_posterior) * self.log_w, axis=1)


def table(model: Model, name: str, variables: int, x: np.ndarray) -> Table:
    codes = jnp.asarray(all_codes(name, variables))
    prior = model.prior(model.encoder)
    log_joint = jax.vmap(
        lambda x: jax.vmap(lambda z: model.decoder(z).log_prob(x) + prior.log_prob(z))(codes)
    )(jnp.asarray(x))
    log_posterior = jax.vmap(lambda x: jax.vmap(model.encoder(x).log_prob)(codes))(jnp.asarray(x))
    return Table(np.asarray(log_joint), np.asarray(log_posterior))


class OneEach(AbstractDecoder):
    """Pixel i depends on variable i alone, so that the posterior factorises: its logits are slopes[i] @ (1, z_i), or slopes[i] @ z_i of a one-hot z_i."""

    slopes: Array  # [variables, 2 or classes]
    binary: bool = eqx.field(static=True)

    def logits_by_class(self) -> Array:
        """[variables, classes]: of pixel i under each class of variable i."""
        return self.slopes @ jnp.array([[1.0, 1.0], [0.0, 1.0]]) if self.binary else self.slopes

    def __call__(self, z: Array) -> Distribution:
        variables = self.slopes.shape[0]
        one_hot = jnp.stack([1 - z, z], axis=-1) if self.binary else z.reshape(variables, -1)
        return Bernoulli(jnp.sum(self.logits_by_class() * one_hot, axis=-1))


class ExactPosterior(AbstractEncoder):
    """Bayes' rule, variable by variable."""

    decoder: OneEach
    prior_logits: Array

    def __call__(self, x: Array) -> Distribution:
        likelihood = jax.vmap(
            lambda logits, pixel: jax.vmap(
                lambda logit: Bernoulli(logit[None]).log_prob(pixel[None])
            )(logits)
        )(self.decoder.logits_by_class(), jnp.asarray(x))
        if self.decoder.binary:
            return Bernoulli(self.prior_logits + likelihood[:, 1] - likelihood[:, 0], dtype=float)
        return OneHotCategorical(self.prior_logits + likelihood)


def exact_model(name: str, variables: int) -> Model:
    """A model with its exact posterior."""
    rng = np.random.default_rng(3)
    prior = moved(
        priors.build(
            name, {}, {"latent_dim": variables, "code_size": all_codes(name, variables).shape[1]}
        )
    )
    decoder = OneEach(
        jnp.asarray(2 * rng.normal(size=(variables, CLASSES[name]))), name == "bernoulli"
    )
    return Model(prior, ExactPosterior(decoder, prior.logits), decoder)
