"""Gradients for discrete codes against exact ones: the expectation of a bound over all codes, or all tuples of codes, differentiated in float64."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from jax.flatten_util import ravel_pytree

from discrete import DISCRETE, all_codes, small_vae
from jensen.bounds import bounds
from jensen.gradients import gradients
from jensen.models.vae import vae

X = jnp.asarray(np.random.default_rng(0).integers(0, 2, (3, 3)).astype(np.uint8))
VARIABLES = 2


def flat(model):
    parameters, static = eqx.partition(model, eqx.is_inexact_array)
    vector, unravel = ravel_pytree(parameters)
    return vector, lambda v: eqx.combine(unravel(v), static)


def exact_bound(model, name, bound, num_samples, beta=1.0):
    """The mean over X of E_q(z_1) ... E_q(z_K) bound, by enumeration of the tuples."""
    codes = jnp.asarray(all_codes(name, VARIABLES))
    prior = model.prior(model.encoder)
    tuples = jnp.asarray(list(itertools.product(range(len(codes)), repeat=num_samples)))

    def one(x):
        posterior = model.encoder(x)
        log_q = jax.vmap(posterior.log_prob)(codes)
        log_w = (
            jax.vmap(lambda z: model.decoder(z).log_prob(x) + beta * prior.log_prob(z))(codes)
            - beta * log_q
        )
        return jnp.sum(jnp.exp(log_q[tuples].sum(1)) * jax.vmap(bound)(log_w[tuples]))

    return jax.vmap(one)(X).mean()


@pytest.mark.parametrize("name", DISCRETE)
@pytest.mark.parametrize("gradient", ["score_function", "vimco"])
@pytest.mark.parametrize(
    ("bound", "num_samples", "beta"),
    [("elbo", 2, 1.0), ("elbo", 3, 0.4), ("iwae", 2, 1.0), ("iwae", 3, 1.0)],
)
def test_gradients_agree_in_expectation_with_the_exact_ones(
    x64, name, gradient, bound, num_samples, beta
):
    bound, estimator = bounds.build(bound, {}, {}), gradients.build(gradient, {}, {})
    model = small_vae(name, variables=VARIABLES)
    estimator.check(bound, model, num_samples)
    vector, rebuild = flat(model)
    exact = jax.jit(
        jax.grad(
            lambda v: exact_bound(rebuild(v), name, bound, 1 if bound.linear else num_samples, beta)
        )
    )(vector)

    def surrogate(v, key):
        m = rebuild(v)
        prior = m.prior(m.encoder)
        one = lambda x, n: estimator.surrogate(  # noqa: E731
            bound, m, prior, x, jr.fold_in(key, n), num_samples=num_samples, beta=beta
        )
        found = jax.vmap(one)(X, jnp.arange(len(X)))
        return found.surrogate.mean(), found.bound.mean()

    both = jax.grad(surrogate, has_aux=True)
    draws, values = jax.jit(
        lambda keys: jax.lax.map(lambda key: both(vector, key), keys, batch_size=500)
    )(jr.split(jr.key(1), 6000))
    draws, values = np.asarray(draws), np.asarray(values)
    se = draws.std(0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(0) - exact) < 5 * se + 1e-12).all()
    strong = np.abs(exact) > 0.05
    assert strong.sum() > 10
    assert np.median(se[strong] / np.abs(exact[strong])) < 0.2  # the agreement says something
    at_one = float(exact_bound(model, name, bound, 1 if bound.linear else num_samples))
    assert abs(values.mean() - at_one) < 5 * values.std() / np.sqrt(len(values))


@pytest.mark.parametrize("name", DISCRETE)
@pytest.mark.parametrize(
    "gradient", ["pathwise", "closed_form_kl", "sticking_the_landing", "doubly_reparameterised"]
)
def test_gradients_through_the_draws_are_refused_with_the_reason_and_those_that_are_valid(
    name, gradient
):
    model = vae(
        (3,),
        latent_dim=2,
        prior=name,
        encoder=name,
        network={"name": "dense", "hidden": (4,)},
        key=jr.key(0),
    )
    bound = bounds.build("iwae" if gradient == "doubly_reparameterised" else "elbo", {}, {})
    with pytest.raises(
        ValueError,
        match=rf"gradient {gradient}: .*draws.*{name} encoder.*Valid here: .*--gradient score_function, --gradient vimco",
    ):
        gradients.build(gradient, {}, {}).check(bound, model, 4)
