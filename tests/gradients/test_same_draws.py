"""Gradients of the very draws: against finite differences, against the published formula, and where there is nothing left to climb."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from gradients._pairs import (
    DRAWS,
    NUM_SAMPLES,
    PAIRS,
    TRUTH,
    X,
    build,
    drawn,
    estimates,
    finite_differences,
    flat,
)
from jensen.gradients import gradients
from jensen.models.vae import vae
from jensen.weights import log_weights
from linear_gaussian import make


def numeric_gradient(bound, key, num_samples=NUM_SAMPLES):
    """Of the bound of these draws by finite differences: the encoder's of what the encoder ascends, the decoder's of what the model ascends."""
    bound = build(bound)
    vector, rebuild = flat(TRUTH.model)

    def value(v, side):
        model = rebuild(v)
        log_w = log_weights(model, jnp.asarray(X), key=key, num_samples=num_samples).tempered()
        return side.sign * jax.vmap(side, in_axes=1)(log_w).mean()

    sides = [
        rebuild(finite_differences(lambda v, s=side: value(v, s), vector))
        for side in (bound.for_encoder, bound.for_model)
    ]
    return flat(eqx.tree_at(lambda m: m.encoder, sides[1], sides[0].encoder))[0]


@pytest.mark.parametrize("bound", [bound for bound, gradient in PAIRS if gradient == "pathwise"])
def test_the_pathwise_gradient_is_that_of_the_bound_of_the_same_draws(x64, bound):
    exact = drawn(bound, "pathwise", jr.key(0))[0][0]
    assert float(jnp.abs(exact).max()) > 0.1
    # h^2 times third derivatives of order 10, and rounding of 10 nats over h.
    np.testing.assert_allclose(
        exact, numeric_gradient(bound, jr.split(jr.key(0), DRAWS)[0]), rtol=1e-6, atol=1e-7
    )


def test_the_closed_form_gradient_is_that_of_its_own_bound_of_the_same_draws(x64):
    vector, rebuild = flat(TRUTH.model)
    key = jr.split(jr.key(0), DRAWS)[0]
    exact = drawn("elbo", "closed_form_kl", jr.key(0))[0][0]
    numeric = finite_differences(
        lambda v: estimates(rebuild(v), "elbo", "closed_form_kl", key).bound.mean(), vector
    )
    np.testing.assert_allclose(exact, numeric, rtol=1e-6, atol=1e-7)


def test_where_q_is_the_posterior_sticking_the_landing_has_no_variance_and_pathwise_has(x64):
    exact = make(dimension=4, latent=2, orthogonal=True)
    model, x = exact.model, exact.data(5, seed=1)
    vector, rebuild = flat(model)

    def encoder_gradient(gradient, bound):
        gradient_of = jax.grad(
            lambda v: estimates(rebuild(v), bound, gradient, jr.key(0), x=x).surrogate.mean()
        )
        return np.concatenate(
            [np.ravel(leaf) for leaf in jax.tree.leaves(rebuild(gradient_of(vector)).encoder)]
        )

    assert np.abs(encoder_gradient("sticking_the_landing", "elbo")).max() < 1e-12
    for bound in ("elbo", "iwae", "renyi", "miwae", "f_divergence"):
        assert np.abs(encoder_gradient("doubly_reparameterised", bound)).max() < 1e-12
    assert np.abs(encoder_gradient("pathwise", "elbo")).max() > 0.1


def test_doubly_reparameterised_is_the_published_estimator_of_the_importance_weighted_bound(x64):
    # sum_i w~_i^2 (d log w_i / d z_i)(d z_i / d phi) for the encoder (Tucker et al. 2019), written out for one datum.
    model, x, key = TRUTH.model, jnp.asarray(X[0]), jr.key(4)
    prior = model.prior(model.encoder)
    noise = jnp.stack(
        [
            (model.encoder(x).sample(jr.fold_in(key, k)) - model.encoder(x).base_dist.loc)
            / model.encoder(x).base_dist.scale
            for k in range(6)
        ]
    )
    held = model.encoder(x)

    def log_w(z):
        return model.decoder(z).log_prob(x) + prior.log_prob(z) - held.log_prob(z)

    z = held.base_dist.loc + noise * held.base_dist.scale
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(log_w)))(z)
    share = jax.nn.softmax(values)
    by_bias = (share**2) @ slopes
    by_log_scale = (share**2) @ (slopes * noise * held.base_dist.scale)
    estimator = gradients.build("doubly_reparameterised", {}, {})
    surrogate = lambda e: estimator.surrogate(  # noqa: E731
        build("iwae"),
        eqx.tree_at(lambda m: m.encoder, model, e),
        prior,
        x,
        key,
        num_samples=6,
        beta=1.0,
    )
    gradient = jax.jit(jax.grad(lambda e: surrogate(e).surrogate))(model.encoder)
    np.testing.assert_allclose(gradient.bias, by_bias, rtol=1e-10)
    np.testing.assert_allclose(gradient.log_scale, by_log_scale, rtol=1e-10)


@pytest.mark.parametrize("prior", ["standard_normal", "mixture", "vamp"])
@pytest.mark.parametrize("bound", ["elbo", "iwae"])
def test_pathwise_on_a_vae_from_names_differentiates_its_bound(x64, prior, bound):
    prior = {"name": prior} | ({} if prior == "standard_normal" else {"num_components": 4})
    x = np.random.default_rng(0).integers(0, 2, (5, 3)).astype(np.uint8)
    network = {"name": "dense", "hidden": (4,), "activation": "tanh"}
    model = vae((3,), latent_dim=2, prior=prior, network=network, data=x, key=jr.key(0))
    model = jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, model)
    vector, rebuild = flat(model)
    vector = vector + 0.1 * jr.normal(jr.key(1), vector.shape)
    # The units (data_mean, data_scale) are held fixed by stop_gradient, so directions leave them alone.
    moved = flat(jax.tree.map(jnp.ones_like, eqx.filter(model, eqx.is_inexact_array)))[1](
        jnp.ones_like(vector)
    )
    fixed = eqx.tree_at(
        lambda m: (m.encoder.data_mean, m.encoder.data_scale), moved, (jnp.zeros(3), jnp.zeros(()))
    )
    directions = jr.normal(jr.key(2), (6, len(vector))) * flat(fixed)[0]
    value = lambda v: estimates(rebuild(v), bound, "pathwise", jr.key(3), x=x)  # noqa: E731
    gradient = jax.jit(jax.grad(lambda v: value(v).surrogate.mean()))(vector)
    numeric = jax.jit(
        jax.vmap(
            lambda d: (
                (value(vector + 1e-5 * d).bound.mean() - value(vector - 1e-5 * d).bound.mean())
                / 2e-5
            )
        )
    )(directions)
    np.testing.assert_allclose(directions @ gradient, numeric, rtol=1e-6, atol=1e-7)
