"""Laws of every member of the likelihoods room: a density or mass function over the data's own units."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from scipy.stats import logistic, nbinom, norm
from scipy.stats import t as student

import jensen
from jensen.likelihoods import check_support, likelihoods, summarise
from jensen.models import build_model

RNG = np.random.default_rng(0)
LEVELS = np.clip(np.round(np.array([10.0, 128.0, 200.0]) + np.array([4.0, 30.0, 60.0]) * RNG.normal(size=(50, 3))), 0, 255).astype(np.uint8)
ROWS = {
    "bernoulli": RNG.integers(0, 2, (50, 3)).astype(np.uint8),
    "normal": 40 + np.array([0.5, 3.0, 20.0]) * RNG.normal(size=(50, 3)),
    "student_t": 40 + np.array([0.5, 3.0, 20.0]) * RNG.standard_t(4, size=(50, 3)),
    "continuous_bernoulli": RNG.beta(2, [1, 2, 5], size=(50, 3)),
    "poisson": RNG.poisson([0.7, 4, 20], size=(50, 3)).astype(np.uint8),
    "negative_binomial": RNG.negative_binomial(2, [0.7, 0.3, 0.1], size=(50, 3)).astype(np.uint8),
    "categorical": RNG.integers(0, [2, 3, 4], (50, 3)).astype(np.uint8),
    "discretized_logistic": LEVELS,
    "centres": ((LEVELS + 0.5) / 256).astype(np.float32),
}
CASES = [
    ("bernoulli", {}),
    *(("normal", {"scale": scale}) for scale in ("shared", "element", "datum")),
    *(("student_t", {"scale": scale}) for scale in ("shared", "element", "datum")),
    ("student_t", {"df": 2.5}),
    ("continuous_bernoulli", {}),
    ("poisson", {}),
    *(("negative_binomial", {"dispersion": d}) for d in ("shared", "element", "datum")),
    ("categorical", {}),
    ("categorical", {"num_classes": 6}),
    *(("discretized_logistic", {"scale": scale}) for scale in ("shared", "element", "datum")),
    ("discretized_logistic", {"units": "centres"}),
    ("discretized_logistic", {"num_bins": 300, "min_log_scale": -9.0, "max_log_scale": 1.0, "mean_margin": 0.1}),
]
every_likelihood = pytest.mark.parametrize(("name", "options"), CASES)


def build(name, options, rows):
    return likelihoods.build(name, options, {"event_shape": rows.shape[1:], "data": summarise(rows)})


def rows_of(name, options):
    return ROWS["centres" if options.get("units") == "centres" else name]


def outputs_of(head, data, size=0.5):
    """The first biases and some noise: what a decoder may give."""
    return head.initial_bias(data) + jnp.asarray(size * RNG.normal(size=head.num_outputs), jnp.float32)


def grid(name, p):
    """(values [M, 1], weights [M]) over which a density of one number is summed."""
    if name in ("normal", "student_t"):
        loc, scale = (float(np.ravel(a)[0]) for a in ((p.loc, p.scale) if name == "student_t" else (p.base_dist.loc, p.base_dist.scale)))
        t, step = np.linspace(-30, 30, 20_001, retstep=True)
        values, weights = loc + scale * np.sinh(t), scale * np.cosh(t) * step
    elif name == "continuous_bernoulli":
        nodes, weights = np.polynomial.legendre.leggauss(200)
        values, weights = (nodes + 1) / 2, weights / 2
    else:
        count = {"bernoulli": 2, "poisson": 1000, "negative_binomial": 5000}.get(name) or (len(p.logits) if name == "categorical" else p.num_bins)
        values, weights = np.arange(count), np.ones(count)
        if getattr(p, "units", "") == "centres":
            values = (values + 0.5) / count
    return values[:, None], weights


def log_probs(p, values):
    return np.asarray(jax.vmap(p.log_prob)(jnp.asarray(values)), np.float64)


def test_every_member_has_its_laws_tested():
    assert {name for name, _ in CASES} == set(likelihoods.names())


@every_likelihood
def test_probabilities_sum_to_one(x64, name, options):
    rows = rows_of(name, options)
    for column in range(3):
        one = rows[:, column : column + 1]
        head = build(name, options, one)
        p = head(outputs_of(head, summarise(one)).astype(jnp.float64))
        values, weights = grid(name, p)
        assert np.sum(np.exp(log_probs(p, values)) * weights) == pytest.approx(1, abs=1e-9)


@every_likelihood
def test_elements_are_independent(x64, name, options):
    rows = rows_of(name, options)
    head = build(name, options, rows)
    outputs = outputs_of(head, summarise(rows)).astype(jnp.float64)
    p, x = head(outputs), jnp.asarray(rows[:4])
    # Changing one element changes log p by an amount that does not depend on the others.
    for i, j in itertools.permutations(range(3), 2):
        a, b = x[0], x[1]
        swap_i, swap_j = a.at[i].set(b[i]), a.at[j].set(b[j])
        both = swap_i.at[j].set(b[j])
        differences = float(p.log_prob(both) - p.log_prob(swap_j)), float(p.log_prob(swap_i) - p.log_prob(a))
        assert differences[0] == pytest.approx(differences[1], abs=1e-9)


@every_likelihood
def test_samples_have_the_mean_and_the_log_prob_of_the_distribution(name, options):
    rows = rows_of(name, options)
    for column in range(3):
        one = rows[:, column : column + 1]
        head = build(name, options, one)
        p = head(outputs_of(head, summarise(one)))
        samples = p.sample(jr.key(1), (20_000,))
        assert not type(head).outside(np.asarray(samples), **{k: v for k, v in options.items() if k in ("num_bins", "units", "num_classes")}).any()
        values = np.asarray(samples, np.float64)
        assert (np.abs(values.mean(0) - np.asarray(p.mean)) <= 5 * values.std(0) / np.sqrt(len(values)) + 1e-5 * np.abs(np.asarray(p.mean))).all()
        # E log p is minus the entropy.
        points, weights = grid(name, p)
        log_p = log_probs(p, points)
        negative_entropy = np.sum(np.exp(log_p) * np.where(log_p > -200, log_p, 0) * weights)
        found = log_probs(p, samples)
        assert abs(found.mean() - negative_entropy) <= 5 * found.std() / np.sqrt(len(found)) + 2e-5 * abs(negative_entropy)


@every_likelihood
def test_float32_is_right_at_the_edges_of_the_support_and_far_outputs_and_gradients_are_finite(name, options):
    rows = rows_of(name, options)
    head = build(name, options, rows)
    edges = np.stack([rows.min(0), rows.max(0), rows[0]])
    if np.isfinite(head.interval).all():
        edges[:2] = np.asarray(head.interval)[:, None]
    if name in ("poisson", "negative_binomial"):
        edges[0] = 0
    for size in (1.0, 15.0):
        outputs = outputs_of(head, summarise(rows), size)
        for x in edges:
            found, gradient = jax.value_and_grad(lambda o, x=x: head(o).log_prob(jnp.asarray(x)))(outputs)
            with jax.enable_x64(True):
                wide, at = outputs.astype(jnp.float64), jnp.asarray(x)
                truth = float(head(wide).log_prob(at))
                arguments = (0, 1) if jnp.issubdtype(at.dtype, jnp.floating) else (0,)
                slopes = jax.grad(lambda o, y: head(o).log_prob(y), arguments)(wide, at)
                steepness = sum(float(jnp.abs(slope * value).sum()) for slope, value in zip(slopes, (wide, at), strict=False))
            # Where a density is steep, the rounding of its arguments to float32 alone costs this much.
            assert float(found) == pytest.approx(truth, rel=2e-5, abs=2e-5 + 4 * float(np.finfo(np.float32).eps) * steepness)
            assert np.isfinite(gradient).all()


@every_likelihood
def test_what_the_data_decided_is_recorded_so_that_the_model_is_built_again_without_them(name, options):
    rows = rows_of(name, options)
    arguments = {"latent_dim": 2, "network": {"name": "dense", "hidden": [4]}, "key": jr.key(0)}
    model = jensen.vae((3,), likelihood={"name": name, **options}, data=np.asarray(rows), **arguments)
    again = build_model(model.recipe.values, key=jr.key(1))
    assert jax.tree.structure(again) == jax.tree.structure(model)
    assert all(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array)))  # checkpoints store no empty arrays
    check_support(again.recipe.values["likelihood"], np.asarray(rows))


@every_likelihood
def test_the_interval_holds_the_support_and_no_less(name, options):
    head = build(name, options, rows_of(name, options))
    lower, upper = head.interval
    known = {k: getattr(head, k) for k in ("num_bins", "units", "num_classes") if hasattr(head, k)}
    for end, sign in ((lower, -1), (upper, 1)):
        if np.isfinite(end):
            assert not head.outside(np.array([end]), **known).any()
            assert head.outside(end + sign * np.array([1e-2, 0.5, 1.0, 1e3]), **known).all()
        else:
            assert not head.outside(sign * np.array([3.0, 1e6]), **known).any()


@pytest.mark.parametrize("scale", ["shared", "element", "datum"])
@pytest.mark.parametrize("name", ["normal", "student_t"])
def test_real_valued_heads_are_densities_in_the_datas_units(x64, name, scale):
    rows, c = ROWS["normal"], 1000.0
    a, b = (build(name, {"scale": scale}, r) for r in (rows, c * rows))
    outputs = jnp.asarray(RNG.normal(size=a.num_outputs))
    x = rows[0]
    log_p, log_p_scaled = (float(head(outputs).log_prob(jnp.asarray(v))) for head, v in ((a, x), (b, c * x)))
    # A density per gramme is a thousandth of one per kilogramme, in each of D = 3 elements. The units are stored as float32.
    assert log_p_scaled == pytest.approx(log_p - 3 * np.log(c), abs=1e-4)
    if name == "normal":
        mean, unit = rows.mean(0), rows.std(0)
        relative = 1e-3 + np.exp(np.asarray(outputs[3:]) if scale == "datum" else 0.0)
        assert log_p == pytest.approx(norm.logpdf(x, mean + unit * np.asarray(outputs[:3]), unit * relative).sum(), abs=1e-4)


@pytest.mark.parametrize("name", ["normal", "student_t"])
def test_scales_have_the_floor_asked_for_and_no_gradient_reaches_the_units(x64, name):
    head = build(name, {"scale": "datum", "min_scale": 0.02}, ROWS["normal"])
    outputs = jnp.concatenate([jnp.zeros(3), jnp.full(3, -1e3)])
    p = head(outputs)
    np.testing.assert_allclose((p if name == "student_t" else p.base_dist).scale, 0.02 * ROWS["normal"].std(0), rtol=1e-6)
    gradient = jax.grad(lambda h: h(jnp.ones(6)).log_prob(jnp.asarray(ROWS["normal"][0])))(head)
    assert not np.asarray(gradient.data_mean).any() and not np.asarray(gradient.data_scale).any()
    with pytest.raises(ValueError, match=r"min_scale must lie between 0 and 1.*got 0"):
        build(name, {"min_scale": 0}, ROWS["normal"])


@every_likelihood
def test_the_first_biases_give_the_datas_mean(name, options):
    rows = rows_of(name, options)
    head, data = build(name, options, rows), summarise(rows)
    p, mean = head(head.initial_bias(data)), rows.mean(0, dtype=np.float64)
    if name == "categorical":  # a share of .001 is spread over all classes
        mean = 0.999 * mean + 0.001 * (head.num_classes - 1) / 2
    if name == "discretized_logistic":  # the location; tails beyond the ends move the mean by a little more
        unit = mean if head.units == "centres" else (mean + 0.5) / head.num_bins
        np.testing.assert_allclose(p.loc, np.clip(unit, 1.5 * head.mean_margin, 1 - 1.5 * head.mean_margin), rtol=1e-5)
        assert np.abs(p.mean - mean).max() < 0.1 * rows.std() or head.mean_margin == 0.1
    else:
        np.testing.assert_allclose(p.mean, mean, rtol=1e-5)


def test_bernoulli_biases_of_constant_elements_are_finite():
    rows = np.array([[0, 1, 0], [0, 1, 1]], np.uint8)
    head = build("bernoulli", {}, rows)
    np.testing.assert_allclose(head(head.initial_bias(summarise(rows))).mean, [0.001, 0.999, 0.5], rtol=1e-4)


GREY = np.array([[0.0, 0.25], [0.5, 1.0]])


@pytest.mark.parametrize(
    ("choice", "values", "message"),
    [
        (
            "bernoulli",
            np.array([[0.0, 1.0], [1.0, 300.0]]),
            r"1 of 4 values of the data lie outside .*\(0 and 1\).*first is 300 at \[1, 1\].*poisson.*--likelihood",
        ),
        ("bernoulli", GREY, r"2 of 4 .*first is 0\.25 at \[0, 1\].*fit: continuous_bernoulli.*normal.*continuous_bernoulli is a density.*binarise=dynamic"),
        ("bernoulli", np.array([[0, 17]], np.uint8), r"first is 17 at \[0, 1\].*discretized_logistic gives bits per dimension \(bytes.*binarise=threshold"),
        ("bernoulli", np.array([[np.nan, 0.0]]), r"first is nan at \[0, 0\].*No likelihood here fits.*NaN"),
        ("normal", np.array([[0.0, -np.inf]]), r"all real numbers.*first is -inf at \[0, 1\].*No likelihood here fits"),
        ("student_t", np.array([[0.0, np.nan]]), r"all real numbers.*first is nan.*No likelihood here fits"),
        ("poisson", np.array([[1.0, 2.5]]), r"whole numbers from 0.*first is 2\.5.*neither normalised nor as logarithms.*fit: normal"),
        ("negative_binomial", np.array([[1, -2]]), r"first is -2 .*Give the counts themselves"),
        ("continuous_bernoulli", np.array([[0, 255]], np.uint8), r"numbers from 0 to 1.*first is 255.*Divide bytes by 255.*discretized_logistic"),
        ("categorical", np.array([[0.0, -1.0]]), r"whole numbers 0 to num_classes - 1\).*first is -1"),
        ({"name": "categorical", "num_classes": 3}, np.array([[0, 5]]), r"num_classes=3\).*first is 5 .*--set likelihood.num_classes=10"),
        ("discretized_logistic", GREY, r"levels v = 0 to num_bins - 1, or \(v \+ .5\) / num_bins.*first is 0.25.*as bytes 0..255, or as \(v \+ .5\) / 256"),
        ("discretized_logistic", np.array([[0, 256]]), r"1 of 2 .*first is 256"),
        ({"name": "discretized_logistic", "num_bins": 16}, np.array([[3, 200]], np.uint8), r"num_bins=16\).*first is 200"),
        ({"name": "discretized_logistic", "units": "centres"}, np.array([[3, 200]], np.uint8), r"2 of 2 .*units=centres\).*first is 3"),
        ({"name": "discretized_logistic", "units": "levels"}, ROWS["centres"], r"150 of 150 .*units=levels\)"),
    ],
)
def test_data_outside_the_support_are_refused_with_place_value_and_remedy(choice, values, message):
    with pytest.raises(ValueError, match=message):
        check_support(choice, values)


def test_levels_among_bin_centres_are_no_bin_centres():
    mixed = np.array([[0.5 / 256, 3.5 / 256, 1.0]])
    np.testing.assert_array_equal(likelihoods.find("discretized_logistic").outside(mixed), [[False, False, True]])
    np.testing.assert_array_equal(likelihoods.find("discretized_logistic").outside(np.array([[0.0, 3.0, 1.5 / 256]])), [[False, False, True]])


def test_data_within_the_support_are_accepted_and_others_named_by_where():
    for name, rows in ROWS.items():
        assert check_support("discretized_logistic" if name == "centres" else name, rows) is None
        assert check_support("normal", rows) is None
    with pytest.raises(ValueError, match="of the test split lie outside"):
        check_support("bernoulli", ROWS["normal"], where="the test split")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("student_t", {"df": 1.0}, r"df must be finite and above 1.*got 1\.0"),
        ("categorical", {"num_classes": 1}, r"num_classes must be at least 2; got 1"),
        ("discretized_logistic", {"num_bins": 1}, r"num_bins must be at least 2; got 1"),
        ("discretized_logistic", {"units": "bytes"}, r"units must be one of levels, centres, None; got 'bytes'"),
        ("discretized_logistic", {"mean_margin": 0.5}, r"mean_margin must lie in \[0, 0\.5\); got 0\.5"),
        ("discretized_logistic", {"min_log_scale": 1.0}, r"in order.*min_log_scale=1\.0, max_log_scale=0\.0"),
    ],
)
def test_options_out_of_range_are_refused_with_the_value(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, options, ROWS["poisson"])


def test_the_number_of_classes_is_not_guessed_without_data_or_from_huge_values():
    with pytest.raises(ValueError, match=r"num_classes must be given when no data are"):
        likelihoods.build("categorical", {}, {"event_shape": (3,), "data": None})
    with pytest.raises(ValueError, match=r"largest value is 200000.*poisson or negative_binomial"):
        build("categorical", {}, np.array([[0, 200_000]] * 3))


def test_class_frequencies_of_grey_levels_are_those_of_their_draws():
    grey = np.array([[0, 4, 16], [16, 4, 16]], np.uint8)
    data = summarise(grey, levels=16)
    head = likelihoods.build("categorical", {}, {"event_shape": (3,), "data": data})
    np.testing.assert_allclose(head(head.initial_bias(data)).mean, 0.999 * np.array([0.5, 0.25, 1.0]) + 0.0005, rtol=1e-5)


def test_outputs_are_blocks_of_the_events_size(x64):
    # The class, scale or dispersion block is the second, whatever the event's shape.
    x = jnp.array([[0, 1, 2], [2, 1, 0]])
    first, second = RNG.normal(size=(2, 2, 3))
    outputs = jnp.asarray(np.concatenate([first.ravel(), second.ravel()]))
    none = {"event_shape": (2, 3), "data": None}
    head = likelihoods.build("negative_binomial", {"dispersion": "datum"}, none)
    rate, r = np.exp(np.minimum(first, 0)) * (1 + np.maximum(first, 0)), np.exp(second)
    assert float(head(outputs).log_prob(x)) == pytest.approx(nbinom.logpmf(x, r, r / (r + rate)).sum(), abs=1e-10)
    head = likelihoods.build("categorical", {"num_classes": 2}, none)
    assert float(head(outputs).log_prob(x > 0)) == pytest.approx(np.where(x > 0, second, first).sum() - np.logaddexp(first, second).sum(), abs=1e-10)
    head = likelihoods.build("discretized_logistic", {"num_bins": 3}, none)
    loc, scale = np.clip(1 / (1 + np.exp(-first)), 1 / 6, 5 / 6), np.exp(np.clip(second, -4.5, 0))
    upper, lower = (logistic.cdf((np.asarray(x) + up) / 3, loc, scale) for up in (1, 0))
    truth = np.log(np.where(x == 2, 1, upper) - np.where(x == 0, 0, lower)).sum()
    assert float(head(outputs).log_prob(x)) == pytest.approx(truth, abs=1e-10)
    head = likelihoods.build("student_t", {"scale": "datum", "df": 3.0}, none)
    assert float(head(outputs).log_prob(x)) == pytest.approx(student.logpdf(x, 3, first, 1e-3 + np.exp(second)).sum(), abs=1e-10)


def test_rates_beyond_the_largest_count_grow_as_the_output_and_smoothly(x64):
    rows = np.array([[1, 2, 40]] * 5)
    head = build("poisson", {}, rows)
    c = np.log(40)
    outputs = np.array([c - 3, c - 1e-6, c + 1e-6, c + 2, 1e4])
    means = [float(head(jnp.full(3, o)).mean[0]) for o in outputs]
    np.testing.assert_allclose(means, [40 * np.exp(-3), 40 * (1 - 1e-6), 40 * (1 + 1e-6), 120, 40 * (1 + 1e4 - c)], rtol=1e-9)
    slope = jax.grad(lambda o: head(jnp.full(3, o)).mean[0])
    np.testing.assert_allclose([slope(c - 1e-9), slope(c + 1e-9)], [40, 40], rtol=1e-6)


def test_negative_binomials_start_at_the_dispersion_of_the_data():
    rng = np.random.default_rng(3)
    r = np.array([0.5, 2.0, 8.0])
    rows = rng.negative_binomial(r, r / (r + 20), size=(20_000, 3))
    for dispersion in ("element", "datum"):
        head, data = build("negative_binomial", {"dispersion": dispersion}, rows), summarise(rows)
        # The moment estimate's relative error is about sqrt(2 / 20,000) times a few.
        np.testing.assert_allclose(np.exp(head(head.initial_bias(data)).log_dispersion), r, rtol=0.1)


def test_summary_moments_are_those_of_the_values_as_the_model_sees_them():
    grey = np.array([[0, 4, 16], [16, 4, 16]], np.uint8)
    summary = summarise(grey, levels=16)
    np.testing.assert_allclose(summary.mean, [0.5, 0.25, 1.0])
    assert (summary.lower, summary.upper) == (0.0, 1.0)
    np.testing.assert_allclose(summary.take(np.array([1, 0])), grey[::-1] / 16)
    overall = (grey / 16).std()
    np.testing.assert_allclose(summary.scale, [0.5, overall, overall], rtol=1e-6)  # constant elements take the overall scale
