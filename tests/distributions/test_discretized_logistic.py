"""The discretised logistic: its 256 probabilities sum to 1, its tails keep their digits, and its draws are its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from jensen.distributions import Categorical, DiscretizedLogistic


@pytest.mark.parametrize("num_bins", [2, 100, 256])
@pytest.mark.parametrize("units", ["levels", "centres"])
def test_all_probabilities_sum_to_one_for_many_locations_and_scales(x64, num_bins, units):
    loc, log_scale = (
        a.ravel() for a in np.meshgrid(np.r_[-1, np.linspace(0, 1, 40), 2], np.linspace(-9, 3, 25))
    )
    values = np.arange(num_bins) if units == "levels" else (np.arange(num_bins) + 0.5) / num_bins

    def total(m, s):
        p = DiscretizedLogistic(m[None], s[None], num_bins=num_bins, units=units)
        return jax.nn.logsumexp(p.log_prob(jnp.asarray(values)[:, None]))

    np.testing.assert_allclose(
        jax.vmap(total)(jnp.asarray(loc), jnp.exp(jnp.asarray(log_scale))), 0, atol=1e-12
    )


def test_far_tails_keep_their_digits_and_their_gradients(x64):
    # Far below its location, P(v) = e^-|a| (e^(1/Ks) - 1) / (1 + ...) with a at the lower edge: the difference of sigmoids is 0 there.
    for scale, level in [(1e-3, 10), (1e-4, 200), (0.01, 0), (0.01, 255)]:
        loc = 0.99 if level < 100 else 0.2 if level == 200 else 0.0
        p = lambda m, s, v=level: DiscretizedLogistic(m[None], s[None], num_bins=256).log_prob(  # noqa: E731
            jnp.array([v])
        )
        found, slopes = jax.value_and_grad(p, (0, 1))(jnp.asarray(loc), jnp.asarray(scale))
        lower, upper = (level / 256 - loc) / scale, ((level + 1) / 256 - loc) / scale
        if level == 0:
            truth, slope = upper, -1 / scale  # log sigmoid(b) = b
        elif level == 255:
            truth, slope = -lower, 1 / scale
        elif upper < 0:
            truth, slope = upper + np.log1p(-np.exp(lower - upper)), -1 / scale
        else:
            truth, slope = -lower + np.log1p(-np.exp(lower - upper)), 1 / scale
        assert float(found) == pytest.approx(truth, rel=1e-9)
        assert float(slopes[0]) == pytest.approx(slope, rel=1e-6)
        assert np.isfinite(slopes[1])


def test_gradients_are_those_of_differences(x64):
    rng = np.random.default_rng(0)
    values = jnp.asarray(rng.integers(0, 256, 30)).at[:2].set(jnp.array([0, 255]))
    loc, log_scale = rng.uniform(0, 1, 30), rng.uniform(-4.5, 0, 30)

    def log_p(m, ls):
        return DiscretizedLogistic(m, jnp.exp(ls), num_bins=256).log_prob(values)

    slopes = jax.grad(log_p, (0, 1))(jnp.asarray(loc), jnp.asarray(log_scale))
    h = 1e-6
    for argument in (0, 1):
        for i in range(30):
            shifted = [[loc.copy(), log_scale.copy()] for _ in range(2)]
            shifted[0][argument][i] += h
            shifted[1][argument][i] -= h
            finite = (
                log_p(*map(jnp.asarray, shifted[0])) - log_p(*map(jnp.asarray, shifted[1]))
            ) / (2 * h)
            assert float(slopes[argument][i]) == pytest.approx(float(finite), rel=1e-5, abs=1e-5)


def test_mean_is_the_sum_over_levels_and_draws_have_the_probabilities(x64):
    loc, scale = jnp.array([0.001, 0.5, 0.97]), jnp.array([0.3, 0.02, 0.1])
    for units, values in (("levels", np.arange(16.0)), ("centres", (np.arange(16) + 0.5) / 16)):
        p = DiscretizedLogistic(loc, scale, num_bins=16, units=units)
        each = [
            DiscretizedLogistic(loc[i : i + 1], scale[i : i + 1], num_bins=16, units=units)
            for i in range(3)
        ]
        table = np.stack([np.exp(q.log_prob(jnp.asarray(values)[:, None])) for q in each], 1)
        np.testing.assert_allclose(p.mean, values @ table, rtol=1e-12)
        x = np.asarray(p.sample(jr.key(0), (20_000,)))
        counts = (x[:, None] == values[:, None]).mean(0)
        assert (np.abs(counts - table) < 5 * np.sqrt(table * (1 - table) / len(x)) + 1e-9).all()


def test_categorical_probabilities_mean_and_draws_are_the_softmax(x64):
    logits = np.random.default_rng(0).normal(size=(5, 2, 3))
    p = Categorical(jnp.asarray(logits))
    table = np.exp(logits) / np.exp(logits).sum(0)
    x = np.asarray(p.sample(jr.key(0), (20_000,)))
    counts = (x[:, None] == np.arange(5)[:, None, None]).mean(0)
    assert (np.abs(counts - table) < 5 * np.sqrt(table * (1 - table) / len(x))).all()
    np.testing.assert_allclose(p.mean, np.tensordot(np.arange(5), table, 1), rtol=1e-12)
    rows, columns = np.indices((2, 3))
    truth = [np.log(table[v, rows, columns]).sum() for v in x[:10]]
    np.testing.assert_allclose(p.log_prob(jnp.asarray(x[:10])), truth, rtol=1e-12)
    assert np.isnan(p.log_prob(jnp.full((2, 3), 5)))  # no class: never a number
