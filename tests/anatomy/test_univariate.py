"""The density of many normals on the line against the plain sum over them, in float64."""

import numpy as np
import pytest
from scipy.special import logsumexp

from jensen.anatomy.univariate import univariate_mixture_log_density


def plain(z, loc, scale):
    return (
        logsumexp(-0.5 * ((z[:, None] - loc) / scale) ** 2 - np.log(scale), axis=1)
        - np.log(len(loc))
        - 0.5 * np.log(2 * np.pi)
    )


def world(seed, n, decades, spread):
    rng = np.random.default_rng(seed)
    loc, scale = spread * rng.normal(size=n), 10 ** rng.uniform(*decades, n)
    return rng, loc, scale


@pytest.mark.parametrize(
    ("decades", "spread"),
    [((-3, 0), 1), ((-1, -1), 1), ((-3, 3), 10), ((0, 1), 0), ((-6, -5.5), 3), ((-2, 0), 1000)],
)
def test_draws_from_the_mixture_and_far_from_their_component(decades, spread):
    rng, loc, scale = world(0, 700, decades, spread)
    rounding = (
        40 * spread * np.finfo(float).eps / scale.min()
    )  # of a position, in scales, at six deviations
    for deviations in (1, 6):
        z = loc + deviations * scale * rng.normal(size=700)
        np.testing.assert_allclose(
            univariate_mixture_log_density(z, loc, scale),
            plain(z, loc, scale),
            rtol=0,
            atol=1e-10 + rounding,
        )


def test_points_far_from_every_component():
    _, loc, scale = world(1, 50, (-1, 0), 1)
    z = np.array([-1e4, -60.0, 12.0, 15.0, 40.0, 1e6])
    np.testing.assert_allclose(
        univariate_mixture_log_density(z, loc, scale), plain(z, loc, scale), rtol=1e-12
    )


def test_narrow_components_with_wide_gaps_between_them():
    rng = np.random.default_rng(2)
    loc, scale = (
        np.linspace(-1e5, 1e5, 300),
        np.full(300, 1e-3),
    )  # 5e8 grid nodes, were the gaps kept
    z = np.concatenate([loc + scale * rng.normal(size=300), loc[:50] + 500.0])
    # Positions of 1e5 are held to 1e-11, a hundred millionth of a scale.
    np.testing.assert_allclose(
        univariate_mixture_log_density(z, loc, scale), plain(z, loc, scale), rtol=1e-9, atol=1e-7
    )


def test_one_component_is_its_normal():
    z = np.linspace(-9, 9, 37)
    np.testing.assert_allclose(
        univariate_mixture_log_density(z, np.array([0.3]), np.array([0.7])),
        plain(z, np.array([0.3]), np.array([0.7])),
        atol=1e-11,
    )


def test_what_is_no_mixture_is_refused():
    one = np.ones(3)
    for z, loc, scale, reason in [
        (one, one, -one, "positive"),
        (one, one, one[:2], "components"),
        (one, one[:0], one[:0], "at least one"),
        (one, one * np.nan, one, "finite"),
    ]:
        with pytest.raises(ValueError, match=reason):
            univariate_mixture_log_density(z, loc, scale)
