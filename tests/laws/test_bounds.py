"""Laws of every member of the bounds room, and known values of each."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from scipy.stats import norm

from jensen.bounds import bounds
from jensen.weights import log_weights
from linear_gaussian import make

compiled = eqx.filter_jit(log_weights)

GROUPED = {
    "miwae",
    "piwae",
}  # these want a number of samples that the number of their groups divides
ALL = [
    bounds.build(name, {"num_groups": 1} if name in GROUPED else {}, {}) for name in bounds.names()
]
LOWER = [b for b in ALL if b.guarantee == "lower"]
every_bound = pytest.mark.parametrize("bound", ALL, ids=bounds.names())
every_lower_bound = pytest.mark.parametrize("bound", LOWER, ids=lambda b: type(b).__name__)


@every_bound
def test_an_exact_posterior_makes_the_bound_the_log_evidence(x64, bound):
    truth = make(orthogonal=True)
    x = truth.data(6, seed=1)
    for num_samples in (1, 2, 7):
        values = jax.vmap(bound, in_axes=1)(
            compiled(truth.model, x, key=jr.key(0), num_samples=num_samples).tempered()
        )
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
    log_w = np.asarray(compiled(truth.model, x, key=jr.key(1), num_samples=24_000).tempered())[:, 0]
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
    log_w = np.asarray(compiled(truth.model, x, key=jr.key(1), num_samples=24_000).tempered())[:, 0]
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
    values = np.asarray(
        jax.vmap(bounds.build("iwae", {}, {}))(
            jnp.asarray(-0.5 * (s * z) ** 2 + 0.5 * z**2 + np.log(s))
        )
    )
    assert abs(values.mean() - exact) < 5 * values.std() / np.sqrt(len(values))
    assert -0.5 * (s**2 - 1 - np.log(s**2)) < exact < 0


@every_bound
def test_derivatives_are_those_of_the_bound(x64, bound):
    log_w = jnp.asarray(np.random.default_rng(7).normal(size=7) * 3)
    (first, second), slopes, curvatures = jax.jit(
        lambda w: (bound.derivatives(w), jax.grad(bound)(w), jnp.diag(jax.hessian(bound)(w)))
    )(log_w)
    np.testing.assert_allclose(first, slopes, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(second, curvatures, rtol=1e-9, atol=1e-13)
    assert float(first.sum()) == pytest.approx(1, abs=1e-12)  # a constant moves the bound by itself


@pytest.mark.parametrize("name", sorted(GROUPED))
def test_groups_are_means_of_importance_weighted_bounds_for_the_encoder(x64, name):
    log_w = np.random.default_rng(8).normal(size=12) * 3
    bound = bounds.build(name, {"num_groups": 4}, {})
    grouped = np.mean([np.log(np.mean(np.exp(log_w[i : i + 3]))) for i in range(0, 12, 3)])
    assert float(bound.for_encoder(jnp.asarray(log_w))) == pytest.approx(grouped, abs=1e-12)
    whole = np.log(np.mean(np.exp(log_w)))
    assert float(bound(jnp.asarray(log_w))) == pytest.approx(
        grouped if name == "miwae" else whole, abs=1e-12
    )
    assert float(bound.for_model(jnp.asarray(log_w))) == float(bound(jnp.asarray(log_w)))
    side = bound.for_encoder
    (first, second), slopes, curvatures = jax.jit(
        lambda w: (side.derivatives(w), jax.grad(side)(w), jnp.diag(jax.hessian(side)(w)))
    )(jnp.asarray(log_w))
    np.testing.assert_allclose(first, slopes, rtol=1e-10)
    np.testing.assert_allclose(second, curvatures, rtol=1e-9, atol=1e-14)


# validation.md, case 3: p = N(0, 1), q = N(0, s^2). E_q w^2 is an integral under N(0, s^2 / (2 s^2 - 1)), 1.9 times as wide as q at s = .8, where points at the
# quantiles of q end at 5 standard deviations: the squares' figures are then good to 5% only, and at s = 1.3 to all digits.
KNOWN = [
    ("renyi", {"alpha": 0.5}, 0.8, -0.0246926, 1e-5),
    ("renyi", {"alpha": 2.0}, 0.8, -0.0694012, 1e-5),
    ("renyi", {"alpha": 0.0}, 0.8, 0.0, 1e-4),
    ("cubo", {"n": 2.0}, 0.8, 0.5 * np.log(1.2094863), 5e-3),
    ("cubo", {"n": 2.0}, 1.3, 0.5 * np.log(1.3**2 / np.sqrt(2 * 1.3**2 - 1)), 1e-5),
    ("eubo", {}, 0.8, 0.5 * (0.8**-2 - 1 + np.log(0.8**2)), 2e-4),
    ("ciwae", {"elbo_weight": 0.25}, 0.8, -0.125 * (0.8**2 - 1 - np.log(0.8**2)), 1e-4),
    ("f_divergence", {"generator": "reverse_kl"}, 0.8, -0.5 * (0.8**2 - 1 - np.log(0.8**2)), 1e-5),
    ("f_divergence", {"generator": "forward_kl"}, 0.8, -0.5 * (0.8**-2 - 1 + np.log(0.8**2)), 4e-4),
    ("f_divergence", {"generator": "chi_squared"}, 1.3, 1 - 1.3**2 / np.sqrt(2 * 1.3**2 - 1), 1e-5),
    (
        "f_divergence",
        {"generator": "hellinger"},
        0.8,
        -2 * (1 - np.sqrt(2 * 0.8 / (1 + 0.8**2))),
        1e-4,
    ),
]


@pytest.mark.parametrize(("name", "options", "s", "exact", "tolerance"), KNOWN)
def test_known_limits_of_one_normal_for_another(x64, name, options, s, exact, tolerance):
    # Points at the quantiles of q: the samples' average becomes a sum over a grid of equal probabilities.
    count = 2_000_000
    z = s * norm.ppf((np.arange(count) + 0.5) / count)
    log_w = jnp.asarray(-0.5 * z**2 + 0.5 * (z / s) ** 2 + np.log(s))
    assert float(bounds.build(name, options, {})(log_w)) == pytest.approx(exact, abs=tolerance)


def test_jensen_shannon_is_the_mean_of_two_divergences_from_the_middle(x64):
    t = np.linspace(-30, 30, 400_001)
    p, q = (np.exp(-0.5 * (t / s) ** 2) / (s * np.sqrt(2 * np.pi)) for s in (1.0, 0.8))
    middle = (p + q) / 2
    exact = np.trapezoid(
        0.5 * np.where(p > 0, p * np.log(p / middle + 1e-300), 0)
        + 0.5 * np.where(q > 0, q * np.log(q / middle + 1e-300), 0),
        t,
    )
    z = 0.8 * np.random.default_rng(9).normal(size=400_000)
    log_w = jnp.asarray(-0.5 * z**2 + 0.5 * (z / 0.8) ** 2 + np.log(0.8))
    assert float(bounds.build("f_divergence", {}, {})(log_w)) == pytest.approx(-exact, abs=5e-4)


def test_a_callable_is_any_f_and_the_value_stays_below_the_evidence_estimate(x64):
    log_w = jnp.asarray(np.random.default_rng(10).normal(size=9) * 4)
    f_divergence, iwae = bounds.find("f_divergence"), bounds.build("iwae", {}, {})
    own = f_divergence(generator=lambda log_t: jnp.exp(log_t) * log_t)
    assert float(own(log_w)) == pytest.approx(
        float(f_divergence(generator="forward_kl")(log_w)), abs=1e-12
    )
    assert float(f_divergence(generator="reverse_kl")(log_w)) == pytest.approx(
        float(log_w.mean()), abs=1e-12
    )
    for generator in ("reverse_kl", "forward_kl", "chi_squared", "hellinger", "jensen_shannon"):
        assert float(f_divergence(generator=generator)(log_w)) < float(iwae(log_w))
    # In log space: weights of e^700 overflow as such.
    assert np.isfinite(float(f_divergence(generator="chi_squared")(700 * log_w)))


def test_renyi_joins_its_neighbours(x64):
    log_w = jnp.asarray(np.random.default_rng(11).normal(size=9) * 4)
    renyi = lambda alpha: float(bounds.build("renyi", {"alpha": alpha}, {})(log_w))  # noqa: E731
    assert renyi(0.0) == pytest.approx(float(bounds.build("iwae", {}, {})(log_w)), abs=1e-12)
    assert renyi(1 - 1e-6) == pytest.approx(float(log_w.mean()), abs=1e-4)
    assert renyi(1 + 1e-6) == pytest.approx(float(log_w.mean()), abs=1e-4)
    values = [renyi(alpha) for alpha in (0.0, 0.3, 0.9, 1.5, 4.0, 50.0)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("name", "options", "rises"),
    [
        ("miwae", {"num_groups": 2}, True),
        ("ciwae", {"elbo_weight": 0.2}, True),
        ("piwae", {"num_groups": 2}, True),
        ("renyi", {"alpha": 0.5}, True),
        ("renyi", {"alpha": 3.0}, False),
        ("cubo", {}, True),
        ("eubo", {}, True),
    ],
)
def test_bounds_rise_or_fall_with_the_number_of_samples_as_they_say(x64, name, options, rises):
    truth = make(shift=0.3, stretch=1.3)
    x = truth.data(1, seed=3)
    groups = jnp.asarray(
        np.asarray(compiled(truth.model, x, key=jr.key(1), num_samples=24_000).tempered())[
            :, 0
        ].reshape(-1, 12)
    )
    values = np.stack(
        [np.asarray(jax.vmap(bounds.build(name, options, {}))(groups[:, :k])) for k in (2, 4, 12)]
    )
    for less, more in itertools.pairwise(values):
        difference = (more - less) * (1 if rises else -1)
        assert difference.mean() > 5 * difference.std() / np.sqrt(len(difference))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("renyi", {"alpha": 1.0}, "use --bound elbo"),
        ("renyi", {"alpha": 1}, "use --bound elbo"),
        ("renyi", {"alpha": -0.5}, "alpha must be 0 or more.*got -0.5.*--bound cubo"),
        ("renyi", {"alpha": float("nan")}, "got nan"),
        ("cubo", {"n": 1.0}, "n must be more than 1.*got 1.0.*--bound iwae"),
        ("cubo", {"n": float("inf")}, "got inf"),
        ("ciwae", {"elbo_weight": 1.5}, "between 0 \\(iwae\\) and 1 \\(elbo\\); got 1.5"),
        ("miwae", {"num_groups": 0}, "num_groups must be at least 1; got 0"),
        ("piwae", {"num_groups": 0}, "num_groups must be at least 1; got 0"),
        ("f_divergence", {"generator": "kl"}, "generator"),
    ],
)
def test_values_out_of_range_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        bounds.build(name, options, {})
