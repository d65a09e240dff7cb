"""The one-pass Bernoulli against the textbook form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from jensen.distributions import Bernoulli


def textbook(logits, value):
    # -log(1 + e^-l) and -log(1 + e^l), each without overflow.
    return np.sum(np.where(value == 1, -np.logaddexp(0, -logits), -np.logaddexp(0, logits)))


def log_prob(logits, value):
    return Bernoulli(logits).log_prob(value)


@pytest.mark.parametrize("size", [0.1, 3.0, 30.0])
def test_log_prob_and_gradient_are_the_textbooks(x64, size):
    rng = np.random.default_rng(0)
    logits, value = size * rng.normal(size=(4, 5)), rng.integers(0, 2, (4, 5)).astype(np.uint8)
    assert float(log_prob(jnp.asarray(logits), jnp.asarray(value))) == pytest.approx(
        textbook(logits, value), rel=1e-13
    )
    gradient = np.asarray(jax.grad(log_prob)(jnp.asarray(logits), jnp.asarray(value)))
    np.testing.assert_allclose(gradient, value - 1 / (1 + np.exp(-logits)), atol=1e-13)
    h = 1e-5
    for place in np.ndindex(4, 5):
        step = np.zeros((4, 5))
        step[place] = h
        finite = (textbook(logits + step, value) - textbook(logits - step, value)) / (2 * h)
        # Rounding of a value of up to 600 nats over 2h, and the third derivative (at most 0.1) times h^2.
        assert (
            abs(finite - gradient[place]) < 1e-13 * max(1, abs(textbook(logits, value))) / h + 1e-9
        )


def test_second_derivative_and_derivative_by_the_value(x64):
    logits, value = jnp.array([-2.0, 0.0, 3.0]), jnp.array([1.0, 1.0, 0.0])
    p = 1 / (1 + np.exp(-np.asarray(logits)))
    np.testing.assert_allclose(
        jax.hessian(log_prob)(logits, value), np.diag(-p * (1 - p)), atol=1e-13
    )
    np.testing.assert_allclose(jax.grad(log_prob, argnums=1)(logits, value), logits, atol=1e-13)


def test_extreme_logits_are_finite_and_right_in_float32():
    logits = jnp.array([100.0, -100.0, 100.0, -100.0, 1e4, 0.0])
    value = jnp.array([1, 0, 0, 1, 1, 0], jnp.uint8)
    each = [float(log_prob(logits[i : i + 1], value[i : i + 1])) for i in range(6)]
    np.testing.assert_allclose(each, [0, 0, -100, -100, 0, -np.log(2)], rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(
        jax.grad(log_prob)(logits, value), [0, 0, -1, 1, 0, -0.5], atol=1e-30
    )


def test_log_prob_keeps_leading_axes_and_their_gradients(x64):
    rng = np.random.default_rng(1)
    logits, values = rng.normal(size=(2, 3)), rng.integers(0, 2, (6, 4, 2, 3)).astype(np.uint8)
    found = np.asarray(log_prob(jnp.asarray(logits), jnp.asarray(values)))
    assert found.shape == (6, 4)
    np.testing.assert_allclose(
        found, [[textbook(logits, v) for v in row] for row in values], rtol=1e-13
    )
    weights = rng.normal(size=(6, 4))
    gradient = jax.grad(lambda lg: jnp.sum(weights * log_prob(lg, jnp.asarray(values))))(
        jnp.asarray(logits)
    )
    np.testing.assert_allclose(
        gradient, np.tensordot(weights, values - 1 / (1 + np.exp(-logits)), 2), atol=1e-12
    )


def test_samples_have_the_probabilities_of_the_density():
    logits = jnp.asarray(np.random.default_rng(2).normal(size=(3, 4)) * 2)
    samples = np.asarray(Bernoulli(logits).sample(jr.key(0), (20_000,)))
    p = np.asarray(Bernoulli(logits).mean)
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-np.asarray(logits))), rtol=1e-5)
    assert (np.abs(samples.mean(0) - p) < 5 * np.sqrt(p * (1 - p) / len(samples))).all()
    # Independent elements: the covariance of any two is 0.
    centred = (samples - p).reshape(len(samples), -1)
    products = centred[:, :, None] * centred[:, None]
    off = ~np.eye(12, dtype=bool)
    assert (np.abs(products.mean(0)) < 5 * products.std(0) / np.sqrt(len(samples)))[off].all()
