"""Expectation propagation against known fixed points (validation case 8), and against what is exact."""

import jax
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import jensen
from jensen.deterministic.expectation_propagation import fit_expectation_propagation as fit
from jensen.deterministic.expectation_propagation import sites

SCHEDULES = ("serial", "parallel")
both = pytest.mark.parametrize("schedule", SCHEDULES)


def clutter(y, mean, variance, weight, **options):
    site = sites.sites.build("clutter", {"weight": weight}, {"y": np.array(y, float)})
    return fit(
        site,
        np.ones((len(y), 1)),
        np.array([float(mean)]),
        np.array([[float(variance)]]),
        **options,
    )


def on_the_line(site, design, mean, variance):
    """(log Z, mean, variance) of w [1] by an even grid."""
    w = np.linspace(mean - 14 * np.sqrt(variance), mean + 14 * np.sqrt(variance), 200_001)
    log_p = -0.5 * (w - mean) ** 2 / variance - 0.5 * np.log(2 * np.pi * variance)
    for n, a in enumerate(design[:, 0]):
        log_p = log_p + site.log_density(a * w, np.full(len(w), n))
    log_z = logsumexp(log_p) + np.log(w[1] - w[0])
    p = np.exp(log_p - logsumexp(log_p))
    return log_z, p @ w, p @ np.square(w - p @ w)


# y, prior mean and variance, share of clutter; EP's mean, variance and evidence; the truth's.
KNOWN = [
    ([3.0], 15, 100, 0.4, (11.8365, 101.2159, -3.126919), (11.8365, 101.2159, -3.126919)),
    ([3.0, 5.0], 15, 100, 0.4, (4.34311, 4.31629, -6.314259), (6.88516, 46.2538, -6.257800)),
    ([3.0, 5.0], 0, 100, 0.5, (4.01904, 5.63401, -5.914292), (3.04379, 30.9064, -5.903907)),
    ([1.0, 2.0, 3.0], 0, 100, 0.5, (2.04602, 1.44688, -7.364195), (1.68937, 19.0348, -7.260520)),
]


@both
@pytest.mark.parametrize(
    ("y", "mean", "variance", "weight", "known", "truth"), KNOWN, ids=[str(k[0]) for k in KNOWN]
)
def test_the_known_fixed_points_of_the_clutter_problem(
    schedule, y, mean, variance, weight, known, truth
):
    result = clutter(y, mean, variance, weight, schedule=schedule)
    assert result.outcome.converged
    assert (result.mean[0], result.covariance[0, 0]) == pytest.approx(known[:2], abs=6e-5, rel=1e-6)
    assert result.log_evidence == pytest.approx(known[2], abs=6e-7)
    exact = on_the_line(result.problem.sites, np.ones((len(y), 1)), mean, variance)
    assert exact[1:] == pytest.approx(truth[:2], abs=6e-5, rel=1e-5)
    assert exact[0] == pytest.approx(truth[2], abs=1e-6)


def probit_case():
    t = np.array([-2, -1, -0.5, 0, 0.5, 1, 2, 0.2])
    return np.stack([np.ones(8), t], axis=1), np.array([0, 0, 1, 0, 1, 1, 1, 0])


@both
def test_the_known_fixed_point_of_probit_regression(schedule):
    x, y = probit_case()
    result = fit(sites.Probit(y), x, np.zeros(2), 4 * np.eye(2), schedule=schedule)
    assert result.mean == pytest.approx([-0.01487, 1.37920], abs=6e-6)
    assert np.diag(result.covariance) == pytest.approx([0.28718, 0.51921], abs=6e-6)
    assert result.log_evidence == pytest.approx(-6.010644, abs=6e-7)
    assert len(result.improper) == 0 and not result.skipped.any() and result.outcome.warnings == ()


def test_probit_evidence_is_near_the_orthant_probability_and_its_draws_find_it():
    x, y = probit_case()
    a = np.where(y == 1, 1, -1)[:, None] * x
    orthant = multivariate_normal(
        np.zeros(8), np.eye(8) + 4 * a @ a.T, abseps=1e-7, releps=1e-7, maxpts=10**6, seed=0
    ).logcdf(np.zeros(8))
    assert orthant == pytest.approx(-5.987264, abs=1e-3)
    result = fit(sites.Probit(y), x, np.zeros(2), 4 * np.eye(2))
    assert abs(result.log_evidence - orthant) < 0.025
    draws = result.weighted_draws(200_000, key=jax.random.key(0))
    assert abs(draws.evidence.value - -5.987264) < 5 * draws.evidence.standard_errors[0] + 1e-3
    assert draws.log_w.mean() < -5.987264
    # Its draws are those of q, and log_q their density.
    assert draws.log_q == pytest.approx(
        multivariate_normal(result.mean, result.covariance).logpdf(draws.draws["w"]), abs=1e-9
    )
    assert draws.draws["w"].mean(axis=0) == pytest.approx(
        result.mean, abs=5 * result.sd.max() / np.sqrt(200_000)
    )
    log_p = multivariate_normal(np.zeros(2), 4 * np.eye(2)).logpdf(draws.draws["w"][:5])
    log_p += (
        sites.Probit(y)
        .log_density(draws.draws["w"][:5] @ x.T, np.broadcast_to(np.arange(8), (5, 8)))
        .sum(axis=1)
    )
    assert draws.log_p[:5] == pytest.approx(log_p, abs=1e-10)


@both
def test_sites_that_share_nothing_are_exact(schedule):
    """With a design and a prior that factorise, each posterior is one-dimensional with one site, and the orthant a product."""
    y, scale = np.array([1, 0, 1]), np.array([0.5, 2.0, 1.0])
    result = fit(
        sites.Probit(y),
        np.diag(scale),
        np.array([1.0, 1.0, -2.0]),
        np.diag([4.0, 1.0, 9.0]),
        schedule=schedule,
    )
    sign = np.where(y == 1, 1, -1)
    covariance = np.eye(3) + np.diag(scale**2 * np.array([4.0, 1.0, 9.0]))
    exact = multivariate_normal(np.zeros(3), covariance).logcdf(
        sign * scale * np.array([1.0, 1.0, -2.0])
    )
    assert result.log_evidence == pytest.approx(exact, abs=1e-6)
    for n in range(3):
        variance, mean = ([4.0, 1.0, 9.0][n], [1.0, 1.0, -2.0][n])
        exact = on_the_line(sites.Probit(y[n : n + 1]), np.array([[scale[n]]]), mean, variance)
        assert (result.mean[n], result.covariance[n, n]) == pytest.approx(exact[1:], rel=1e-8)


@pytest.mark.parametrize("name", sites.sites.names())
def test_one_site_is_exact_in_any_direction(name):
    site = sites.sites.build(name, {}, {"y": np.array([1.0])})
    rng = np.random.default_rng(3)
    root, mean, a = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=3)
    prior = root @ root.T
    result = fit(site, a[None], mean, prior)
    assert result.outcome.converged
    log_z, average, spread = on_the_line(site, np.ones((1, 1)), a @ mean, a @ prior @ a)
    along = prior @ a / (a @ prior @ a)  # the regression of w on a . w
    assert result.log_evidence == pytest.approx(log_z, abs=1e-9)
    assert result.mean == pytest.approx(mean + along * (average - a @ mean), abs=1e-9)
    assert result.covariance == pytest.approx(
        prior - np.outer(along, along) * (a @ prior @ a - spread), abs=1e-9
    )


@both
def test_gaussian_sites_are_conjugate_regression(schedule):
    """Validation case 1; Student's t of 1e12 degrees of freedom is a normal to 1e-9 nats here."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(12, 3)), 2 * rng.normal(size=12)
    mean, prior = np.array([0.5, -1.0, 0.0]), np.diag([1.0, 4.0, 0.5]) + 0.2
    result = fit(sites.StudentT(y, df=1e12, scale=0.7), x, mean, prior, schedule=schedule)
    precision = np.linalg.inv(prior) + x.T @ x / 0.49
    assert result.covariance == pytest.approx(np.linalg.inv(precision), abs=1e-8)
    assert result.mean == pytest.approx(
        np.linalg.solve(precision, np.linalg.solve(prior, mean) + x.T @ y / 0.49), abs=1e-8
    )
    assert result.log_evidence == pytest.approx(
        multivariate_normal(x @ mean, 0.49 * np.eye(12) + x @ prior @ x.T).logpdf(y), abs=1e-7
    )
    # One sweep after the other finds nothing more to do.
    assert result.outcome.sweeps <= (3 if schedule == "serial" else 40)


def problem(name, n=25, dimension=2):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(n, dimension))
    f = x @ np.array([1.0, -0.5])[:dimension]
    y = {"poisson": rng.poisson(np.exp(f)), "student_t": f + rng.standard_t(2, n)}.get(
        name, (f + rng.logistic(size=n) > 0).astype(float)
    )
    return sites.sites.build(name, {}, {"y": np.asarray(y)}), x


LOGCONCAVE_OR_TAME = ["logistic", "poisson", "probit", "student_t"]


@pytest.mark.parametrize("name", LOGCONCAVE_OR_TAME)
def test_both_schedules_end_at_the_same_fixed_point(name):
    site, x = problem(name)
    serial, parallel = (
        fit(site, x, np.zeros(2), 9 * np.eye(2), schedule=s, tolerance=1e-10) for s in SCHEDULES
    )
    assert serial.outcome.converged and parallel.outcome.converged
    for part in ("mean", "covariance", "site_precisions", "site_shifts", "log_evidence"):
        assert getattr(serial, part) == pytest.approx(getattr(parallel, part), abs=1e-8)


@pytest.mark.parametrize("name", LOGCONCAVE_OR_TAME)
def test_the_site_parameters_make_q_and_reproduce_the_tilted_moments(name):
    site, x = problem(name)
    mean, prior = np.array([0.3, -0.2]), np.array([[2.0, 0.5], [0.5, 1.0]])
    result = fit(site, x, mean, prior, tolerance=1e-10)
    precision = np.linalg.inv(prior) + x.T @ (result.site_precisions[:, None] * x)
    assert result.covariance == pytest.approx(np.linalg.inv(precision), abs=1e-10)
    assert result.mean == pytest.approx(
        np.linalg.solve(precision, np.linalg.solve(prior, mean) + x.T @ result.site_shifts),
        abs=1e-10,
    )
    centre, variance = x @ result.mean, np.sum((x @ result.covariance) * x, axis=1)
    cavity = 1 / (1 / variance - result.site_precisions)
    tilted = site.tilted(
        cavity * (centre / variance - result.site_shifts), cavity, np.arange(len(x))
    )
    assert tilted.mean == pytest.approx(centre, abs=1e-8)
    assert tilted.variance == pytest.approx(variance, abs=1e-8)


@pytest.mark.parametrize("name", LOGCONCAVE_OR_TAME)
def test_the_evidence_has_the_derivative_that_it_has_at_a_fixed_point(name):
    """There d log Z / d m0 = V0^-1 (m - m0) (Opper & Winther 2005): what the sites do cancels. It is what the exact evidence has, with the exact mean."""
    site, x = problem(name, n=12)
    prior, h = np.array([[2.0, 0.5], [0.5, 1.0]]), 1e-3
    at = lambda m0: fit(site, x, m0, prior, tolerance=1e-11, schedule="parallel")  # noqa: E731
    base = np.array([0.3, -0.2])
    slope = [
        (at(base + h * e).log_evidence - at(base - h * e).log_evidence) / (2 * h) for e in np.eye(2)
    ]
    assert slope == pytest.approx(np.linalg.solve(prior, at(base).mean - base), abs=2e-5)


@pytest.mark.parametrize("name", LOGCONCAVE_OR_TAME)
def test_log_concave_posteriors_have_their_evidence_and_means_nearly(name):
    site, x = problem(name)
    result = fit(site, x, np.zeros(2), 9 * np.eye(2))
    draws = result.weighted_draws(100_000, key=jax.random.key(1))
    assert (
        abs(result.log_evidence - draws.evidence.value)
        < 0.02 + 5 * draws.evidence.standard_errors[0]
    )
    weights = np.exp(draws.log_w - logsumexp(draws.log_w))
    assert np.abs(weights @ draws.draws["w"] - result.mean).max() < 0.05 * result.sd.max()


@both
def test_units_and_a_far_away_prior_change_nothing(schedule):
    site, x = problem("logistic", n=8)
    plain = fit(site, x, np.array([1.0, 2.0]), np.eye(2), schedule=schedule)
    units = np.array([1e7, 1e-6])
    scaled = fit(
        site, x * units, np.array([1.0, 2.0]) / units, np.diag(units**-2), schedule=schedule
    )
    assert scaled.log_evidence == pytest.approx(plain.log_evidence, abs=1e-9)
    assert scaled.mean * units == pytest.approx(plain.mean, abs=1e-8)
    y = 1e6 + np.array([0.3, -0.2, 0.7])
    near, far = (
        fit(
            sites.StudentT(y - o, df=3.0),
            np.ones((3, 1)),
            np.array([1e6 - o]),
            np.eye(1),
            schedule=schedule,
        )
        for o in (1e6, 0.0)
    )
    assert far.log_evidence == pytest.approx(near.log_evidence, abs=1e-8)
    assert far.mean - 1e6 == pytest.approx(near.mean, abs=1e-8)


def test_the_clutter_that_runs_to_nan_is_damped_and_says_so():
    result = clutter([-1.0, 0, 1, 2, 3, 4], 0, 100, 0.5)
    assert result.outcome.converged and result.damping == 0.5
    assert result.outcome.warnings[0].startswith(
        "sweep 3: the cavity was not positive of site 5; damping raised from 0 to 0.5"
    )
    assert result.skipped.sum() == 1 and result.outcome.sweeps < 60
    assert (result.mean[0], result.covariance[0, 0]) == pytest.approx(
        (1.8369092, 4.4197470), abs=2e-6
    )
    assert list(result.improper) == [0, 5]
    assert (result.site_precisions[result.improper] < 0).all()
    # From another damping, and all sites at once, it is the same fixed point.
    for options in ({"damping": 0.8}, {"schedule": "parallel"}):
        other = clutter([-1.0, 0, 1, 2, 3, 4], 0, 100, 0.5, max_sweeps=80, **options)
        assert other.outcome.converged
        assert other.log_evidence == pytest.approx(result.log_evidence, abs=1e-8)
    # It is no bound: here it lies above the truth.
    assert result.log_evidence == pytest.approx(-14.693616, abs=1e-6)
    assert on_the_line(result.problem.sites, np.ones((6, 1)), 0, 100)[0] == pytest.approx(
        -14.979280, abs=1e-6
    )


@both
@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_it_ends_with_a_distribution_and_a_word_on_it(schedule, seed):
    rng = np.random.default_rng(seed)
    y = np.concatenate([rng.normal(size=4), 6 + 3 * rng.standard_t(1, 6)])
    result = fit(
        sites.StudentT(y, df=1.0, scale=0.1),
        rng.normal(size=(10, 2)),
        np.zeros(2),
        100 * np.eye(2),
        schedule=schedule,
        max_sweeps=25,
    )
    assert np.isfinite(result.mean).all() and (np.linalg.eigvalsh(result.covariance) > 0).all()
    assert result.outcome.converged == (result.change < 1e-8)
    assert np.isfinite(result.log_evidence) or "evidence is not defined" in result.outcome.message
    assert result.outcome.sweeps <= 25


class Impossible(sites.AbstractSite):
    """Normal sites, of which the last is 0 everywhere."""

    y: np.ndarray

    def log_density(self, f, index):
        return np.where(index == len(self.y) - 1, -np.inf, -0.5 * np.square(f - self.y[index]))

    def tilted(self, mean, variance, index):
        total = variance + 1
        normaliser = np.where(
            index == len(self.y) - 1,
            np.nan,
            -0.5 * (np.square(mean - self.y[index]) / total + np.log(total)),
        )
        return sites.Tilted(
            normaliser, mean + variance / total * (self.y[index] - mean), variance / total
        )


@both
def test_a_site_without_moments_is_skipped_and_named_and_the_others_are_exact(schedule):
    result = fit(
        Impossible(np.array([1.0, 2.0, 3.0])),
        np.ones((3, 1)),
        np.zeros(1),
        np.eye(1),
        schedule=schedule,
        max_sweeps=2000,
    )
    assert result.outcome.status == "not_converged"
    assert result.outcome.message.startswith(
        "The tilted distribution had no moments of site 2 in the last of"
    )
    assert "sweeps, damping then being 0.98." in result.outcome.message
    assert (
        np.isnan(result.log_evidence)
        and "The evidence is not defined: a site has no moments." in result.outcome.message
    )
    assert (
        "the tilted distribution had no moments of site 2; damping raised from 0 to 0.5"
        in result.outcome.warnings[0]
    )
    assert list(result.skipped) == [0, 0, result.outcome.sweeps]
    assert result.outcome.sweeps < 2000  # it ends when the others have arrived
    assert (result.mean[0], result.covariance[0, 0]) == pytest.approx((1.0, 1 / 3), abs=1e-6)


def test_too_few_sweeps_are_no_convergence():
    result = clutter([3.0, 5.0], 15, 100, 0.4, max_sweeps=5)
    assert result.outcome.status == "not_converged" and result.outcome.sweeps == 5
    assert (
        "still changed by" in result.outcome.message
        and "Raise max_sweeps" in result.outcome.message
    )
    assert "still changed" not in clutter([3.0, 5.0], 15, 100, 0.4).outcome.message
    failed = clutter([-1.0, 0, 1, 2, 3, 4], 0, 100, 0.5, max_sweeps=3)
    assert failed.outcome.message.startswith(
        "The cavity was not positive of site 5 in the last of 3 sweeps"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"design": np.ones(8)},
            r"design must be \[8, D\], a row for each of the 8 sites; got \[8\]. Write a column as x\[:, None\]",
        ),
        ({"design": np.ones((7, 2))}, r"design must be \[8, D\]"),
        (
            {"design": np.where(np.arange(8)[:, None] == 3, 0.0, np.ones((8, 2)))},
            "row 3 of the design is all 0",
        ),
        (
            {"design": np.where(np.arange(8)[:, None] == 5, np.inf, np.ones((8, 2)))},
            r"design\[5, 0\] is inf, and 2 of 16",
        ),
        ({"prior_mean": np.zeros(3)}, r"prior_mean must be \[2\]"),
        ({"prior_mean": np.array([0.0, np.nan])}, r"prior_mean\[1\] is nan"),
        (
            {"prior_covariance": np.ones((2, 2))},
            "prior_covariance must be positive definite; its least eigenvalue is",
        ),
        (
            {"prior_covariance": np.array([[1.0, 0.5], [0.0, 1.0]])},
            "prior_covariance must be symmetric; it differs from its transpose by 0.5",
        ),
        ({"prior_covariance": np.eye(3)}, r"prior_covariance must be \[2, 2\]; got \[3, 3\]"),
        (
            {"damping": 1.0},
            r"damping is the share of the old parameters and must be in \[0, 1\); got 1.0. Try 0.5.",
        ),
        ({"tolerance": 0.0}, "tolerance must be positive; got 0.0"),
        ({"max_sweeps": 0}, "max_sweeps must be at least 1; got 0"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(change, message):
    x, y = probit_case()
    arguments = {"design": x, "prior_mean": np.zeros(2), "prior_covariance": np.eye(2), **change}
    with pytest.raises(ValueError, match=message):
        fit(sites.Probit(y), **arguments)


def test_it_is_public():
    assert jensen.fit_expectation_propagation is fit
    assert "Probit" in dir(jensen.deterministic.expectation_propagation.sites)
