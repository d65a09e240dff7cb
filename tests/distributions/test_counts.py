"""Poisson and negative binomial against scipy in float64, and in float32 where the textbook forms lose their digits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from scipy import stats
from scipy.special import digamma, gammaln

from jensen.distributions import NegativeBinomial, Poisson
from jensen.distributions._stirling import (
    digamma_less_log,
    excess,
    log_gamma_half_step,
    stirling_error,
)

COUNTS = [0, 1, 2, 5, 17, 100, 5000]
OFFSETS = np.array([-30, -3, -0.5, -0.01, 0, 0.01, 0.5, 3])


def poisson(log_rate, x):
    return Poisson(jnp.atleast_1d(log_rate)).log_prob(jnp.atleast_1d(x))


def negative_binomial(log_mean, log_r, x):
    return NegativeBinomial(jnp.atleast_1d(log_mean), jnp.atleast_1d(log_r)).log_prob(
        jnp.atleast_1d(x)
    )


both_of_poisson = jax.jit(jax.vmap(jax.value_and_grad(poisson), (0, None)))
one_of_negative_binomial = jax.jit(jax.value_and_grad(negative_binomial, (0, 1)))
both_of_negative_binomial = jax.jit(
    jax.vmap(jax.value_and_grad(negative_binomial, (0, 1)), (0, None, None))
)


def nb_truth(log_mean, log_r, x):
    m, r = np.exp(log_mean), np.exp(log_r)
    return gammaln(x + r) - gammaln(r) - gammaln(x + 1) - r * np.log1p(m / r) - x * np.log1p(r / m)


@pytest.mark.parametrize("x", COUNTS)
def test_poisson_and_its_derivative_are_the_textbooks(x64, x):
    log_rate = np.log(max(x, 0.5)) + OFFSETS
    found, slope = both_of_poisson(jnp.asarray(log_rate), x)
    np.testing.assert_allclose(
        found, stats.poisson.logpmf(x, np.exp(log_rate)), rtol=1e-11, atol=1e-11
    )
    np.testing.assert_allclose(slope, x - np.exp(log_rate), rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("x", COUNTS)
@pytest.mark.parametrize("log_r", [-10.0, -3.0, 0.0, 3.0, 6.0])
def test_negative_binomial_and_its_derivatives_are_the_textbooks(x64, x, log_r):
    log_mean = np.log(max(x, 0.5)) + OFFSETS
    r, m = np.exp(log_r), np.exp(log_mean)
    found, (by_mean, by_r) = both_of_negative_binomial(jnp.asarray(log_mean), log_r, x)
    np.testing.assert_allclose(found, nb_truth(log_mean, log_r, x), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(by_mean, r * (x - m) / (r + m), rtol=1e-10, atol=1e-10)
    truth = r * (digamma(x + r) - digamma(r) - np.log1p(m / r) + (m - x) / (r + m))
    np.testing.assert_allclose(by_r, truth, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rate", [20.0, 1e4, 1e6])
def test_float32_keeps_its_digits_at_large_rates_and_dispersions(rate):
    x = np.random.default_rng(0).poisson(rate, 500)
    log_rate = np.float32(np.log(rate))
    truth, x = stats.poisson.logpmf(x, np.exp(np.float64(log_rate))), jnp.asarray(x)
    # A float32 rate is known to 1e-7 of itself, which x draws see as 1e-7 sqrt(x); the textbook form is off by 1e-7 x log(x).
    tolerance = 2e-6 + 1e-6 * np.sqrt(rate)
    np.testing.assert_allclose(
        jax.jit(jax.vmap(poisson, (None, 0)))(log_rate, x), truth, atol=tolerance
    )
    # At r = e^20 the negative binomial is the Poisson: log p differs by about ((x - m)^2 - x) / 2r.
    found, slopes = jax.jit(jax.vmap(jax.value_and_grad(negative_binomial, 1), (None, None, 0)))(
        log_rate, np.float32(20), x
    )
    np.testing.assert_allclose(found, truth, atol=tolerance + 5 * rate / np.exp(20))
    assert np.abs(np.asarray(slopes)).max() < 1e-6 + 20 * rate / np.exp(20)


def test_edges_are_finite_and_right_in_float32():
    values = [
        float(poisson(jnp.float32(rate), x))
        for rate, x in [(-200, 0), (-200, 3), (10, 0), (80, 0), (-100, 1)]
    ]
    np.testing.assert_allclose(
        values, [0, -600 - np.log(6), -np.exp(10), -np.exp(80), -100], rtol=1e-6, atol=1e-30
    )
    for log_mean, log_r, x in [
        (-200, 0, 0),
        (-80, -20, 4),
        (5, -20, 0),
        (5, -20, 100_000),
        (12, 20, 0),
        (-20, 20, 7),
        (60, 3, 2),
    ]:
        found, slopes = one_of_negative_binomial(jnp.float32(log_mean), jnp.float32(log_r), x)
        with jax.enable_x64(True):
            truth = float(negative_binomial(jnp.float64(log_mean), jnp.float64(log_r), x))
        assert float(found) == pytest.approx(truth, rel=2e-6, abs=1e-6)
        assert np.isfinite(slopes).all()


@pytest.mark.parametrize("log_r", [-3.0, 0.0, 3.0])
def test_negative_binomial_draws_have_its_mean_and_variance(log_r):
    p = NegativeBinomial(jnp.log(jnp.array([0.3, 5.0, 80.0])), jnp.full(3, log_r))
    x = np.asarray(p.sample(jr.key(0), (40_000,)), np.float64)
    assert (np.abs(x.mean(0) - p.mean) < 5 * x.std(0) / 200).all()
    centred = (x - np.asarray(p.mean)) ** 2
    assert (np.abs(centred.mean(0) - p.variance) < 5 * centred.std(0) / 200).all()
    np.testing.assert_allclose(
        p.variance, np.asarray(p.mean) + np.asarray(p.mean) ** 2 / np.exp(log_r), rtol=1e-5
    )


def test_leading_axes_are_kept_and_shapes_summed_over():
    values = jnp.asarray(np.random.default_rng(1).integers(0, 5, (6, 4, 2, 3)))
    for p in (Poisson(jnp.zeros((2, 3))), NegativeBinomial(jnp.zeros((2, 3)), jnp.ones((2, 3)))):
        found = np.asarray(p.log_prob(values))
        np.testing.assert_allclose(
            found, [[p.log_prob(v) for v in row] for row in values], rtol=1e-6
        )


def test_stirling_functions_are_their_definitions(x64):
    x = np.concatenate([np.geomspace(1e-3, 9.99, 40), np.geomspace(10, 300, 40)])
    np.testing.assert_allclose(
        stirling_error(jnp.asarray(x)),
        gammaln(x + 1) - (x + 0.5) * np.log(x) + x - 0.5 * np.log(2 * np.pi),
        atol=3e-12,
    )
    np.testing.assert_allclose(
        digamma_less_log(jnp.asarray(x)), digamma(x) - np.log(x), rtol=1e-11, atol=1e-14
    )
    np.testing.assert_allclose(
        log_gamma_half_step(jnp.asarray(x)),
        gammaln(x + 0.5) - gammaln(x) - 0.5 * np.log(x),
        atol=1e-12,
    )
    # Far out, the leading terms are all there is.
    big = np.geomspace(1e6, 1e12, 7)
    for function, leading in [
        (stirling_error, 1 / 12),
        (digamma_less_log, -1 / 2),
        (log_gamma_half_step, -1 / 8),
    ]:
        np.testing.assert_allclose(function(jnp.asarray(big)), leading / big, rtol=1e-5)
    t = np.concatenate([-np.geomspace(1e-8, 0.999, 40), np.geomspace(1e-8, 1e6, 60)])
    series = t**2 / 2 - t**3 / 3 + t**4 / 4
    truth = np.where(np.abs(t) < 1e-3, series, t - np.log1p(t))
    np.testing.assert_allclose(excess(jnp.asarray(t), jnp.log1p(jnp.asarray(t))), truth, rtol=2e-9)
