"""Maxima that q misses, and their mass: densities whose modes are known; and where there are none."""

import re

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import jensen
from jensen.variational._density import Density
from jensen.variational._modes import _maximise_together, _starts
from variational import _worlds as worlds

KEY = jr.key(0)


def two_normals(share, distance=3.0):
    """`share` of N((d, d), I) and the rest of N((-d, -d), I): its evidence is 0."""

    def log_density(u):
        normal = lambda mean: -0.5 * jnp.sum((u - mean) ** 2) - np.log(2 * np.pi)  # noqa: E731
        return jnp.logaddexp(np.log(share) + normal(distance), np.log1p(-share) + normal(-distance))

    return jensen.from_unconstrained(log_density, size=2)


@pytest.mark.parametrize(("share", "start"), [(0.5, 3.0), (0.1, 3.0), (0.1, -3.0)])
def test_the_mass_of_the_other_mode_is_told(share, start):
    """q covers the mode that it starts in, and the evidence is low by what the other one has."""
    covered = share if start > 0 else 1 - share
    fit = jensen.fit_variational(
        two_normals(share), "full_rank", key=KEY, start=np.full(2, start), num_draws=2000
    )
    (mode,) = fit.missed_modes
    assert mode.mass == pytest.approx((1 - covered) / covered, rel=0.03)
    np.testing.assert_allclose(mode.place, -start, atol=0.05)
    assert fit.evidence.value + np.log1p(mode.mass) == pytest.approx(0, abs=0.03)
    assert not fit.trusted
    assert fit.verdicts[0].startswith("Missed modes: another maximum of the density holds about")
    assert f"too low by about {np.log1p(mode.mass):.2f} nats" in fit.verdicts[0]
    assert ("exchangeable labels or signs" in fit.verdicts[0]) == (share == 0.5)


def test_a_mode_that_holds_next_to_nothing_is_not_reported():
    fit = jensen.fit_variational(
        two_normals(0.01), "full_rank", key=KEY, start=np.full(2, -3.0), num_draws=2000
    )
    assert fit.missed_modes == () and not any("Missed" in v for v in fit.verdicts)


LOW, HIGH = np.random.default_rng(0).normal(size=(2, 15))


def labels(ordered):
    """Two components whose labels are exchangeable, unless they are ordered."""
    base = dist.Normal(0, 10).expand([2]).to_event(1)
    prior = (
        dist.TransformedDistribution(base, dist.transforms.OrderedTransform()) if ordered else base
    )
    mean = numpyro.sample("mean", prior)
    y = np.concatenate([LOW - 4, HIGH + 4])
    with numpyro.plate("n", 30):
        parts = dist.Normal(mean, 1.0)
        numpyro.sample("y", dist.MixtureSameFamily(dist.Categorical(np.ones(2) / 2), parts), obs=y)


@pytest.mark.parametrize("family", ["full_rank", "student_t"])
def test_exchangeable_labels_are_seen_by_any_seed(family):
    target = jensen.from_numpyro(labels, False)
    for seed in range(3):
        fit = jensen.fit_variational(target, family, key=jr.key(seed), num_draws=2000)
        (mode,) = fit.missed_modes
        assert mode.mass == pytest.approx(1, abs=0.02)
        (nats,) = re.findall(r"too low by about ([\d.]+) nats", fit.verdicts[0])
        assert not fit.trusted and float(nats) == pytest.approx(np.log(2), abs=0.02)


def test_ordered_labels_have_one_mode():
    fit = jensen.fit_variational(
        jensen.from_numpyro(labels, True), "full_rank", key=KEY, num_draws=2000
    )
    assert fit.missed_modes == ()


QUIET = {
    "normal": lambda: jensen.fit_variational(
        worlds.conjugate(), "full_rank", key=KEY, num_draws=500
    ),
    "mean field": lambda: jensen.fit_variational(
        worlds.correlated(0.9), "mean_field", key=KEY, num_draws=500
    ),
    "funnel": lambda: jensen.fit_variational(
        jensen.from_numpyro(worlds.eight_schools), "full_rank", key=KEY, num_draws=2000
    ),
    "skewed": lambda: jensen.fit_variational(
        worlds.seven_points(), "full_rank", key=KEY, num_draws=2000
    ),
    "banana": lambda: jensen.fit_variational(
        jensen.from_unconstrained(lambda u: -0.5 * u[0] ** 2 - 2 * (u[1] - u[0] ** 2) ** 2, size=2),
        "full_rank",
        key=KEY,
        num_draws=2000,
    ),
    "both modes": lambda: jensen.fit_variational(
        two_normals(0.5, 2.0),
        {"name": "mixture", "num_components": 2},
        key=KEY,
        start=jensen.variational.families.Start(np.zeros(2), 2 * np.eye(2)),
        num_draws=500,
    ),
}


@pytest.mark.parametrize("kind", QUIET)
def test_no_mode_is_missed_where_there_is_one_or_q_covers_them(kind):
    assert QUIET[kind]().missed_modes == ()


def test_climbs_end_at_the_maximum_whatever_the_units(x64):
    """A quadratic in units of 1e-3 and 1e4, from every kind of start."""
    unit = np.array([1e-3, 1e4, 1.0])
    peak = np.array([2e-3, -3e4, 0.5])
    target = jensen.from_unconstrained(lambda u: -0.5 * jnp.sum(((u - peak) / unit) ** 2), size=3)
    starts = _starts(target.coordinates, peak, np.diag(unit), np.random.default_rng(0))
    density = Density(target)
    places, values = _maximise_together(density, starts, np.diag(unit))
    assert len(places) == len(starts) == 32
    np.testing.assert_allclose((places - peak) / unit, 0, atol=0.2)
    assert density.evaluations <= 32 * 20
    assert values.max() <= 0


def test_starts_reorder_the_entries_of_sites_of_one_length_alike(x64):
    coordinates = ("a[0]", "a[1]", "a[2]", "b[0]", "b[1]", "b[2]", "c")
    loc = np.array([1.0, 2, 3, 10, 20, 30, 7])
    starts = _starts(coordinates, loc, 1e-9 * np.eye(7), np.random.default_rng(1))[-12:]
    size = np.abs(starts)
    np.testing.assert_allclose(size[:, 3:6], 10 * size[:, :3], atol=1e-6)
    np.testing.assert_allclose(np.sort(size[:, :3]), np.tile([1, 2, 3], (12, 1)), atol=1e-6)
    assert len(np.unique(np.round(size[:, :3]), axis=0)) > 2 and (starts < -0.5).any()
