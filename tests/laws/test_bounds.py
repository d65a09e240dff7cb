"""Laws of every member of the bounds room, and known values of each."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from jensen.bounds import bounds
from jensen.weights import log_weights
from linear_gaussian import make

ALL = [bounds.build(name, {}, {}) for name in bounds.names()]
LOWER = [b for b in ALL if b.guarantee == "lower"]
every_bound = pytest.mark.parametrize("bound", ALL, ids=bounds.names())
every_lower_bound = pytest.mark.parametrize("bound", LOWER, ids=lambda b: type(b).__name__)


@every_bound
def test_an_exact_posterior_makes_the_bound_the_log_evidence(x64, bound):
    truth = make(orthogonal=True)
    x = truth.data(6, seed=1)
    for num_samples in (1, 2, 7):
        values = jax.vmap(bound, in_axes=1)(log_weights(truth.model, x, jr.key(0), num_samples).tempered())
        assert np.abs(np.asarray(values) - truth.log_evidence(x)).max() < 1e-10


@every_bound
def test_a_constant_factor_of_the_weights_moves_the_bound_by_its_log(x64, bound):
    log_w = jnp.asarray(np.random.default_rng(0).normal(size=9) * 20)
    for c in (-1e4, -3.0, 1e4):
        assert float(bound(log_w + c)) == pytest.approx(float(bound(log_w)) + c, abs=1e-10)


@every_bound
def test_the_order_of_the_samples_does_not_matter_and_one_sample_is_itself(x64, bound):
    log_w = jnp.asarray(np.random.default_rng(1).normal(size=9) * 5)
    assert float(bound(log_w[::-1])) == pytest.approx(float(bound(log_w)), abs=1e-12)
    assert float(bound(log_w[:1])) == pytest.approx(float(log_w[0]), abs=1e-13)


@every_bound
def test_linear_says_whether_the_bound_is_the_mean(x64, bound):
    log_w = jnp.asarray(np.random.default_rng(2).normal(size=9) * 5)
    assert (abs(float(bound(log_w)) - float(log_w.mean())) < 1e-12) == bound.linear


@every_lower_bound
def test_a_lower_bound_is_below_the_evidence_and_does_not_fall_with_more_samples(x64, bound):
    truth = make(shift=0.3, stretch=1.3)
    x = truth.data(1, seed=3)
    log_w = np.asarray(log_weights(truth.model, x, jr.key(1), 24_000).tempered())[:, 0]
    values = {}
    for num_samples in (1, 3, 12):
        groups = np.asarray(jax.vmap(bound)(jnp.asarray(log_w.reshape(-1, num_samples))))
        values[num_samples] = groups.mean(), groups.std() / np.sqrt(len(groups))
        assert groups.mean() < truth.log_evidence(x)[0] + 5 * values[num_samples][1]
    (one, se_one), (three, se_three), (twelve, se_twelve) = values.values()
    assert abs(one - truth.elbo(x)[0]) < 5 * se_one
    assert three > one - 5 * np.hypot(se_one, se_three)
    assert twelve > three - 5 * np.hypot(se_three, se_twelve)


def test_iwae_rises_with_the_number_of_samples_and_closes_most_of_the_gap(x64):
    truth = make(shift=0.3, stretch=1.3)
    x = truth.data(1, seed=3)
    iwae = bounds.build("iwae", {}, {})
    log_w = np.asarray(log_weights(truth.model, x, jr.key(1), 24_000).tempered())[:, 0]
    # In groups of 12 the same draws give every bound, so their differences have small errors.
    groups = jnp.asarray(log_w.reshape(-1, 12))
    values = np.stack([np.asarray(jax.vmap(iwae)(groups[:, :k])) for k in (1, 3, 12)])
    for less, more in itertools.pairwise(values):
        difference = more - less
        assert difference.mean() > 5 * difference.std() / np.sqrt(len(difference))
    assert truth.log_evidence(x)[0] - values[2].mean() < 0.3 * truth.gap(x)[0]


def test_iwae_is_the_log_of_the_mean_weight_never_the_weighted_mean_of_log_weights(x64):
    iwae = bounds.build("iwae", {}, {})
    log_w = np.random.default_rng(4).normal(size=(50, 7)) * 4
    found = np.asarray(jax.vmap(iwae)(jnp.asarray(log_w)))
    np.testing.assert_allclose(found, np.log(np.mean(np.exp(log_w), axis=1)), rtol=1e-12)
    assert (found <= log_w.max(1)).all()
    assert (found >= log_w.mean(1)).all()
    surrogate = np.sum(np.exp(log_w) / np.exp(log_w).sum(1, keepdims=True) * log_w, axis=1)
    assert (surrogate - found).min() > 0  # what others report is too high


@pytest.mark.parametrize("s", [0.8, 1.0, 1.5])
def test_known_elbo_of_one_normal_for_another(s):
    # p = N(0, 1), q = N(0, s^2): the ELBO is -KL = -(s^2 - 1 - log s^2) / 2.
    z = s * np.random.default_rng(5).normal(size=100_000)
    log_w = -0.5 * z**2 + 0.5 * (z / s) ** 2 + np.log(s)
    elbo = float(bounds.build("elbo", {}, {})(jnp.asarray(log_w, jnp.float32)))
    exact = -0.5 * (s**2 - 1 - np.log(s**2))
    assert abs(elbo - exact) < 5 * log_w.std() / np.sqrt(len(z)) + 1e-6


def test_known_iwae_of_two_samples_by_quadrature(x64):
    s = 0.8
    nodes, node_weights = np.polynomial.hermite_e.hermegauss(80)
    log_w = -0.5 * (s * nodes) ** 2 + 0.5 * nodes**2 + np.log(s)
    probability = node_weights / node_weights.sum()
    exact = probability @ np.logaddexp(log_w[:, None], log_w[None]) @ probability - np.log(2)
    z = np.random.default_rng(6).normal(size=(50_000, 2))
    values = np.asarray(jax.vmap(bounds.build("iwae", {}, {}))(jnp.asarray(-0.5 * (s * z) ** 2 + 0.5 * z**2 + np.log(s))))
    assert abs(values.mean() - exact) < 5 * values.std() / np.sqrt(len(values))
    assert -0.5 * (s**2 - 1 - np.log(s**2)) < exact < 0
