"""Fits whose every figure is known."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import jensen
from jensen.bounds import CUBO, ELBO, Renyi
from jensen.evidence import estimate_evidence
from jensen.evidence.annealed import Annealed
from jensen.evidence.importance import Importance
from jensen.variational._fresh_draws import FreshDraws
from jensen.variational._problem import datum
from jensen.variational.families import MeanField, Start
from variational import _worlds as worlds

KEY = jr.key(0)


@pytest.fixture(scope="module")
def exact():
    return jensen.fit_variational(worlds.conjugate(), "full_rank", key=KEY, num_draws=2000)


def test_a_conjugate_regression_is_exact(x64, exact):
    log_w = exact.log_p - exact.log_q
    assert np.abs(log_w - worlds.EVIDENCE).max() < 1e-10
    assert exact.elbo.value == pytest.approx(worlds.EVIDENCE, abs=1e-10)
    assert exact.evidence.value == pytest.approx(worlds.EVIDENCE, abs=1e-10)
    assert exact.pareto_k == -np.inf and exact.trusted and exact.outcome.converged
    loc, scale_tril = exact.family.parameters()
    np.testing.assert_allclose(loc, worlds.MEAN, atol=1e-8)
    np.testing.assert_allclose(
        scale_tril @ scale_tril.T, np.linalg.inv(worlds.PRECISION), atol=1e-8
    )


def test_reconstruction_less_kl_is_the_elbo(exact):
    assert exact.reconstruction.value - exact.kl.value == pytest.approx(exact.elbo.value, abs=1e-10)
    s, shift = np.linalg.inv(worlds.PRECISION), worlds.MEAN - worlds.PRIOR_MEAN
    kl = 0.5 * (
        np.sum((np.diag(s) + shift**2) / worlds.PRIOR_SD**2)
        - 3
        + 2 * np.log(worlds.PRIOR_SD).sum()
        - np.linalg.slogdet(s)[1]
    )
    assert abs(exact.kl.value - kl) < 5 * exact.kl.standard_error


def test_whatever_reads_models_reads_a_fit(exact):
    with jax.enable_x64(True):
        for estimator in (
            Importance(num_samples=200),
            Annealed(num_samples=8, num_temperatures=20),
        ):
            found = estimate_evidence(exact.model, datum(exact.target), estimator, key=KEY)
            assert found.value == pytest.approx(worlds.EVIDENCE, abs=1e-6)


@pytest.mark.parametrize("rho", [0.9, -0.5])
def test_mean_field_of_a_normal_has_the_known_variances_gap_and_linear_response(x64, rho):
    fit = jensen.fit_variational(worlds.correlated(rho), "mean_field", key=KEY, num_draws=4000)
    _, scale = fit.family.parameters()
    np.testing.assert_allclose(np.square(scale), 1 - rho**2, atol=1e-6)
    assert abs(fit.elbo.value - 0.5 * np.log(1 - rho**2)) < 5 * fit.elbo.standard_error
    np.testing.assert_allclose(fit.covariance, [[1, rho], [rho, 1]], atol=1e-6)
    spread = fit.sd(linear_response=True)["u"]
    np.testing.assert_allclose(spread, 1, atol=5 / np.sqrt(8000))
    assert any(v.startswith("Too narrow") for v in fit.verdicts) == (rho == 0.9)


@pytest.mark.parametrize("s", [0.8, 0.9])
def test_the_bounds_of_a_standard_normal_by_a_narrower_one(x64, s):
    """Validation case 3: p = N(0, 1), q = N(0, s^2), by the library's bounds on the log-weights that a fit of this q reports."""
    n = 1_000_000
    drawn = FreshDraws(
        worlds.gaussian(np.eye(1)), MeanField(Start(jnp.zeros(1), jnp.array([[s]]))), KEY, n
    )
    log_w = drawn.log_w
    elbo, cubo, half, two = (
        float(bound(jnp.asarray(log_w)))
        for bound in (ELBO(), CUBO(n=2.0), Renyi(alpha=0.5), Renyi(alpha=2.0))
    )

    def error(exponent):
        """Of (1 / exponent) log mean w^exponent, by the delta method."""
        w = np.exp(exponent * log_w)
        return w.std() / w.mean() / abs(exponent) / np.sqrt(n)

    kl, second = 0.5 * (s**2 - 1 - np.log(s**2)), s**2 / np.sqrt(2 * s**2 - 1)
    renyi = {a: np.log(s) + np.log(a + (1 - a) * s**2) / (2 * (a - 1)) for a in (0.5, 2.0)}
    if s == 0.8:
        assert (second, renyi[0.5], renyi[2.0]) == pytest.approx(
            (1.2094863, -0.0246926, -0.0694012), abs=6e-8
        )
    assert abs(elbo + kl) < 5 * log_w.std() / np.sqrt(n) and elbo == pytest.approx(
        drawn.elbo.value, abs=1e-12
    )
    # At s = .8 w^2 has a mean and no variance (exp(.36 e^2), a tail of index 1.39): what a million draws miss of it is n^-.28 of it.
    assert abs(cubo - 0.5 * np.log(second)) < (0.02 if s == 0.8 else 5 * error(2))
    assert np.mean(np.exp(2 * log_w)) == pytest.approx(np.exp(2 * cubo), rel=1e-12)
    assert abs(half - renyi[0.5]) < 5 * error(0.5) and abs(two - renyi[2.0]) < 5 * error(-1)
    assert error(0.5) < 1e-3 and error(-1) < 1e-3


def test_the_best_logit_normal_of_a_beta_posterior():
    fit = jensen.fit_variational(worlds.beta_bernoulli(), "mean_field", key=KEY, num_draws=100_000)
    assert abs(fit.elbo.value - -14.3074331) < 5 * fit.elbo.standard_error + 2e-6
    assert abs(fit.evidence.value - -14.3067741) < 5 * fit.evidence.standard_error
    assert fit.elbo.standard_error < 2e-4
    assert fit.mean()["p"] == pytest.approx(15 / 25, abs=0.005)
    assert fit.gap.value == pytest.approx(14.3074331 - 14.3067741, abs=3e-4)


@pytest.mark.parametrize("seed", range(5))
def test_unscaled_regression_is_solved_from_a_random_start(seed):
    fit = jensen.fit_variational(
        worlds.seven_points(), "full_rank", key=jr.key(seed), num_draws=20_000
    )
    assert fit.outcome.converged
    mean = fit.mean(weighted=True)
    assert (
        abs(mean["slope"] - -8.8848) < 0.15 * 1.7815
        and abs(mean["intercept"] - 88.4935) < 0.15 * 8.348
    )
    assert abs(fit.evidence.value - -32.37105) < 0.1
    assert fit.settings["objective_evaluations"] <= 130
    assert fit.pareto_k > 0.5 and not fit.verdicts[0].startswith("Nothing")


def test_eight_schools_is_doubted():
    fit = jensen.fit_variational(
        jensen.from_numpyro(worlds.eight_schools), "full_rank", key=KEY, num_draws=100_000
    )
    assert abs(fit.elbo.value - -31.535) < 0.015
    assert fit.pareto_k == pytest.approx(0.69, abs=0.12)
    said = fit.verdicts[0]
    assert said.startswith(("Doubtful", "Untrusted")) and "tau" in said and "MCMC" in said
    assert fit.mean()["tau"] < 3.4  # the truth is 3.5979
    assert fit.evidence.value > fit.elbo.value


def centred_schools():
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("schools", 8):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, worlds.ERRORS), obs=worlds.EFFECTS)


def test_a_density_without_a_maximum_has_another_start_and_wants_mcmc():
    """The centred parametrisation: its density rises without end as tau falls to 0."""
    fit = jensen.fit_variational(jensen.from_numpyro(centred_schools), "full_rank", key=KEY)
    assert fit.settings["start"] == "rough mean-field" and fit.outcome.converged
    assert fit.elbo.value < -31.3113474 and fit.elbo.value > -34
    assert (
        not fit.trusted
        and fit.verdicts[0].startswith("Untrusted")
        and "tau" in fit.verdicts[0]
        and "MCMC" in fit.verdicts[0]
    )


def test_a_climb_that_was_cut_short_says_so():
    fit = jensen.fit_variational(
        worlds.seven_points(), "mean_field", key=KEY, max_evaluations=2, num_draws=500
    )
    assert not fit.outcome.converged and "the limit of evaluations was met" in fit.outcome.message
    assert (
        fit.verdicts[0].startswith("Not converged") and not fit.trusted and fit.covariance is None
    )
