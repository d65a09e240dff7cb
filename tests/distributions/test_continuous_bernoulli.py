"""The continuous Bernoulli: its normaliser against the paper's formula, and at logits near 0 and far from it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from jensen.distributions import ContinuousBernoulli


def log_prob(logit, x):
    return ContinuousBernoulli(jnp.atleast_1d(logit)).log_prob(jnp.atleast_1d(x))


@pytest.mark.parametrize("lam", [0.001, 0.2, 0.3775, 0.38, 0.45, 0.55, 0.62, 0.6225, 0.9, 0.9999])
def test_density_and_mean_are_the_papers(x64, lam):
    # C(lambda) = 2 artanh(1 - 2 lambda) / (1 - 2 lambda), and the mean lambda / (2 lambda - 1) + 1 / (2 artanh(1 - 2 lambda)).
    logit, x = np.log(lam / (1 - lam)), np.array([0.0, 0.1, 0.5, 0.77, 1.0])
    constant = 2 * np.arctanh(1 - 2 * lam) / (1 - 2 * lam)
    found = [float(log_prob(logit, v)) for v in x]
    np.testing.assert_allclose(
        found, np.log(constant) + x * np.log(lam) + (1 - x) * np.log1p(-lam), atol=1e-11
    )
    mean = lam / (2 * lam - 1) + 1 / (2 * np.arctanh(1 - 2 * lam))
    assert float(ContinuousBernoulli(jnp.array([logit])).mean[0]) == pytest.approx(mean, abs=1e-11)
    np.testing.assert_allclose([jax.grad(log_prob)(logit, v) for v in x], x - mean, atol=1e-11)
    np.testing.assert_allclose(jax.grad(log_prob, 1)(logit, 0.3), logit, rtol=1e-12)


def test_near_one_half_it_is_the_expansion_and_at_one_half_uniform(x64):
    for logit in (0.0, 1e-12, -1e-6, 1e-3):
        for x in (0.0, 0.3, 1.0):
            # log((e^l - 1) / l) = l/2 + l^2/24 - l^4/2880 ...
            assert float(log_prob(logit, x)) == pytest.approx(
                logit * (x - 0.5) - logit**2 / 24, abs=1e-15
            )
            assert float(jax.grad(log_prob)(logit, x)) == pytest.approx(
                x - 0.5 - logit / 12 + logit**3 / 720, abs=1e-14
            )


def test_float32_is_continuous_and_finite_everywhere():
    logits = jnp.concatenate([jnp.linspace(-1.1, 1.1, 401), jnp.array([-1e4, -90.0, 90.0, 1e4])])
    for x in (0.0, 0.3, 1.0):
        found, slope = jax.vmap(jax.value_and_grad(log_prob), (0, None))(logits, x)
        with jax.enable_x64(True):
            wide = jnp.asarray(np.asarray(logits), jnp.float64)
            truth, true_slope = jax.vmap(jax.value_and_grad(log_prob), (0, None))(
                wide, np.float64(np.float32(x))
            )
        np.testing.assert_allclose(found, truth, rtol=1e-6, atol=5e-7)
        np.testing.assert_allclose(slope, true_slope, atol=5e-7)


def test_draws_have_the_distribution_function():
    logits = jnp.array([-60.0, -2.0, 0.0, 1e-7, 0.4, 30.0])
    x = np.asarray(ContinuousBernoulli(logits).sample(jr.key(0), (20_000,)), np.float64)
    assert ((x >= 0) & (x <= 1)).all()
    for i, logit in enumerate(np.asarray(logits, np.float64)):
        for point in (0.01, 0.1, 0.5, 0.9, 0.99):
            truth = np.expm1(logit * point) / np.expm1(logit) if abs(logit) > 1e-6 else point
            assert (
                abs((x[:, i] <= point).mean() - truth)
                < 5 * np.sqrt(truth * (1 - truth) / len(x)) + 1e-9
            )
