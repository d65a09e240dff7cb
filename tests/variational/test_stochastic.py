"""Fits by noisy gradients: they end where the fixed draws end, and know when they have not."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jensen
from jensen.variational._stochastic import monte_carlo_error, split_r_hat
from variational import _worlds as worlds

KEY = jr.key(0)
SD = np.sqrt(np.diag(np.linalg.inv(worlds.PRECISION)))


@pytest.mark.parametrize(
    "options",
    [
        {"batch": 4},
        {"bound": "eubo"},
        {"bound": {"name": "renyi", "alpha": 0.5}},
        {"gradient": "closed_form_kl"},
        {"gradient": jensen.gradients.Pathwise},
    ],
    ids=["minibatches", "eubo", "renyi", "closed entropy", "pathwise"],
)
def test_a_conjugate_posterior_is_found_by(options):
    """From a start that is off by a standard deviation and a factor of two."""
    off = np.linalg.cholesky(np.linalg.inv(worlds.PRECISION))
    start = jensen.variational.families.Start(worlds.MEAN + SD, 2 * off)
    fit = jensen.fit_variational(
        worlds.conjugate_in_rows(), "full_rank", key=KEY, start=start, **options
    )
    assert fit.outcome.converged, fit.outcome.message
    with jax.enable_x64(True):
        loc, scale_tril = (np.asarray(a) for a in fit.family.parameters())
    assert (np.abs(loc - worlds.MEAN) < 0.06 * SD).all()
    np.testing.assert_allclose(np.sqrt(np.diag(scale_tril @ scale_tril.T)) / SD, 1, atol=0.06)
    assert fit.evidence.value == pytest.approx(
        worlds.EVIDENCE, abs=5 * fit.evidence.standard_error + 1e-9
    )  # of all data, also from minibatches
    assert fit.trusted


def test_the_forward_kl_has_the_marginal_variances_and_the_reverse_kl_the_conditional_ones():
    rho = 0.9
    options = {"key": KEY, "num_draws": 1000}
    forward = jensen.fit_variational(
        worlds.correlated(rho), "mean_field", bound="eubo", num_samples=512, **options
    )
    reverse = jensen.fit_variational(
        worlds.correlated(rho), "mean_field", method="stochastic", **options
    )
    with jax.enable_x64(True):
        wide, narrow = (
            np.square(np.asarray(fit.family.parameters()[1])) for fit in (forward, reverse)
        )
    np.testing.assert_allclose(wide, 1, atol=0.1)
    np.testing.assert_allclose(narrow, 1 - rho**2, rtol=0.1)


def test_minibatches_are_scaled_to_all_data(x64):
    target = worlds.conjugate_in_rows()
    u = jnp.array([0.3, -0.2, 1.5])
    full = float(target.log_likelihood(u))
    parts = [
        float(target.log_likelihood(u, jnp.arange(start, start + 3))) for start in (0, 3, 6, 9)
    ]
    assert np.mean(parts) == pytest.approx(full, abs=1e-10)
    assert np.std(parts) > 1
    assert float(target.log_density(u)) == pytest.approx(
        float(worlds.conjugate().log_density(u)), abs=1e-10
    )


def test_too_few_steps_are_not_converged():
    fit = jensen.fit_variational(
        worlds.conjugate_in_rows(),
        "full_rank",
        key=KEY,
        batch=2,
        max_steps=800,
        rate=0.1,
        num_draws=500,
    )
    assert not fit.outcome.converged and not fit.trusted
    assert fit.verdicts[0].startswith(
        "Not converged: 800 steps, the last at rate 0.1: too few steps to judge convergence by; convergence needs R-hat 1.1, error 0.02"
    )
    assert "max_steps=" in fit.outcome.message


def test_the_diagnostics_of_iterates():
    rng = np.random.default_rng(0)
    still = rng.normal(size=(4000, 3))
    assert (split_r_hat(still) < 1.01).all()
    assert (split_r_hat(still + np.linspace(0, 2, 4000)[:, None]) > 1.1).all()
    assert split_r_hat(np.ones((100, 1))) == 1
    np.testing.assert_allclose(monte_carlo_error(still), 1 / np.sqrt(4000), rtol=0.5)
    slow = np.zeros((40_000, 1))
    for i in range(1, len(slow)):
        slow[i] = 0.9 * slow[i - 1] + rng.normal()
    assert monte_carlo_error(slow)[0] == pytest.approx(
        10 / np.sqrt(40_000), rel=0.5
    )  # (1 - .9)^-1 / sqrt T


def banana():
    """u0 ~ N(0, 1), u1 | u0 ~ N(u0^2, 1/2): normalised, so the evidence is 0."""
    constant = -np.log(2 * np.pi) - np.log(0.5)
    return jensen.from_unconstrained(
        lambda u: -0.5 * u[0] ** 2 - 2 * (u[1] - u[0] ** 2) ** 2 + constant, size=2
    )


def twenty():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(20, 20))
    covariance, mean = root @ root.T / 20 + 0.05 * np.eye(20), rng.normal(size=20)
    return worlds.gaussian(np.linalg.inv(covariance), mean), {
        "start": jensen.variational.families.Start(mean + 0.5, 1.5 * np.linalg.cholesky(covariance))
    }


@pytest.mark.parametrize(
    "name",
    [
        "banana",
        pytest.param("schools", marks=pytest.mark.slow),
        pytest.param("twenty", marks=pytest.mark.slow),
    ],
)
def test_a_flow_converges_at_the_default_rate(name):
    """The evidence is known, so the ELBO says how far q is from the posterior: KL(q || p). A full-rank normal's is .22 nats for the schools."""
    target, options = {
        "banana": lambda: (banana(), {}),
        "schools": lambda: (jensen.from_numpyro(worlds.eight_schools), {}),
        "twenty": twenty,
    }[name]()
    evidence, most = {"banana": (0, 0.06), "schools": (-31.3113474, 0.06), "twenty": (0, 0.03)}[
        name
    ]
    fit = jensen.fit_variational(target, "flow", key=KEY, method="stochastic", **options)
    assert fit.outcome.converged, fit.outcome.message
    assert evidence - most < fit.elbo.value < evidence + 5 * fit.elbo.standard_error


def test_a_flow_that_was_cut_short_says_so():
    fit = jensen.fit_variational(banana(), "flow", key=KEY, max_steps=1000, num_draws=500)
    assert (
        fit.settings["method"] == "stochastic"
    )  # of itself: a network's weights over-fit thousands of fixed draws
    assert (
        not fit.outcome.converged
        and not fit.trusted
        and fit.verdicts[0].startswith("Not converged: 1000 steps")
    )
