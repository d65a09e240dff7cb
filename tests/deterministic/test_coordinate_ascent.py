"""Coordinate ascent against exact evidence, enumeration and the known maxima (validation cases 1, 2, 4 and 5)."""

import itertools

import jax
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, multivariate_t

from jensen.deterministic.coordinate_ascent import (
    fit_factor_analysis,
    fit_gaussian_mixture,
    fit_linear_regression,
    fit_normal_gamma_regression,
    fit_probabilistic_pca,
)
from jensen.deterministic.coordinate_ascent._ascent import ascend

KEY = jax.random.key(0)
EIGHT = np.array([-2.1, -1.4, -2.6, -1.8, 1.9, 2.5, 1.2, 2.2])


def rises(result):
    return (np.diff(result.elbos) > -1e-10 * (1 + np.abs(result.elbos[:-1]))).all()


def mixture_evidence(x, k, prior, noise):
    """By enumeration of all assignments; given one, the columns of x are normal."""
    terms = []
    for c in itertools.product(range(k), repeat=len(x)):
        one = np.eye(k)[list(c)]
        normal = multivariate_normal(np.zeros(len(x)), noise * np.eye(len(x)) + prior * one @ one.T)
        terms.append(sum(normal.logpdf(column) for column in x.T) - len(x) * np.log(k))
    return logsumexp(terms)


def test_the_known_mixture():
    result = fit_gaussian_mixture(EIGHT, 2, key=KEY, prior_variance=9.0)
    assert result.elbo == pytest.approx(-17.755458, abs=6e-7)
    evidence = mixture_evidence(EIGHT[:, None], 2, 9.0, 1.0)
    assert evidence == pytest.approx(-17.024285, abs=6e-7)
    assert evidence - result.elbo - np.log(2) == pytest.approx(0.038, abs=5e-4)
    assert result.outcome.converged and rises(result)
    assert result.starts.max() == result.elbo
    assert np.array_equal(
        np.argmax(result.shares, axis=1) == np.argmax(result.shares[0]), EIGHT < 0
    )


def test_draws_of_the_mixture_have_the_elbo_as_their_mean_and_miss_the_other_order():
    result = fit_gaussian_mixture(EIGHT, 2, key=KEY, prior_variance=9.0)
    draws = result.weighted_draws(20_000, key=KEY)
    assert abs(draws.log_w.mean() - result.elbo) < 5 * draws.log_w.std() / np.sqrt(20_000)
    collapsed = result.weighted_draws(20_000, key=KEY, collapsed=True)
    assert collapsed.log_w.mean() > result.elbo + 0.01
    assert collapsed.evidence.trusted[0]
    assert (
        abs(collapsed.evidence.value - (-17.024285 - np.log(2)))
        < 5 * collapsed.evidence.standard_errors[0]
    )
    assert draws.draws["assignment"].mean(axis=0) == pytest.approx(result.shares[:, 1], abs=0.02)


def test_a_mixture_in_the_plane_has_its_bound_below_its_evidence():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 2)) + 2 * np.array([[1, -1]] * 2 + [[-1, 1]] * 2 + [[1, 1]] * 2)
    result = fit_gaussian_mixture(x, 3, key=KEY, prior_variance=4.0, noise_variance=0.5)
    evidence = mixture_evidence(x, 3, 4.0, 0.5)
    assert result.elbo < evidence - np.log(6) + 0.05
    assert rises(result)
    draws = result.weighted_draws(20_000, key=KEY)
    assert abs(draws.log_w.mean() - result.elbo) < 5 * draws.log_w.std() / np.sqrt(20_000)
    assert draws.evidence.value < evidence
    # One component is conjugate: the bound is the evidence.
    single = fit_gaussian_mixture(x, 1, key=KEY, prior_variance=4.0, noise_variance=0.5)
    assert single.elbo == pytest.approx(mixture_evidence(x, 1, 4.0, 0.5), abs=1e-10)


def regression():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3))
    x[:, 1] += x[:, 0]
    return x, x @ [1, 2, 3] + rng.normal(size=20), np.ones(3), np.diag([2.0, 1.0, 3.0]) + 0.3


def test_linear_regression_is_exact_and_its_weights_are_all_the_evidence():
    x, y, mean, prior = regression()
    result = fit_linear_regression(x, y, mean, prior, noise_variance=0.7)
    exact = multivariate_normal(x @ mean, 0.7 * np.eye(20) + x @ prior @ x.T).logpdf(y)
    assert result.log_evidence == pytest.approx(exact, abs=1e-10)
    assert result.elbo == pytest.approx(exact, abs=1e-10)
    draws = result.weighted_draws(1000, key=KEY)
    assert np.ptp(draws.log_w) < 1e-10
    assert draws.log_w[0] == pytest.approx(exact, abs=1e-10)
    assert draws.evidence.pareto_k[0] == -np.inf
    assert rises(result) and len(result.elbos) == 3


def test_a_factorised_regression_has_the_posteriors_mean_and_the_known_gap():
    x, y, mean, prior = regression()
    result, whole = (
        fit_linear_regression(x, y, mean, prior, noise_variance=0.7, factorised=f)
        for f in (True, False)
    )
    precision = np.linalg.inv(prior) + x.T @ x / 0.7
    assert result.mean == pytest.approx(whole.mean, abs=1e-5)
    assert result.covariance == pytest.approx(np.diag(1 / np.diag(precision)), abs=1e-12)
    gap = 0.5 * (np.sum(np.log(np.diag(precision))) - np.linalg.slogdet(precision)[1])
    assert result.log_evidence - result.elbo == pytest.approx(gap, abs=1e-9)
    assert result.outcome.converged and rises(result) and len(result.elbos) > 10
    draws = result.weighted_draws(20_000, key=KEY)
    assert abs(draws.log_w.mean() - result.elbo) < 5 * draws.log_w.std() / np.sqrt(20_000)
    assert draws.log_p == pytest.approx(
        multivariate_normal(mean, prior).logpdf(draws.draws["w"])
        - 0.5 * np.sum((y - draws.draws["w"] @ x.T) ** 2 / 0.7 + np.log(2 * np.pi * 0.7), axis=1),
        abs=1e-9,
    )


def test_unknown_noise_has_the_evidence_of_students_t_and_a_gap():
    x, y, mean, prior = regression()
    result = fit_normal_gamma_regression(x, y, mean, prior, prior_shape=2.0, prior_rate=1.5)
    exact = multivariate_t(x @ mean, 1.5 / 2.0 * (np.eye(20) + x @ prior @ x.T), df=4.0).logpdf(y)
    assert result.log_evidence == pytest.approx(exact, abs=1e-9)
    assert 0.01 < exact - result.elbo < 0.2
    assert result.outcome.converged and rises(result)
    draws = result.weighted_draws(20_000, key=KEY)
    assert abs(draws.log_w.mean() - result.elbo) < 5 * draws.log_w.std() / np.sqrt(20_000)
    assert draws.evidence.trusted[0]
    assert abs(draws.evidence.value - exact) < 5 * draws.evidence.standard_errors[0]


def test_at_the_optimum_no_other_noise_has_a_higher_bound():
    x, y, mean, prior = regression()
    result = fit_normal_gamma_regression(x, y, mean, prior, tolerance=1e-13)
    draws = result.weighted_draws(4000, key=KEY)
    # The bound of another q of the family by importance: log w of these draws, weighted; its derivative in log rate is 0 at the optimum.
    tau = draws.draws["precision"]
    score = result.shape - result.rate * tau
    assert abs(np.mean(score * (draws.log_w - draws.log_w.mean()))) < 5 * np.std(
        score * (draws.log_w - draws.log_w.mean())
    ) / np.sqrt(4000)


def factors(columns=6, rows=200):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(rows, 2))
    return (
        z @ rng.normal(size=(2, columns))
        + rng.normal(size=(rows, columns)) * np.linspace(0.3, 1.3, columns)
        + 5
    )


def pca_maximum(x, latent):
    """Validation case 4."""
    n, d = x.shape
    values = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    s2 = values[latent:].mean()
    return -n / 2 * (
        np.sum(np.log(values[:latent])) + (d - latent) * np.log(s2) + d * np.log(2 * np.pi) + d
    ), s2


@pytest.mark.parametrize("latent", [1, 2, 4])
def test_probabilistic_pca_reaches_the_known_maximum_from_any_start(latent):
    x = factors()
    maximum, s2 = pca_maximum(x, latent)
    for seed in range(3):
        result = fit_probabilistic_pca(x, latent, key=jax.random.key(seed), tolerance=1e-11)
        assert result.outcome.converged and rises(result)
        assert result.elbo == pytest.approx(maximum, abs=1e-6)
        assert result.noise == pytest.approx(np.full(6, s2), rel=1e-4)
        values, vectors = np.linalg.eigh(np.cov(x.T, bias=True))
        leading = vectors[:, ::-1][:, :latent]
        expected = leading @ np.diag(values[::-1][:latent] - s2) @ leading.T
        assert result.loadings @ result.loadings.T == pytest.approx(expected, abs=1e-3)


def test_a_constant_column_has_a_finite_likelihood_where_the_noise_is_shared():
    x = factors()
    x[:, 2] = 5.0
    maximum, s2 = pca_maximum(x, 2)
    result = fit_probabilistic_pca(x, 2, key=KEY, tolerance=1e-11)
    assert result.outcome.converged and result.outcome.warnings == ()
    assert result.elbo == pytest.approx(maximum, abs=1e-6)
    assert result.noise == pytest.approx(np.full(6, s2), rel=1e-4)
    assert result.loadings[2] == pytest.approx([0, 0], abs=1e-12) and result.mean[2] == 5


def test_the_elbo_after_a_sweep_is_the_log_likelihood_and_every_weight_is():
    x = factors()
    for result in (
        fit_probabilistic_pca(x, 2, key=KEY, max_sweeps=3),
        fit_factor_analysis(x, 2, key=KEY),
    ):
        exact = (
            multivariate_normal(
                result.mean, result.loadings @ result.loadings.T + np.diag(result.noise)
            )
            .logpdf(x)
            .sum()
        )
        assert result.elbo == pytest.approx(exact, abs=1e-8)
        draws = result.weighted_draws(5, key=KEY)
        assert draws.log_w == pytest.approx(np.full(5, exact), abs=1e-7)
        # Case 4: q's covariance is M^-1, M = I + W' Psi^-1 W.
        m = np.eye(2) + result.loadings.T @ (result.loadings / result.noise[:, None])
        assert result.covariance == pytest.approx(np.linalg.inv(m), abs=1e-12)
        assert draws.draws["z"].mean() == pytest.approx(result.scores.mean(), abs=0.1)


def test_factor_analysis_is_at_a_maximum_and_agrees_with_another_implementation():
    from sklearn.decomposition import FactorAnalysis

    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 8)) + rng.normal(
        size=(400, 8)
    ) * np.linspace(0.6, 1.3, 8)
    result = fit_factor_analysis(x, 2, key=KEY, tolerance=1e-11)
    assert result.outcome.converged and rises(result)
    other = FactorAnalysis(2, tol=1e-12, max_iter=100_000, svd_method="lapack").fit(x)
    assert result.elbo == pytest.approx(other.score(x) * len(x), abs=1e-5)
    assert result.noise == pytest.approx(other.noise_variance_, rel=2e-3)
    # The likelihood's equation for the noise: diag(S - W W' - Psi) = 0 at a maximum.
    implied = np.sum(result.loadings**2, axis=1) + result.noise
    assert implied == pytest.approx(x.var(axis=0), rel=1e-4)
    assert result.outcome.warnings == ()


def test_a_heywood_case_stops_at_the_floor_and_is_named():
    rng = np.random.default_rng(1)
    z = rng.normal(size=(100, 1))
    x = np.concatenate(
        [z, z + 0.5 * rng.normal(size=(100, 1)), rng.normal(size=(100, 2))], axis=1
    )  # column 0 is the factor
    result = fit_factor_analysis(x, 1, key=KEY, least_noise=0.1)
    assert result.outcome.converged and rises(result)
    assert "column 0 is at its floor (a Heywood case)" in result.outcome.warnings[0]
    assert result.noise[0] == pytest.approx(0.1 * x[:, 0].var(), rel=1e-12)
    # Given that, the others are at their maximum.
    implied = np.sum(result.loadings**2, axis=1) + result.noise
    assert implied[1:] == pytest.approx(x.var(axis=0)[1:], rel=1e-3)
    assert fit_factor_analysis(x, 1, key=KEY, least_noise=0.05).elbo > result.elbo


def test_too_few_sweeps_are_no_convergence():
    result = fit_probabilistic_pca(factors(), 2, key=KEY, max_sweeps=2)
    assert result.outcome.status == "not_converged" and len(result.elbos) == 3
    assert "still raised the ELBO by" in result.outcome.message


def test_an_update_that_lowers_the_elbo_is_named():
    updates = {"the good one": lambda s: s / 2, "the bad one": lambda s: s + 1.0}
    with pytest.raises(
        ArithmeticError,
        match=r"the update of the bad one in sweep 1 took the ELBO from -0.25 to -2.25 nats",
    ):
        ascend(1.0, updates, lambda s: -s * s, tolerance=1e-9, max_sweeps=10)
    with pytest.raises(
        ArithmeticError, match="the update of nan in sweep 1 took the ELBO from -1 to nan nats"
    ):
        ascend(
            1.0, {"nan": lambda s: float("nan")}, lambda s: -s * s, tolerance=1e-9, max_sweeps=10
        )
    with pytest.raises(ArithmeticError, match="the ELBO is -inf at the start"):
        ascend(1.0, {}, lambda s: -np.inf, tolerance=1e-9, max_sweeps=10)


X, Y, M, V = regression()
REFUSED = [
    (lambda: fit_gaussian_mixture(np.array([1.0, np.nan]), 1, key=KEY), r"x\[1\] is nan"),
    (lambda: fit_gaussian_mixture(EIGHT, 9, key=KEY), "at least as many data as components"),
    (
        lambda: fit_gaussian_mixture(EIGHT, 2, key=KEY, prior_variance=0.0),
        "prior_variance must be positive and finite; got 0",
    ),
    (
        lambda: fit_gaussian_mixture(EIGHT, 2, key=KEY, noise_variance=-1.0),
        "noise_variance must be positive",
    ),
    (
        lambda: fit_gaussian_mixture(EIGHT, 2, key=KEY, num_starts=0),
        "num_starts must be at least 1",
    ),
    (
        lambda: fit_linear_regression(X, Y[:5], M, V),
        r"x must be \[N, D\], y \[N\] and prior_mean \[D\]; got \[20, 3\], \[5\] and \[3\]",
    ),
    (
        lambda: fit_linear_regression(X, Y, M, np.ones((3, 3))),
        "prior_covariance must be positive definite",
    ),
    (
        lambda: fit_linear_regression(X, np.where(np.arange(20) == 4, np.inf, Y), M, V),
        r"y\[4\] is inf",
    ),
    (
        lambda: fit_linear_regression(X, Y, M, V, noise_variance=np.inf),
        "noise_variance must be positive and finite",
    ),
    (lambda: fit_linear_regression(X, Y, M, V, max_sweeps=0), "max_sweeps must be at least 1"),
    (lambda: fit_linear_regression(X, Y, M, V, tolerance=0.0), "tolerance must be positive"),
    (
        lambda: fit_normal_gamma_regression(X, Y, M, V, prior_shape=0.0),
        "prior_shape must be positive",
    ),
    (
        lambda: fit_normal_gamma_regression(X, Y, M, V, prior_rate=-1.0),
        "prior_rate must be positive",
    ),
    (
        lambda: fit_factor_analysis(factors(), 6, key=KEY),
        "latent_dim must be at least 1 and below the 6 columns of x; got 6",
    ),
    (
        lambda: fit_factor_analysis(factors()[:3], 2, key=KEY),
        "2 latent dimensions fit 3 data without noise",
    ),
    (
        lambda: fit_factor_analysis(factors() * np.array([1, 1, 0, 1, 1, 1]), 2, key=KEY),
        "column 2 of x is constant: its noise variance would be 0",
    ),
    (
        lambda: fit_probabilistic_pca(np.ones((9, 3)), 2, key=KEY),
        "all columns of x are constant",
    ),
    (lambda: fit_probabilistic_pca(factors()[0], 2, key=KEY), r"x must be \[N, D\]; got \[6\]"),
    (
        lambda: fit_factor_analysis(factors(), 2, key=KEY, least_noise=0.0),
        "least_noise must be positive",
    ),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[m[:30] for _, m in REFUSED])
def test_what_makes_no_sense_is_refused_with_the_reason(call, message):
    with pytest.raises(ValueError, match=message):
        call()
