"""Laws of every member of the sites room: the moments of the tilted distribution are those of a brute-force sum, wherever the cavity is."""

import numpy as np
import pytest

from jensen.deterministic.expectation_propagation.sites import sites
from jensen.deterministic.expectation_propagation.sites._moments import tilted_by_quadrature

DATA = {
    "probit": np.array([1, 0]),
    "logistic": np.array([1, 0]),
    "poisson": np.array([0, 7]),
    "student_t": np.array([0.0, 40.0]),
    "clutter": np.array([0.0, 40.0]),
    "normal": np.array([0.0, 40.0]),
    "censored": np.array([0.0, 40.0]),
}
OPTIONS = [
    *((name, {}) for name in sites.names()),
    ("student_t", {"df": 1.5, "scale": 0.05}),
    ("student_t", {"df": 200.0, "scale": 0.5}),
    ("clutter", {"weight": 0.01, "noise_variance": 0.01}),
    ("censored", {"side": "below", "noise_variance": 0.25}),
    ("normal", {"noise_variance": 0.01}),
]
CAVITIES = [
    (0, 1),
    (3, 0.01),
    (0, 1e4),
    (-30, 1),
    (-30, 400),
    (50, 25),
    (5, 1e-6),
    (0, 1e6),
    (-8, 1e-3),
]
every_site = pytest.mark.parametrize(
    ("name", "options"),
    OPTIONS,
    ids=lambda v: v if isinstance(v, str) else "-".join(map(str, v.values())),
)


def build(name, options, y=None):
    return sites.build(name, options, {"y": DATA[name] if y is None else y})


def shape_of(site, n):
    """(where its maximum or step is, how narrow it is)."""
    kind = type(site).__name__
    if kind in ("Probit", "Logistic"):
        return 0.0, 1.0
    if kind == "Poisson":
        return np.log(max(site.y[n], 0.5)), 1 / np.sqrt(max(site.y[n], 1))
    if kind in ("Normal", "Censored"):
        return site.y[n], np.sqrt(site.noise_variance)
    return site.y[n], site.scale * min(1, np.sqrt(site.df)) if kind == "StudentT" else np.sqrt(
        site.noise_variance
    )


def brute(site, n, mean, variance):
    """The trapezoidal rule, whose error falls exponentially with the steps, on one even grid over all there is; in differences to the mean of the cavity."""
    deviation, (loc, scale) = np.sqrt(variance), shape_of(site, n)
    low, high = min(0, loc - mean) - 12 * deviation, max(0, loc - mean) + 12 * deviation
    step = min(deviation, scale) / 8
    d = low + step * np.arange((high - low) / step)
    log_density = site.log_density(mean + d, np.full(len(d), n)) - 0.5 * d**2 / variance
    top = log_density.max()
    density = np.exp(log_density - top)
    mass = density.sum()
    average = density @ d / mass
    return (
        top + np.log(mass * step) - 0.5 * np.log(2 * np.pi * variance),
        mean + average,
        density @ np.square(d - average) / mass,
    )


@every_site
@pytest.mark.parametrize("cavity", CAVITIES, ids=str)
def test_moments_are_those_of_a_fine_sum_for_wide_narrow_and_far_cavities(name, options, cavity):
    site, (mean, variance) = build(name, options), cavity
    result = site.tilted(np.full(2, float(mean)), np.full(2, float(variance)), np.arange(2))
    for n in (0, 1):
        log_z, average, spread = brute(site, n, float(mean), float(variance))
        assert result.log_normaliser[n] == pytest.approx(log_z, rel=1e-11, abs=1e-11)
        assert abs(result.mean[n] - average) < 1e-10 * np.sqrt(spread)
        assert result.variance[n] == pytest.approx(spread, rel=1e-10)


@every_site
def test_mean_and_variance_are_derivatives_of_the_log_normaliser(name, options):
    """Mean m + v d log Z / dm and variance v + v^2 d^2 log Z / dm^2 (Rasmussen & Williams 2006, section 3.6): an oracle without a grid."""
    site = build(name, options)
    h, index = 2e-3, np.zeros(5, int)
    for mean, variance in ((0.3, 1.0), (-2.0, 0.5), (1.0, 30.0)):
        log_z = site.tilted(mean + h * np.arange(-2, 3), np.full(5, variance), index).log_normaliser
        slope = np.array([1, -8, 0, 8, -1]) @ log_z / (12 * h)
        curvature = np.array([-1, 16, -30, 16, -1]) @ log_z / (12 * h**2)
        result = site.tilted(np.array([mean]), np.array([variance]), index[:1])
        assert result.mean[0] == pytest.approx(mean + variance * slope, abs=1e-8 * variance)
        assert result.variance[0] == pytest.approx(
            variance + variance**2 * curvature, abs=2e-6 * variance**2
        )


def test_a_tilted_distribution_narrower_than_anything_about_it_is_found():
    """Far from the counts a cavity of sd .02 times exp(-exp f): a normal of sd 1.3e-3 near f = 13.3, 43 million nats down, to the rounding of such figures."""
    site, mean, variance = (
        build("poisson", {}, np.array([0.0])),
        154.89441158307372,
        0.00023375241232536718,
    )
    result = site.tilted(np.array([mean]), np.array([variance]), np.array([0]))
    f = 13.3
    for _ in range(50):  # Newton: exp f = (mean - f) / variance
        f -= (np.exp(f) - (mean - f) / variance) / (np.exp(f) + 1 / variance)
    curvature = np.exp(f) + 1 / variance
    laplace = -np.exp(f) - 0.5 * (f - mean) ** 2 / variance - 0.5 * np.log(variance * curvature)
    assert result.log_normaliser[0] == pytest.approx(laplace, abs=1e-4)
    assert result.mean[0] == pytest.approx(f, abs=1e-5)
    assert result.variance[0] == pytest.approx(1 / curvature, rel=1e-2)


def test_no_density_at_all_is_no_moments():
    one = np.ones(1)
    result = tilted_by_quadrature(
        lambda f, n: np.full_like(f, -np.inf), one, one, np.zeros(1, int), one, one
    )
    assert all(np.isnan(part[0]) for part in result)


@every_site
def test_many_cavities_at_once_are_one_at_a_time(name, options):
    site = build(name, options)
    rng = np.random.default_rng(0)
    mean, variance, index = (
        5 * rng.normal(size=20),
        np.exp(3 * rng.normal(size=20)),
        rng.integers(0, 2, 20),
    )
    together = site.tilted(mean, variance, index)
    for i in range(20):
        alone = site.tilted(mean[i : i + 1], variance[i : i + 1], index[i : i + 1])
        for whole, part in zip(together, alone, strict=True):
            assert whole[i] == pytest.approx(part[0], rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("name", sites.names())
def test_data_that_are_not_finite_are_refused_by_index(name):
    y = np.array([1.0, 1.0, np.nan])
    with pytest.raises(ValueError, match=rf"{name}: y\[2\] is nan"):
        build(name, {}, y)
    with pytest.raises(ValueError, match=f"{name}: y must be"):
        build(name, {}, np.zeros((0,)))


@pytest.mark.parametrize(
    ("name", "options", "y", "message"),
    [
        ("probit", {}, [0, 1, 2], r"labels must be all 0 or 1, or all -1 or \+1; y\[0\] is 0"),
        ("logistic", {}, [-1, 0, 1], r"labels must be all 0 or 1, or all -1 or \+1; y\[1\] is 0"),
        ("poisson", {}, [3, 1.5], r"counts 0, 1, 2 ...; y\[1\] is 1.5"),
        ("poisson", {}, [3, -1], r"y\[1\] is -1"),
        ("student_t", {"df": 0.0}, [1.0], "df must be positive and finite; got 0"),
        ("student_t", {"scale": np.inf}, [1.0], "scale must be positive and finite; got inf"),
        (
            "clutter",
            {"weight": 1.0},
            [1.0],
            r"weight is the share of clutter and must be in \(0, 1\); got 1",
        ),
        ("clutter", {"clutter_variance": -1.0}, [1.0], "clutter_variance must be positive"),
        ("normal", {"noise_variance": 0.0}, [1.0], "normal: noise_variance must be positive"),
        ("censored", {"side": "over"}, [1.0], "side must be one of above, below; got 'over'"),
        ("censored", {"noise_variance": -1.0}, [1.0], "censored: noise_variance must be positive"),
        ("clutter", {"noise_variance": 0.0}, [1.0], "noise_variance must be positive"),
    ],
)
def test_what_a_site_cannot_be_is_refused(name, options, y, message):
    with pytest.raises(ValueError, match=message):
        build(name, options, np.array(y))
