"""Expectations over many draws: those of the pathwise gradient, of closed forms, and of the divergence that wake follows."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from jax.flatten_util import ravel_pytree

from gradients._pairs import DRAWS, OPTIONS, PAIRS, TRUTH, X, build, drawn, estimates, flat
from jensen.bounds import bounds
from linear_gaussian import make


@functools.cache
def expected_gradient(bound, gradient, seed, beta=0.4):
    """(mean, variance) over draws."""
    found = np.asarray(drawn(bound, gradient, jr.key(seed), beta=beta)[0])
    return found.mean(0), found.var(0) / DRAWS


@pytest.mark.parametrize(
    ("bound", "gradient"), [pair for pair in PAIRS if pair[1] not in ("pathwise", "wake")]
)
def test_every_estimator_has_the_expectation_of_the_pathwise_gradient_at_any_beta(
    x64, bound, gradient
):
    (ours, ours_variance), (pathwise, pathwise_variance) = (
        expected_gradient(bound, gradient, 1),
        expected_gradient(bound, "pathwise", 2),
    )
    se = np.sqrt(ours_variance + pathwise_variance)
    assert (np.abs(ours - pathwise) < 5 * se + 1e-12).all()
    assert np.median(se) < 0.07 * np.abs(pathwise).max()


def surrogate_gradient(bound, gradient, key, **options):
    vector, rebuild = flat(TRUTH.model)
    return jax.grad(
        lambda v: estimates(rebuild(v), bound, gradient, key, **options).surrogate.mean()
    )(vector)


@pytest.mark.parametrize("bound", ["eubo", "cubo"])
def test_the_wake_gradient_is_that_of_the_divergence_of_the_posterior_from_q(x64, bound):
    # With many samples, whose self-normalisation is then without bias to speak of. By the encoder's shift and log stretch, in closed form.
    _, covariance = TRUTH.posterior(X)
    precision, n = np.linalg.inv(covariance), OPTIONS["cubo"]["n"]

    def divergence(shift, log_stretch):
        scale = np.exp(log_stretch) * np.sqrt(TRUTH.s2 / np.diag(TRUTH.m))
        if bound == "eubo":
            return float(
                np.sum((np.diag(covariance) + shift**2) / scale**2 / 2 + np.log(scale))
            )  # up to the posterior's entropy
        # (1/n) log of the integral of posterior^n q^(1 - n), up to what the encoder does not move.
        q, s = np.diag(scale**-2), shift * np.ones(2)
        a = n * precision - (n - 1) * q
        square = (n - 1) ** 2 / 2 * s @ q @ np.linalg.solve(a, q @ s) + (n - 1) / 2 * s @ q @ s
        return float(
            (square + (1 - n) / 2 * np.linalg.slogdet(q)[1] - np.linalg.slogdet(a)[1] / 2) / n
        )

    h, at = 1e-5, np.array([0.3, np.log(1.3)])
    exact = [
        -(divergence(*(at + h * step)) - divergence(*(at - h * step))) / (2 * h)
        for step in np.eye(2)
    ]
    _, rebuild = flat(TRUTH.model)

    def projected(key):
        tree = rebuild(surrogate_gradient(bound, "wake", key, num_samples=2000))
        return jnp.stack([tree.encoder.bias.sum(), tree.encoder.log_scale.sum()])

    draws = np.asarray(
        jax.jit(lambda keys: jax.lax.map(projected, keys, batch_size=20))(jr.split(jr.key(2), 200))
    )
    assert (np.abs(draws.mean(0) - exact) < 5 * draws.std(0) / np.sqrt(len(draws))).all()
    assert (draws.std(0) / np.sqrt(len(draws)) < 0.01 * np.abs(exact).max()).all()
    # The model's side is the gradient of the importance weighted bound, draw by draw.
    for ours, theirs in zip(
        jax.tree.leaves(rebuild(drawn(bound, "wake", jr.key(3))[0][0]).decoder),
        jax.tree.leaves(rebuild(drawn("iwae", "score_function", jr.key(3))[0][0]).decoder),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize(("bound", "gradient"), [p for p in PAIRS if p[0] == "elbo"])
def test_the_expected_gradient_of_the_elbo_is_that_of_the_closed_form(x64, bound, gradient):
    # By the encoder's shift and the log of its stretch, from the closed form by central differences.
    def closed_form(shift, log_stretch):
        return make(dimension=4, latent=2, shift=shift, stretch=np.exp(log_stretch)).elbo(X).mean()

    h, shift, log_stretch = 1e-5, 0.3, np.log(1.3)
    exact = [
        (closed_form(shift + h, log_stretch) - closed_form(shift - h, log_stretch)) / (2 * h),
        (closed_form(shift, log_stretch + h) - closed_form(shift, log_stretch - h)) / (2 * h),
    ]
    trees = jax.vmap(flat(TRUTH.model)[1])(
        jnp.concatenate([drawn(bound, gradient, key)[0] for key in jr.split(jr.key(2))])
    )
    draws = np.stack([trees.encoder.bias.sum(1), trees.encoder.log_scale.sum(1)], axis=1)
    assert (np.abs(draws.mean(0) - exact) < 5 * draws.std(0) / np.sqrt(len(draws))).all()


@pytest.mark.parametrize(("bound", "gradient"), PAIRS)
def test_beta_moves_the_gradient_but_not_what_is_reported(x64, bound, gradient):
    (slopes_at_one, at_one), (slopes_at_four, at_four) = (
        drawn(bound, gradient, jr.key(3), beta=beta) for beta in (1.0, 4.0)
    )
    for term in ("bound", "reconstruction", "average_kl"):
        np.testing.assert_array_equal(getattr(at_one, term), getattr(at_four, term))
    change = slopes_at_four[0] - slopes_at_one[0]
    assert float(jnp.abs(change).max()) > 0.1
    if (
        gradient in ("closed_form_kl", "pathwise") and bound == "elbo"
    ):  # the others differentiate the terms by paths of their own
        vector, rebuild = flat(TRUTH.model)
        key = jr.split(jr.key(3), DRAWS)[0]
        terms = jax.grad(
            lambda v: -3 * estimates(rebuild(v), bound, gradient, key).average_kl.mean()
        )(vector)
        np.testing.assert_allclose(change, terms, atol=1e-10)


@pytest.mark.parametrize(("bound", "gradient"), PAIRS)
def test_what_is_reported_is_the_bound_of_the_closed_form(x64, bound, gradient):
    found = jax.tree.map(
        lambda *v: np.concatenate(v).T,
        *(drawn(bound, gradient, key)[1] for key in jr.split(jr.key(4))),
    )
    for values, exact in [
        (found.reconstruction, TRUTH.reconstruction(X)),
        (found.average_kl, TRUTH.average_kl(X)),
    ]:
        assert (
            np.abs(values.mean(1) - exact) < 5 * values.std(1) / np.sqrt(2 * DRAWS) + 1e-10
        ).all()
    values = found.bound
    slack = 5 * values.std(1) / np.sqrt(2 * DRAWS)
    if bounds.find(bound).linear:
        assert (np.abs(values.mean(1) - TRUTH.elbo(X)) < slack).all()
        np.testing.assert_allclose(
            found.bound, found.reconstruction - found.average_kl, rtol=0, atol=1e-10
        )
    elif build(bound).guarantee == "lower":
        assert (values.mean(1) > TRUTH.elbo(X)).all()
        assert (values.mean(1) < TRUTH.log_evidence(X) + slack).all()


def test_at_the_exact_posterior_the_expected_gradient_of_the_encoder_vanishes(x64):
    truth = make(dimension=4, latent=2, orthogonal=True)
    vector, rebuild = flat(truth.model)

    def encoder_gradient(key):
        value = lambda v: estimates(  # noqa: E731
            rebuild(v), "elbo", "pathwise", key, x=truth.data(5, seed=1)
        ).surrogate.mean()
        return ravel_pytree(
            eqx.filter(rebuild(jax.grad(value)(vector)).encoder, eqx.is_inexact_array)
        )[0]

    draws = np.asarray(jax.lax.map(encoder_gradient, jr.split(jr.key(5), 1000), batch_size=200))
    se = draws.std(0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(0)) < 5 * se).all()
    assert (se < 0.05).all()
