"""Log-space arithmetic against brute force in float64."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from jensen._numerics import diagonal_normal_log_density, log_mean_exp, mixture_log_density


def brute_force(z, loc, scale, log_weights=None):
    log_weights = np.full(len(loc), -np.log(len(loc))) if log_weights is None else log_weights
    return logsumexp(norm.logpdf(z[:, None], loc, scale).sum(-1) + log_weights, axis=1)


def problem(points, components, dimension, spread, scale, seed=0):
    rng = np.random.default_rng(seed)
    loc = rng.uniform(-spread, spread, (components, dimension))
    scales = scale * np.exp(rng.normal(size=(components, dimension)) * 0.5)
    chosen = rng.integers(0, components, points)
    return loc[chosen] + scales[chosen] * rng.normal(size=(points, dimension)), loc, scales


# The largest term of the expanded square is D |loc|^2 / scale^2; its float64 rounding is the error to expect, and the exponentials are good to 1e-7.
@pytest.mark.parametrize("spread", [0.0, 1.0, 10.0])
@pytest.mark.parametrize("scale", [1e-3, 0.1, 3.0])
@pytest.mark.parametrize(
    ("points", "components", "dimension"),
    [(37, 53, 40), (37, 53, 1), (5, 1, 3), (1, 9, 2), (64, 64, 2)],
)
def test_mixture_is_the_brute_force_sum(points, components, dimension, spread, scale):
    z, loc, scales = problem(points, components, dimension, spread, scale)
    tolerance = 2e-7 + 50 * np.finfo(float).eps * np.max(
        np.sum((np.abs(z).max() + np.abs(loc)) ** 2 / scales**2, axis=1)
    )
    assert tolerance < 1e-2
    found = mixture_log_density(z, loc, scales, point_block=16, component_block=10)
    assert np.abs(found - brute_force(z, loc, scales)).max() < tolerance


def test_mixture_with_small_scales_is_right_where_float32_is_wrong_by_nats():
    z, loc, scales = problem(50, 80, 40, 1.0, 1e-3)
    truth = brute_force(z, loc, scales)
    assert np.abs(mixture_log_density(z, loc, scales) - truth).max() < 1e-4
    z32, loc32, precision = (
        z.astype(np.float32),
        loc.astype(np.float32),
        (scales**-2).astype(np.float32),
    )
    single = (
        z32**2 @ (-0.5 * precision).T
        + z32 @ (loc32 * precision).T
        - (0.5 * loc32**2 * precision + np.log(scales)).sum(1)
    )
    assert np.abs(logsumexp(single, axis=1) - np.log(80) - 20 * np.log(2 * np.pi) - truth).max() > 1


def test_mixture_with_unequal_weights():
    z, loc, scales = problem(30, 25, 3, 2.0, 0.5)
    log_weights = np.random.default_rng(1).normal(size=25) * 5
    log_weights -= logsumexp(log_weights)
    log_weights[3] = -np.inf
    found = mixture_log_density(z, loc, scales, log_weights=log_weights, component_block=7)
    assert np.abs(found - brute_force(z, loc, scales, log_weights)).max() < 1e-6
    assert np.abs(found - mixture_log_density(z, loc, scales)).max() > 0.1


def test_mixture_does_not_depend_on_the_blocks():
    z, loc, scales = problem(101, 203, 4, 3.0, 0.3)
    truth = mixture_log_density(z, loc, scales)
    for point_block, component_block in [(1, 1000), (7, 13), (100, 203), (101, 1), (1000, 202)]:
        found = mixture_log_density(
            z, loc, scales, point_block=point_block, component_block=component_block
        )
        # Exponentials in float32, whose unit roundoff is 6e-8: what differs is how far the running maximum is below the final one.
        assert np.abs(found - truth).max() < 1e-7, (point_block, component_block)


def test_mixture_far_from_every_component_is_finite_and_right():
    loc, scales = np.array([[0.0, 0.0], [1.0, 1.0]]), np.full((2, 2), 0.1)
    z = np.array([[32.0, 32.0], [-1e3, 0.0], [1e4, 1e4]])
    truth = brute_force(z, loc, scales)
    assert truth.max() < -9e4
    np.testing.assert_allclose(mixture_log_density(z, loc, scales), truth, rtol=1e-12)


def test_mixture_removes_a_common_offset():
    z, loc, scales = problem(20, 30, 5, 1.0, 0.01)
    assert (
        np.abs(
            mixture_log_density(z + 1000, loc + 1000, scales)
            - brute_force(z + 1000, loc + 1000, scales)
        ).max()
        < 1e-6
    )


def test_mixture_of_no_points_and_refusals():
    one = np.ones((3, 2))
    assert mixture_log_density(np.zeros((0, 2)), one, one).shape == (0,)
    for z, loc, scale in [
        (np.zeros(2), one, one),
        (np.zeros((4, 3)), one, one),
        (one, one, np.ones((3, 1))),
        (one, np.ones(2), np.ones(2)),
    ]:
        with pytest.raises(ValueError, match="z must have shape"):
            mixture_log_density(z, loc, scale)
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="positive and finite"):
            mixture_log_density(one, one, np.where(np.arange(6).reshape(3, 2) == 4, bad, 1.0))
    with pytest.raises(ValueError, match="at least one component"):
        mixture_log_density(one, np.zeros((0, 2)), np.zeros((0, 2)))
    with pytest.raises(
        ValueError, match=r"one log weight for each of the 3 components; got shape \(1,\)"
    ):
        mixture_log_density(one, one, one, log_weights=np.zeros(1))


def test_diagonal_normal_log_density_is_the_sum_over_dimensions():
    rng = np.random.default_rng(2)
    z, loc, scale = rng.normal(size=(7, 3)), rng.normal(size=3), rng.uniform(0.1, 2, 3)
    np.testing.assert_allclose(
        diagonal_normal_log_density(z, loc, scale), norm.logpdf(z, loc, scale).sum(-1), rtol=1e-13
    )


@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4])
def test_log_mean_exp_is_stable_and_is_the_mean(x64, offset):
    values = np.random.default_rng(3).normal(size=11) * 3
    assert (
        abs(
            float(log_mean_exp(jnp.asarray(values + offset)))
            - (np.log(np.mean(np.exp(values))) + offset)
        )
        < 1e-11
    )
    assert float(log_mean_exp(jnp.full(4, offset))) == pytest.approx(offset, abs=1e-11)


def test_log_mean_exp_with_impossible_samples(x64):
    assert float(log_mean_exp(jnp.array([0.0, -jnp.inf]))) == pytest.approx(-np.log(2), abs=1e-14)
