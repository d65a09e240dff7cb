"""What is told of an estimate that k-hat does not trust: a lower bound, where such data matter to the mean, and no error."""

import jax.random as jr
import numpy as np
import pytest

import linear_gaussian
from jensen.evidence import Evidence, estimate_evidence, evidence_of_log_weights, pareto_k
from jensen.evidence._shortfall import tail_size, tenfold_rises
from jensen.evidence.importance import Importance

RNG = np.random.default_rng(0)


def evidence(values, errors, trusted, shortfalls, **more) -> Evidence:
    n = len(values)
    return Evidence(
        np.asarray(values, float),
        np.full(n, errors),
        np.full(n, 500.0),
        np.where(trusted, 0.2, 1.7),
        1000,
        "Importance",
        trusted=np.asarray(trusted),
        shortfalls=np.asarray(shortfalls, float),
        **more,
    )


def pareto_log_weights(k: float, rows: int, samples: int) -> np.ndarray:
    return k * RNG.exponential(size=(rows, samples))  # log of u^(-k), u uniform: shape k


@pytest.mark.parametrize("k", [0.8, 1.0, 1.7])
def test_the_rise_is_what_ten_times_as_many_pareto_weights_add(k):
    """Of pure Pareto weights, by simulation: the median over rows of the log of the mean of 10 S weights less that of S."""
    samples = 1000
    log_w = pareto_log_weights(k, 200, 10 * samples)
    few = evidence_of_log_weights(log_w[:, :samples])
    many = evidence_of_log_weights(log_w)
    seen = np.median(many.values - few.values)
    told = np.median(tenfold_rises(np.full(200, k), few.effective_samples, few.samples))
    assert 0.5 * seen < told < 2 * seen, (seen, told)


def test_the_rise_of_harmless_weights_is_harmless():
    samples = np.array([1000, 1000, 1000])
    k = np.array([0.2, -np.inf, 0.9])
    # The last is of weights that are equal to one part in ten thousand: a tail that is fitted to noise.
    effective = np.array([900.0, 1000.0, 1000 / (1 + 1e-8)])
    rises = tenfold_rises(k, effective, samples)
    assert rises[0] < 0.01
    assert rises[1] == 0
    assert rises[2] < 1e-4
    assert (tenfold_rises(np.array([np.nan, np.inf]), effective[:2], samples[:2]) == np.inf).all()
    # Where the two formulas meet, and far beyond.
    near = tenfold_rises(np.array([1 - 1e-7, 1 + 1e-5]), np.ones(2), samples[:2])
    assert near[0] == pytest.approx(near[1], abs=1e-4)
    assert tail_size(1000) == 94
    assert tenfold_rises(np.array([400.0]), np.ones(1), samples[:1])[0] == pytest.approx(
        399 * np.log(10), abs=0.01
    )


def test_two_percent_of_the_data_that_may_be_low_by_nats_make_a_lower_bound():
    trusted = np.arange(100) >= 2
    found = evidence(np.full(100, -90.0), 0.05, trusted, np.where(trusted, 0.0, 1.6))
    assert found.untrusted == 0.02
    assert found.shortfall == pytest.approx(0.032)
    assert found.bound == "lower"
    assert np.isnan(found.error)


def test_half_the_data_untrusted_by_less_than_the_error_do_not():
    trusted = np.arange(100) >= 50
    found = evidence(np.full(100, -90.0), 0.2, trusted, np.where(trusted, 0.0, 0.01))
    assert found.bound == ""
    assert found.error == found.standard_error == pytest.approx(0.02)


def test_one_untrusted_datum_alone_is_a_bound_whatever_its_own_error():
    found = evidence([-90.0], 0.9, [False], [0.3])
    assert found.bound == "lower"
    assert evidence([-90.0], 0.9, [True], [0.0]).bound == ""


def test_tails_without_variance_widen_the_error_of_the_mean_and_others_do_not():
    """k-hat of 0.6 is trusted, but its tail has no variance: what it lacks is common to all data."""
    k_hat = np.repeat([0.2, 0.6], 50)
    values, errors, effective = np.full(100, -90.0), np.full(100, 0.02), np.full(100, 500.0)
    mixed = Evidence(values, errors, effective, k_hat, 1000, "Importance")
    assert mixed.trusted.all()
    assert mixed.bound == ""
    assert mixed.shortfall == 0.0
    rise = tenfold_rises(k_hat, effective, mixed.samples)[-1]
    # By the delta method, E log(mean of w) = log p(x) - se^2 / 2 where the weights have a variance.
    np.testing.assert_allclose(mixed.shortfalls, np.where(k_hat > 0.5, rise, 0.5 * 0.02**2))
    assert mixed.bias == pytest.approx(0.5 * (rise + 0.0002))
    assert mixed.standard_error == pytest.approx(0.002)
    assert mixed.error == pytest.approx(np.hypot(0.002, mixed.bias))
    light = mixed.rows(np.arange(50))
    assert light.error < 1.01 * light.standard_error
    # More data lessen the Monte Carlo error, not what all of them lack.
    heavy = mixed.rows(np.tile(np.arange(50, 100), 20))
    assert heavy.bias == pytest.approx(mixed.rows(np.arange(50, 51)).bias)


def test_smoothed_weights_are_not_even_a_bound():
    log_w = pareto_log_weights(1.7, 3, 500)
    plain = evidence_of_log_weights(log_w)
    assert plain.bound == "lower"
    trusted = np.zeros(3, bool)
    assert evidence([1.0] * 3, 0.1, trusted, [1.0] * 3, unbiased_weights=False).bound == "unknown"


@pytest.mark.usefixtures("x64")
def test_where_the_error_is_told_it_covers_and_where_it_does_not_the_value_is_too_low():
    """A proposal far too narrow in six dimensions: the exact log p(x) lies above the estimate, by many of the errors not told."""
    narrow = linear_gaussian.make(latent=6, dimension=9, stretch=0.5)
    x = narrow.data(60, seed=1)
    low = estimate_evidence(narrow.model, x, Importance(num_samples=400), key=jr.key(0))
    missing = narrow.log_evidence(x).mean() - low.value
    assert low.bound == "lower"
    assert missing > 5 * low.standard_error
    assert low.shortfall > 2 * low.standard_error
    # Twice too wide has bounded weights: the error covers, and is told.
    wide = linear_gaussian.make(latent=2, dimension=5, stretch=1.3)
    x = wide.data(60, seed=1)
    found = estimate_evidence(wide.model, x, Importance(num_samples=400), key=jr.key(0))
    assert found.bound == ""
    assert abs(found.value - wide.log_evidence(x).mean()) < 4 * found.error


def test_smoothing_and_the_jackknife_say_that_they_are_no_bound():
    world = linear_gaussian.make(latent=6, dimension=9, stretch=0.5)
    x = world.data(5, seed=1).astype(np.float32)
    for options in ({"smooth": True}, {"correction": "jackknife"}):
        found = estimate_evidence(
            world.model, x, Importance(num_samples=100, **options), key=jr.key(0)
        )
        assert found.bound == "unknown"
    assert pareto_k(np.zeros((1, 100)))[0] == -np.inf
