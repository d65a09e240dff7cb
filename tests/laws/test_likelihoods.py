"""Laws of every member of the likelihoods room: a density or mass function over the data's own units."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from scipy.stats import norm

from jensen.likelihoods import check_support, likelihoods, summarise

RNG = np.random.default_rng(0)
ROWS = {
    "bernoulli": RNG.integers(0, 2, (50, 3)).astype(np.uint8),
    "normal": 40 + np.array([0.5, 3.0, 20.0]) * RNG.normal(size=(50, 3)),
}
CASES = [("bernoulli", {}), ("normal", {"scale": "shared"}), ("normal", {"scale": "element"}), ("normal", {"scale": "datum"})]
every_likelihood = pytest.mark.parametrize(("name", "options"), CASES)


def build(name, options, rows):
    return likelihoods.build(name, options, {"event_shape": rows.shape[1:], "data": summarise(rows)})


def test_every_member_has_its_laws_tested():
    assert {name for name, _ in CASES} == set(likelihoods.names())


@every_likelihood
def test_probabilities_sum_to_one(x64, name, options):
    if name == "bernoulli":
        head = build(name, options, ROWS[name])
        values = jnp.asarray(list(itertools.product([0, 1], repeat=3)))
        p = head(jnp.asarray(RNG.normal(size=head.num_outputs)))
        total = np.exp(np.asarray(jax.vmap(p.log_prob)(values))).sum()
    else:
        head = build(name, options, ROWS[name][:, 2:])
        p = head(jnp.asarray(RNG.normal(size=head.num_outputs)))
        mean, step = float(p.mean[0]), 0.05
        values = mean + np.arange(-400, 400, step)
        total = np.exp(np.asarray(jax.vmap(p.log_prob)(jnp.asarray(values)[:, None]))).sum() * step
    assert total == pytest.approx(1, abs=1e-9)


@every_likelihood
def test_samples_have_the_mean_and_the_log_prob_of_the_distribution(name, options):
    head = build(name, options, ROWS[name])
    p = head(jnp.asarray(RNG.normal(size=head.num_outputs), jnp.float32))
    samples = p.sample(jr.key(1), (20_000,))
    values = np.asarray(samples, np.float64)
    assert (np.abs(values.mean(0) - np.asarray(p.mean)) < 5 * values.std(0) / np.sqrt(len(values)) + 1e-5 * np.abs(np.asarray(p.mean))).all()
    # E log p of a normal is minus its entropy; of Bernoulli elements, the sum of p log p + (1-p) log(1-p).
    log_prob = np.asarray(jax.vmap(p.log_prob)(samples))
    if name == "bernoulli":
        m = np.asarray(p.mean)
        negative_entropy = np.sum(m * np.log(m) + (1 - m) * np.log1p(-m))
    else:
        negative_entropy = -np.sum(np.log(np.asarray(p.base_dist.scale)) + 0.5 * np.log(2 * np.pi * np.e))
    assert abs(log_prob.mean() - negative_entropy) < 5 * log_prob.std() / np.sqrt(len(log_prob))


@pytest.mark.parametrize("scale", ["shared", "element", "datum"])
def test_normal_is_a_density_in_the_datas_units(x64, scale):
    rows, c = ROWS["normal"], 1000.0
    a, b = (build("normal", {"scale": scale}, r) for r in (rows, c * rows))
    outputs = jnp.asarray(RNG.normal(size=a.num_outputs))
    x = rows[0]
    log_p, log_p_scaled = (float(head(outputs).log_prob(jnp.asarray(v))) for head, v in ((a, x), (b, c * x)))
    # A density per gramme is a thousandth of one per kilogramme, in each of D = 3 elements. The units are stored as float32.
    assert log_p_scaled == pytest.approx(log_p - 3 * np.log(c), abs=1e-4)
    mean, unit = rows.mean(0), rows.std(0)
    relative = 1e-3 + np.exp(np.asarray(outputs[3:]) if scale == "datum" else 0.0)
    assert log_p == pytest.approx(norm.logpdf(x, mean + unit * np.asarray(outputs[:3]), unit * relative).sum(), abs=1e-4)


def test_normal_scale_has_the_floor_asked_for_and_no_gradient_reaches_the_units(x64):
    head = build("normal", {"scale": "datum", "min_scale": 0.02}, ROWS["normal"])
    outputs = jnp.concatenate([jnp.zeros(3), jnp.full(3, -1e3)])
    np.testing.assert_allclose(head(outputs).base_dist.scale, 0.02 * ROWS["normal"].std(0), rtol=1e-6)
    gradient = jax.grad(lambda h: h(jnp.ones(6)).log_prob(jnp.asarray(ROWS["normal"][0])))(head)
    assert not np.asarray(gradient.data_mean).any() and not np.asarray(gradient.data_scale).any()
    with pytest.raises(ValueError, match=r"min_scale must lie between 0 and 1.*got 0"):
        build("normal", {"min_scale": 0}, ROWS["normal"])


@pytest.mark.parametrize(("name", "rows"), ROWS.items())
def test_the_first_biases_give_the_datas_mean(name, rows):
    head, data = build(name, {}, rows), summarise(rows)
    np.testing.assert_allclose(head(head.initial_bias(data)).mean, rows.mean(0), rtol=1e-5)


def test_bernoulli_biases_of_constant_elements_are_finite():
    rows = np.array([[0, 1, 0], [0, 1, 1]], np.uint8)
    head = build("bernoulli", {}, rows)
    np.testing.assert_allclose(head(head.initial_bias(summarise(rows))).mean, [0.001, 0.999, 0.5], rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("bernoulli", np.array([[0.0, 1.0], [1.0, 300.0]]), r"1 of 4 values of the data lie outside .*0 and 1.*first is 300 at \[1, 1\].*--likelihood normal"),
        ("bernoulli", np.array([[0.0, 0.25], [0.5, 1.0]]), r"2 of 4 .*first is 0\.25 at \[0, 1\].*fit: normal.*binarise=dynamic"),
        ("bernoulli", np.array([[0, 17]], np.uint8), r"first is 17 at \[0, 1\].*binarise=threshold"),
        ("bernoulli", np.array([[np.nan, 0.0]]), r"first is nan at \[0, 0\].*No likelihood here fits.*NaN"),
        ("normal", np.array([[0.0, -np.inf]]), r"all real numbers.*first is -inf at \[0, 1\].*No likelihood here fits"),
    ],
)
def test_data_outside_the_support_are_refused_with_place_value_and_remedy(name, values, message):
    with pytest.raises(ValueError, match=message):
        check_support(name, values)


def test_data_within_the_support_are_accepted_and_others_named_by_where():
    for name, rows in ROWS.items():
        assert check_support(name, rows) is None
        assert check_support("normal", rows) is None
    with pytest.raises(ValueError, match="of the test split lie outside"):
        check_support("bernoulli", ROWS["normal"], where="the test split")


def test_summary_moments_are_those_of_the_values_as_the_model_sees_them():
    grey = np.array([[0, 4, 16], [16, 4, 16]], np.uint8)
    summary = summarise(grey, levels=16)
    np.testing.assert_allclose(summary.mean, [0.5, 0.25, 1.0])
    assert (summary.lower, summary.upper) == (0.0, 1.0)
    np.testing.assert_allclose(summary.take(np.array([1, 0])), grey[::-1] / 16)
    overall = (grey / 16).std()
    np.testing.assert_allclose(summary.scale, [0.5, overall, overall], rtol=1e-6)  # constant elements take the overall scale
