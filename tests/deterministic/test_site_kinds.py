"""Sites of several kinds in one fit, against quadrature and closed forms; and where sweeps are extrapolated."""

import jax
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from jensen.deterministic.expectation_propagation import fit_expectation_propagation as fit
from jensen.deterministic.expectation_propagation import sites

both = pytest.mark.parametrize("schedule", ["serial", "parallel"])
RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(8, 2)), RNG.normal(size=(6, 2))
LABELS = (X @ [1.0, -0.5] + RNG.normal(size=8) > 0).astype(float)
COUNTS = RNG.poisson(np.exp(Z @ [1.0, -0.5])).astype(float)


def on_the_plane(groups, designs, variance):
    """(log Z, mean, covariance) of w [2] under N(0, variance I) by an even grid."""
    axis = np.linspace(-9, 9, 601)
    w = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    log_p = multivariate_normal(np.zeros(2), variance * np.eye(2)).logpdf(w)
    for group, design in zip(groups, designs, strict=True):
        for n, a in enumerate(design):
            log_p = log_p + group.log_density(w @ a, np.full(len(w), n))
    p = np.exp(log_p - logsumexp(log_p))
    mean = p @ w
    return (
        logsumexp(log_p) + 2 * np.log(axis[1] - axis[0]),
        mean,
        (w - mean).T @ (p[:, None] * (w - mean)),
    )


@both
def test_probit_and_poisson_together_are_near_quadrature(schedule):
    groups, designs = [sites.Probit(LABELS), sites.Poisson(COUNTS)], [X, Z]
    result = fit(groups, designs, np.zeros(2), np.eye(2), schedule=schedule)
    log_z, mean, covariance = on_the_plane(groups, designs, 1.0)
    assert result.outcome.converged
    assert result.log_evidence == pytest.approx(log_z, abs=0.01)
    assert np.abs(result.mean - mean).max() < 0.03 * np.sqrt(np.diag(covariance)).min()
    assert np.sqrt(np.diag(result.covariance)) == pytest.approx(
        np.sqrt(np.diag(covariance)), rel=0.03
    )
    # The draws' weights read the sites as they are.
    draws = result.weighted_draws(100_000, key=jax.random.key(0))
    assert abs(draws.evidence.value - log_z) < 5 * draws.evidence.standard_errors[0]


@both
def test_one_kind_in_two_groups_is_that_kind(schedule):
    options = {"schedule": schedule, "tolerance": 1e-11}
    whole = fit(sites.Poisson(COUNTS), Z, np.zeros(2), np.eye(2), **options)
    parts = fit(
        [sites.Poisson(COUNTS[:2]), sites.Poisson(COUNTS[2:])],
        [Z[:2], Z[2:]],
        np.zeros(2),
        np.eye(2),
        **options,
    )
    for part in ("mean", "covariance", "log_evidence", "site_precisions", "site_shifts"):
        assert getattr(parts, part) == pytest.approx(getattr(whole, part), abs=1e-9)


@both
def test_normal_sites_are_conjugate_and_exact_beside_one_of_another_kind(schedule):
    """Validation case 1; and with one censored observation more, whose tilted distribution is then the posterior: exact too."""
    y, limit, noise = np.array([0.5, -1.0, 2.0]), np.array([1.5]), 0.49
    normal = fit(
        sites.Normal(y, noise_variance=noise), X[:3], np.zeros(2), 2 * np.eye(2), schedule=schedule
    )
    precision = np.eye(2) / 2 + X[:3].T @ X[:3] / noise
    assert normal.mean == pytest.approx(np.linalg.solve(precision, X[:3].T @ y / noise), abs=1e-10)
    assert normal.covariance == pytest.approx(np.linalg.inv(precision), abs=1e-10)
    assert normal.log_evidence == pytest.approx(
        multivariate_normal(np.zeros(3), noise * np.eye(3) + 2 * X[:3] @ X[:3].T).logpdf(y),
        abs=1e-10,
    )
    for side in ("above", "below"):
        groups, designs = (
            [
                sites.Normal(y, noise_variance=noise),
                sites.Censored(limit, side=side, noise_variance=noise),
            ],
            [X[:3], X[3:4]],
        )
        result = fit(groups, designs, np.zeros(2), 2 * np.eye(2), schedule=schedule)
        log_z, mean, covariance = on_the_plane(groups, designs, 2.0)
        assert result.log_evidence == pytest.approx(log_z, abs=1e-6)
        assert result.mean == pytest.approx(mean, abs=1e-6)
        assert result.covariance == pytest.approx(covariance, abs=1e-6)


@both
def test_a_limit_far_off_says_nothing_and_one_alone_has_its_tail(schedule):
    far = fit(
        [sites.Normal(np.array([1.0])), sites.Censored(np.array([-60.0]))],
        [np.ones((1, 1))] * 2,
        np.zeros(1),
        np.eye(1),
        schedule=schedule,
    )
    assert (far.mean[0], far.covariance[0, 0]) == pytest.approx((0.5, 0.5), abs=1e-12)
    alone = fit(
        sites.Censored(np.array([2.0]), noise_variance=4.0),
        np.ones((1, 1)),
        np.zeros(1),
        5 * np.eye(1),
        schedule=schedule,
    )
    assert alone.log_evidence == pytest.approx(norm.logcdf(-2 / 3), abs=1e-12)


@both
def test_sites_that_turn_around_their_fixed_point_are_there_in_tens_of_sweeps(schedule):
    """Eigenvalues .91 +- .98 i of the undamped map: by damping alone .996 a sweep is the best rate, some 5000 sweeps."""
    y = np.array([-1.0, 0, 1, 2, 3, 4])
    result = fit(sites.Clutter(y), np.ones((6, 1)), np.zeros(1), 100 * np.eye(1), schedule=schedule)
    assert result.outcome.converged and result.outcome.sweeps < 60
    # It is a fixed point: the tilted moments are q's own.
    cavity = 1 / (1 / result.covariance[0, 0] - result.site_precisions)
    tilted = sites.Clutter(y).tilted(
        cavity * (result.mean[0] / result.covariance[0, 0] - result.site_shifts),
        cavity,
        np.arange(6),
    )
    assert tilted.mean == pytest.approx(np.full(6, result.mean[0]), abs=1e-7)
    assert tilted.variance == pytest.approx(np.full(6, result.covariance[0, 0]), abs=1e-7)


def test_all_sites_at_once_give_way_to_one_after_the_other_and_say_so():
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.normal(size=4), 6 + 3 * rng.standard_t(1, 6)])
    x = rng.normal(size=(10, 2))
    result, serial = (
        fit(sites.StudentT(y, df=1.0, scale=0.1), x, np.zeros(2), 100 * np.eye(2), schedule=s)
        for s in ("parallel", "serial")
    )
    assert any("from here site after site" in w for w in result.outcome.warnings)
    assert result.outcome.converged and result.outcome.sweeps < 80
    assert result.log_evidence == pytest.approx(serial.log_evidence, abs=1e-7)


@pytest.mark.parametrize(
    ("kinds", "designs", "message"),
    [
        ([], [], "sites must be of one kind, or a list of kinds .* got none"),
        (
            [sites.Probit(LABELS), sites.Poisson(COUNTS)],
            [X],
            "2 kinds of sites need a list of as many designs, .* got 1",
        ),
        (
            [sites.Probit(LABELS), sites.Poisson(COUNTS)],
            [X, Z[:, :1]],
            r"same columns, one for each entry of w; got \[2, 1\]",
        ),
        (
            [sites.Probit(LABELS), sites.Poisson(COUNTS)],
            [X, X],
            r"design\[1\] must be \[6, D\], a row for each of the 6 sites; got \[8, 2\]",
        ),
        (
            [sites.Probit(LABELS), sites.Poisson(COUNTS)],
            [X, Z * np.nan],
            r"design\[1\]\[0, 0\] is nan",
        ),
    ],
)
def test_kinds_and_designs_that_do_not_go_together_are_refused(kinds, designs, message):
    with pytest.raises(ValueError, match=message):
        fit(kinds, designs, np.zeros(2), np.eye(2))
