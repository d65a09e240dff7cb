"""Bounds and gradient estimators on a linear-Gaussian model in float64, and every valid pair of them.

The model's encoder is not the posterior. The batch (5), the number of samples (6), its groups (3 of 2), the data's dimensions (4) and the latent ones (2)
differ.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import random as jr
from jax.flatten_util import ravel_pytree

from jensen.bounds import bounds
from jensen.gradients import gradients
from linear_gaussian import make

TRUTH = make(dimension=4, latent=2, shift=0.3, stretch=1.3)
X = TRUTH.data(5, seed=1)
NUM_SAMPLES = 6
OPTIONS = {
    "miwae": {"num_groups": 3},
    "piwae": {"num_groups": 3},
    "renyi": {"alpha": 0.3},
    "cubo": {"n": 1.5},
    "ciwae": {"elbo_weight": 0.3},
}
ESTIMATOR_OPTIONS = {
    "free_bits": {"floor": 0.0}
}  # with a floor it is another objective, see test_free_bits.py


def estimator_of(name):
    return gradients.build(name, ESTIMATOR_OPTIONS.get(name, {}), {})


def build(bound):
    return bounds.build(bound, OPTIONS.get(bound, {}), {})


def valid_pairs():
    with jax.enable_x64(True):
        for bound in bounds.names():
            for gradient in gradients.names():
                try:
                    estimator_of(gradient).check(build(bound), TRUTH.model, NUM_SAMPLES)
                except ValueError:
                    continue
                yield bound, gradient


PAIRS = list(valid_pairs())


def estimates(model, bound, gradient, key, *, beta=1.0, num_samples=NUM_SAMPLES, x=X):
    """Estimate with leaves [batch]."""
    bound, estimator = build(bound), estimator_of(gradient)
    prior = model.prior(model.encoder)

    def one(datum, n):
        return estimator.surrogate(
            bound, model, prior, datum, jr.fold_in(key, n), num_samples=num_samples, beta=beta
        )

    return jax.vmap(one)(jnp.asarray(x), jnp.arange(len(x)))


def flat(model):
    parameters, static = eqx.partition(model, eqx.is_inexact_array)
    vector, unravel = ravel_pytree(parameters)
    return vector, lambda v: eqx.combine(unravel(v), static)


@functools.cache
def program(bound, gradient):
    """(vector, keys, beta) -> (gradient of the surrogate, estimate) of every key: what most tests of a pair are about, compiled once."""
    rebuild = flat(TRUTH.model)[1]

    def value(vector, key, beta):
        found = estimates(rebuild(vector), bound, gradient, key, beta=beta)
        return found.surrogate.mean(), found

    return jax.jit(jax.vmap(jax.grad(value, has_aux=True), (None, 0, None)))


DRAWS = 1000


def drawn(bound, gradient, key, *, beta=1.0):
    """(gradients [draws, parameters], estimate with leaves [draws, batch])."""
    return program(bound, gradient)(flat(TRUTH.model)[0], jr.split(key, DRAWS), beta)


def finite_differences(value, vector, h=1e-5):
    steps = h * jnp.eye(len(vector))
    return jax.jit(jax.vmap(lambda s: (value(vector + s) - value(vector - s)) / (2 * h)))(steps)
