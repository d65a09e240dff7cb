"""Laws of every member of the likelihoods room: a density or mass function over the data's own units."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

import jensen
from jensen.likelihoods import check_support, likelihoods, summarise
from jensen.models import build_model
from likelihood_cases import CASES, build, every_likelihood, rows_of

RNG = np.random.default_rng(0)


def outputs_of(head, data, size=0.5):
    """The first biases and some noise: what a decoder may give."""
    return head.initial_bias(data) + jnp.asarray(
        size * RNG.normal(size=head.num_outputs), jnp.float32
    )


def grid(name, p):
    """(values [M, 1], weights [M]) over which a density of one number is summed."""
    if name in ("normal", "student_t"):
        loc, scale = (
            float(np.ravel(a)[0])
            for a in (
                (p.loc, p.scale) if name == "student_t" else (p.base_dist.loc, p.base_dist.scale)
            )
        )
        t, step = np.linspace(-30, 30, 20_001, retstep=True)
        values, weights = loc + scale * np.sinh(t), scale * np.cosh(t) * step
    elif name == "continuous_bernoulli":
        nodes, weights = np.polynomial.legendre.leggauss(200)
        values, weights = (nodes + 1) / 2, weights / 2
    else:
        count = {"bernoulli": 2, "poisson": 1000, "negative_binomial": 5000}.get(name) or (
            len(p.logits) if name == "categorical" else p.num_bins
        )
        values, weights = np.arange(count), np.ones(count)
        if getattr(p, "units", "") == "centres":
            values = (values + 0.5) / count
    return values[:, None], weights


@eqx.filter_jit
def compiled_log_probs(p, values):
    return jax.vmap(p.log_prob)(values)


def log_probs(p, values):
    return np.asarray(compiled_log_probs(p, jnp.asarray(values)), np.float64)


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
    a, b = rows[:2]
    # Changing one element changes log p by an amount that does not depend on the others.
    for i, j in itertools.permutations(range(3), 2):
        swap_i, swap_j = np.where(np.arange(3) == i, b, a), np.where(np.arange(3) == j, b, a)
        both = np.where(np.arange(3) == j, b, swap_i)
        of_both, of_j, of_i, of_none = log_probs(head(outputs), np.stack([both, swap_j, swap_i, a]))
        assert of_both - of_j == pytest.approx(of_i - of_none, abs=1e-9)


@every_likelihood
def test_samples_have_the_mean_and_the_log_prob_of_the_distribution(name, options):
    rows = rows_of(name, options)
    for column in range(3):
        one = rows[:, column : column + 1]
        head = build(name, options, one)
        p = head(outputs_of(head, summarise(one)))
        samples = p.sample(jr.key(1), (20_000,))
        assert (
            not type(head)
            .outside(
                np.asarray(samples),
                **{k: v for k, v in options.items() if k in ("num_bins", "units", "num_classes")},
            )
            .any()
        )
        values = np.asarray(samples, np.float64)
        assert (
            np.abs(values.mean(0) - np.asarray(p.mean))
            <= 5 * values.std(0) / np.sqrt(len(values)) + 1e-5 * np.abs(np.asarray(p.mean))
        ).all()
        # E log p is minus the entropy.
        points, weights = grid(name, p)
        log_p = log_probs(p, points)
        negative_entropy = np.sum(np.exp(log_p) * np.where(log_p > -200, log_p, 0) * weights)
        found = log_probs(p, samples)
        assert abs(found.mean() - negative_entropy) <= 5 * found.std() / np.sqrt(
            len(found)
        ) + 2e-5 * abs(negative_entropy)


@every_likelihood
def test_float32_is_right_at_the_edges_of_the_support_and_far_outputs_and_gradients_are_finite(
    name, options
):
    rows = rows_of(name, options)
    head = build(name, options, rows)
    edges = np.stack([rows.min(0), rows.max(0), rows[0]])
    if np.isfinite(head.interval).all():
        edges[:2] = np.asarray(head.interval)[:, None]
    if name in ("poisson", "negative_binomial"):
        edges[0] = 0
    arguments = (0, 1) if np.issubdtype(edges.dtype, np.floating) else (0,)
    value = lambda o, x: head(o).log_prob(x)  # noqa: E731
    single, double = (
        jax.jit(jax.value_and_grad(value)),
        jax.jit(jax.value_and_grad(value, arguments)),
    )
    for size in (1.0, 15.0):
        outputs = outputs_of(head, summarise(rows), size)
        for x in edges:
            found, gradient = single(outputs, jnp.asarray(x))
            with jax.enable_x64(True):
                wide, at = outputs.astype(jnp.float64), jnp.asarray(x)
                truth, slopes = double(wide, at)
                truth = float(truth)
                steepness = sum(
                    float(jnp.abs(slope * value).sum())
                    for slope, value in zip(slopes, (wide, at), strict=False)
                )
            # Where a density is steep, the rounding of its arguments to float32 alone costs this much.
            assert float(found) == pytest.approx(
                truth, rel=2e-5, abs=2e-5 + 4 * float(np.finfo(np.float32).eps) * steepness
            )
            assert np.isfinite(gradient).all()


@every_likelihood
def test_what_the_data_decided_is_recorded_so_that_the_model_is_built_again_without_them(
    name, options
):
    rows = rows_of(name, options)
    arguments = {"latent_dim": 2, "network": {"name": "dense", "hidden": [4]}, "key": jr.key(0)}
    model = jensen.vae(
        (3,), likelihood={"name": name, **options}, data=np.asarray(rows), **arguments
    )
    again = build_model(model.recipe.values, key=jr.key(1))
    assert jax.tree.structure(again) == jax.tree.structure(model)
    assert all(
        leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array))
    )  # checkpoints store no empty arrays
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


@every_likelihood
def test_the_first_biases_give_the_datas_mean(name, options):
    rows = rows_of(name, options)
    head, data = build(name, options, rows), summarise(rows)
    p, mean = head(head.initial_bias(data)), rows.mean(0, dtype=np.float64)
    if name == "categorical":  # a share of .001 is spread over all classes
        mean = 0.999 * mean + 0.001 * (head.num_classes - 1) / 2
    if (
        name == "discretized_logistic"
    ):  # the location; tails beyond the ends move the mean by a little more
        unit = mean if head.units == "centres" else (mean + 0.5) / head.num_bins
        np.testing.assert_allclose(
            p.loc, np.clip(unit, 1.5 * head.mean_margin, 1 - 1.5 * head.mean_margin), rtol=1e-5
        )
        assert np.abs(p.mean - mean).max() < 0.1 * rows.std() or head.mean_margin == 0.1
    else:
        np.testing.assert_allclose(p.mean, mean, rtol=1e-5)
