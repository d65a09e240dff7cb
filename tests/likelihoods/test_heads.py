"""Known values of single likelihoods, where a law over all has none: units, floors, links, and how they start."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import logistic, nbinom, norm
from scipy.stats import t as student

from jensen.likelihoods import likelihoods, summarise
from likelihood_cases import ROWS, build

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("scale", ["shared", "element", "datum"])
@pytest.mark.parametrize("name", ["normal", "student_t"])
def test_real_valued_heads_are_densities_in_the_datas_units(x64, name, scale):
    rows, c = ROWS["normal"], 1000.0
    a, b = (build(name, {"scale": scale}, r) for r in (rows, c * rows))
    outputs = jnp.asarray(RNG.normal(size=a.num_outputs))
    x = rows[0]
    log_p, log_p_scaled = (
        float(head(outputs).log_prob(jnp.asarray(v))) for head, v in ((a, x), (b, c * x))
    )
    # A density per gramme is a thousandth of one per kilogramme, in each of D = 3 elements. The units are stored as float32.
    assert log_p_scaled == pytest.approx(log_p - 3 * np.log(c), abs=1e-4)
    if name == "normal":
        mean, unit = rows.mean(0), rows.std(0)
        relative = 1e-3 + np.exp(np.asarray(outputs[3:]) if scale == "datum" else 0.0)
        assert log_p == pytest.approx(
            norm.logpdf(x, mean + unit * np.asarray(outputs[:3]), unit * relative).sum(), abs=1e-4
        )


@pytest.mark.parametrize("name", ["normal", "student_t"])
def test_scales_have_the_floor_asked_for_and_no_gradient_reaches_the_units(x64, name):
    head = build(name, {"scale": "datum", "min_scale": 0.02}, ROWS["normal"])
    outputs = jnp.concatenate([jnp.zeros(3), jnp.full(3, -1e3)])
    p = head(outputs)
    np.testing.assert_allclose(
        (p if name == "student_t" else p.base_dist).scale, 0.02 * ROWS["normal"].std(0), rtol=1e-6
    )
    gradient = jax.grad(lambda h: h(jnp.ones(6)).log_prob(jnp.asarray(ROWS["normal"][0])))(head)
    assert not np.asarray(gradient.data_mean).any() and not np.asarray(gradient.data_scale).any()
    with pytest.raises(ValueError, match=r"min_scale must lie between 0 and 1.*got 0"):
        build(name, {"min_scale": 0}, ROWS["normal"])


def test_bernoulli_biases_of_constant_elements_are_finite():
    rows = np.array([[0, 1, 0], [0, 1, 1]], np.uint8)
    head = build("bernoulli", {}, rows)
    np.testing.assert_allclose(
        head(head.initial_bias(summarise(rows))).mean, [0.001, 0.999, 0.5], rtol=1e-4
    )


def test_class_frequencies_of_grey_levels_are_those_of_their_draws():
    grey = np.array([[0, 4, 16], [16, 4, 16]], np.uint8)
    data = summarise(grey, levels=16)
    head = likelihoods.build("categorical", {}, {"event_shape": (3,), "data": data})
    np.testing.assert_allclose(
        head(head.initial_bias(data)).mean, 0.999 * np.array([0.5, 0.25, 1.0]) + 0.0005, rtol=1e-5
    )


def test_outputs_are_blocks_of_the_events_size(x64):
    # The class, scale or dispersion block is the second, whatever the event's shape.
    x = jnp.array([[0, 1, 2], [2, 1, 0]])
    first, second = RNG.normal(size=(2, 2, 3))
    outputs = jnp.asarray(np.concatenate([first.ravel(), second.ravel()]))
    none = {"event_shape": (2, 3), "data": None}
    head = likelihoods.build("negative_binomial", {"dispersion": "datum"}, none)
    rate, r = np.exp(np.minimum(first, 0)) * (1 + np.maximum(first, 0)), np.exp(second)
    assert float(head(outputs).log_prob(x)) == pytest.approx(
        nbinom.logpmf(x, r, r / (r + rate)).sum(), abs=1e-10
    )
    head = likelihoods.build("categorical", {"num_classes": 2}, none)
    assert float(head(outputs).log_prob(x > 0)) == pytest.approx(
        np.where(x > 0, second, first).sum() - np.logaddexp(first, second).sum(), abs=1e-10
    )
    head = likelihoods.build("discretized_logistic", {"num_bins": 3}, none)
    loc, scale = np.clip(1 / (1 + np.exp(-first)), 1 / 6, 5 / 6), np.exp(np.clip(second, -4.5, 0))
    upper, lower = (logistic.cdf((np.asarray(x) + up) / 3, loc, scale) for up in (1, 0))
    truth = np.log(np.where(x == 2, 1, upper) - np.where(x == 0, 0, lower)).sum()
    assert float(head(outputs).log_prob(x)) == pytest.approx(truth, abs=1e-10)
    head = likelihoods.build("student_t", {"scale": "datum", "df": 3.0}, none)
    assert float(head(outputs).log_prob(x)) == pytest.approx(
        student.logpdf(x, 3, first, 1e-3 + np.exp(second)).sum(), abs=1e-10
    )


def test_rates_beyond_the_largest_count_grow_as_the_output_and_smoothly(x64):
    rows = np.array([[1, 2, 40]] * 5)
    head = build("poisson", {}, rows)
    c = np.log(40)
    outputs = np.array([c - 3, c - 1e-6, c + 1e-6, c + 2, 1e4])
    means = [float(head(jnp.full(3, o)).mean[0]) for o in outputs]
    np.testing.assert_allclose(
        means,
        [40 * np.exp(-3), 40 * (1 - 1e-6), 40 * (1 + 1e-6), 120, 40 * (1 + 1e4 - c)],
        rtol=1e-9,
    )
    slope = jax.grad(lambda o: head(jnp.full(3, o)).mean[0])
    np.testing.assert_allclose([slope(c - 1e-9), slope(c + 1e-9)], [40, 40], rtol=1e-6)


def test_negative_binomials_start_at_the_dispersion_of_the_data():
    rng = np.random.default_rng(3)
    r = np.array([0.5, 2.0, 8.0])
    rows = rng.negative_binomial(r, r / (r + 20), size=(20_000, 3))
    for dispersion in ("element", "datum"):
        head, data = build("negative_binomial", {"dispersion": dispersion}, rows), summarise(rows)
        # The moment estimate's relative error is about sqrt(2 / 20,000) times a few.
        np.testing.assert_allclose(
            np.exp(head(head.initial_bias(data)).log_dispersion), r, rtol=0.1
        )


def test_summary_moments_are_those_of_the_values_as_the_model_sees_them():
    grey = np.array([[0, 4, 16], [16, 4, 16]], np.uint8)
    summary = summarise(grey, levels=16)
    np.testing.assert_allclose(summary.mean, [0.5, 0.25, 1.0])
    assert (summary.lower, summary.upper) == (0.0, 1.0)
    np.testing.assert_allclose(summary.take(np.array([1, 0])), grey[::-1] / 16)
    overall = (grey / 16).std()
    np.testing.assert_allclose(
        summary.scale, [0.5, overall, overall], rtol=1e-6
    )  # constant elements take the overall scale
