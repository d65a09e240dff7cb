"""Student's t against scipy, and against the normal it becomes, where float32 needs care."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jensen.distributions import StudentT


def log_prob(df, x):
    return StudentT(jnp.atleast_1d(df), jnp.zeros(1), jnp.ones(1)).log_prob(jnp.atleast_1d(x))


@pytest.mark.parametrize("df", [0.3, 1.01, 2.0, 5.0, 30.0, 1000.0])
def test_log_density_is_scipys_and_its_derivative_that_of_differences(x64, df):
    for y in (0.0, 0.01, 1.0, 5.0, 300.0):
        p = StudentT(jnp.full(2, df), jnp.array([1.0, -2.0]), jnp.array([0.5, 3.0]))
        x = np.array([1 + 0.5 * y, -2 - 3 * y])
        assert float(p.log_prob(jnp.asarray(x))) == pytest.approx(
            stats.t.logpdf(x, df, [1, -2], [0.5, 3]).sum(), abs=1e-10
        )
        h = 1e-5 * df
        finite = (stats.t.logpdf(y, df + h) - stats.t.logpdf(y, df - h)) / (2 * h)
        assert float(jax.grad(log_prob)(df, y)) == pytest.approx(
            finite, abs=1e-8 / df * (1 + abs(stats.t.logpdf(y, df))) + 3e-10
        )


@pytest.mark.parametrize("df", [1e4, 1e6, 1e8, 1e20])
def test_many_degrees_of_freedom_are_the_normal_in_float32(df):
    x = jnp.linspace(-4, 4, 17)
    found = jax.vmap(log_prob, (None, 0))(jnp.float32(df), x)
    # log t - log N is at most about (y^4 - 2 y^2 - 1) / 4v.
    np.testing.assert_allclose(found, stats.norm.logpdf(np.asarray(x)), atol=70 / df + 2e-6)
    assert np.isfinite(jax.vmap(jax.grad(log_prob), (None, 0))(jnp.float32(df), x)).all()
    np.testing.assert_allclose(
        StudentT(jnp.array([0.9, 1.1]), jnp.ones(2), jnp.ones(2)).mean, [np.nan, 1.0]
    )


@pytest.mark.parametrize("df", [1.5, 5.0, 200.0])
def test_draws_have_its_distribution_in_every_part_also_in_float32(df):
    p = StudentT(jnp.full(2, df), jnp.array([1.0, -2.0]), jnp.array([0.5, 3.0]))
    draws = np.asarray(p.sample(jax.random.key(0), (50_000,)), np.float64)
    uniform = stats.t.cdf(draws, df, [1, -2], [0.5, 3])
    for column in uniform.T:
        counts = np.histogram(column, np.linspace(0, 1, 101))[0]
        assert stats.chisquare(counts).pvalue > 1e-4
    assert abs(np.corrcoef(uniform.T)[0, 1]) < 5 / np.sqrt(50_000)


def test_variance_is_known_where_there_is_one():
    p = StudentT(jnp.array([5.0, 2.0, 1.0]), jnp.zeros(3), jnp.array([3.0, 1.0, 1.0]))
    np.testing.assert_allclose(p.variance, [15.0, np.inf, np.nan], rtol=1e-6)
    assert p.has_rsample


def test_a_draw_is_differentiable_in_the_degrees_of_freedom(x64):
    """d/dv E|t_v| by draws and by the closed form E|t_v| = 2 sqrt(v) / ((v - 1) B(v / 2, 1 / 2))."""
    from scipy.special import beta

    absolute = lambda v: 2 * np.sqrt(v) / ((v - 1) * beta(v / 2, 0.5))  # noqa: E731
    exact = (absolute(5 + 1e-5) - absolute(5 - 1e-5)) / 2e-5
    draw = lambda v, k: jnp.abs(StudentT(v[None], jnp.zeros(1), jnp.ones(1)).sample(k))[0]  # noqa: E731
    found = np.asarray(
        jax.vmap(jax.grad(draw), (None, 0))(
            jnp.asarray(5.0), jax.random.split(jax.random.key(1), 100_000)
        )
    )
    assert abs(found.mean() - exact) < 5 * found.std() / np.sqrt(len(found))
    assert np.isfinite(
        jax.vmap(jax.grad(draw), (None, 0))(
            jnp.asarray(1e30), jax.random.split(jax.random.key(1), 100)
        )
    ).all()
