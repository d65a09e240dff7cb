"""What a fit reports of itself."""

import arviz_stats
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import xarray
from scipy.stats import norm

import jensen
from jensen.evidence import evidence_of_log_weights
from jensen.variational import families
from jensen.variational._fresh_draws import FreshDraws
from variational import _worlds as worlds

KEY = jr.key(0)


def t_target(df, size=1):
    return jensen.from_unconstrained(
        lambda u: jnp.sum(-0.5 * (df + 1) * jnp.log1p(u**2 / df)), size=size
    )


@pytest.mark.parametrize(("df", "of_q"), [(5.0, 10.0), (3.0, 6.0)])
def test_k_hat_of_a_t_for_a_t(x64, df, of_q):
    """As its draws say, of a q that is not fitted: the truth is of equal scales."""
    start = families.Start(jnp.zeros(1), jnp.eye(1))
    drawn = FreshDraws(t_target(df), families.StudentT(start, df=of_q), KEY, 100_000)
    k = float(evidence_of_log_weights(drawn.log_w[None]).pareto_k[0])
    assert k == pytest.approx(1 - df / of_q, abs=0.12)


def test_a_normal_on_a_t_warns():
    fit = jensen.fit_variational(t_target(2.0, size=4), "full_rank", key=KEY, num_draws=20_000)
    assert fit.pareto_k > 0.7 and not fit.trusted
    assert (
        fit.verdicts[0].startswith("Untrusted: k-hat is")
        and "MCMC" in fit.verdicts[0]
        and "u[" in fit.verdicts[0]
    )


def test_heavy_tails_may_have_no_elbo():
    fit = jensen.fit_variational(worlds.seven_points(), "student_t", key=KEY)
    assert any(v.startswith("No ELBO") for v in fit.verdicts)
    assert (
        fit.pareto_k < 0.5 and abs(fit.evidence.value - -32.37105) < 5 * fit.evidence.standard_error
    )


def test_a_mixture_finds_both_modes():
    half = lambda u, m: -0.5 * jnp.sum((u - m) ** 2) - np.log(2 * np.pi)  # noqa: E731
    target = jensen.from_unconstrained(
        lambda u: jnp.logaddexp(half(u, 3.0), half(u, -3.0)) - np.log(2.0), size=2
    )
    start = families.Start(np.zeros(2), 2 * np.eye(2))
    fit = jensen.fit_variational(
        target, {"name": "mixture", "num_components": 2}, key=KEY, start=start
    )
    assert abs(fit.elbo.value) < 0.01 and abs(fit.evidence.value) < 0.01
    one = jensen.fit_variational(target, "full_rank", key=KEY)
    assert one.elbo.value == pytest.approx(
        -np.log(2), abs=0.05
    )  # one mode has half the mass, and no weight says so


def test_a_flow_beats_the_normal_on_a_skewed_posterior():
    normal = jensen.fit_variational(worlds.beta_bernoulli(), "full_rank", key=KEY)
    flow = jensen.fit_variational(worlds.beta_bernoulli(), "flow", key=KEY)
    assert normal.elbo.value <= flow.elbo.value + 5 * flow.elbo.standard_error
    skewed = jensen.fit_variational(
        worlds.seven_points(), "flow", key=KEY, fixed_draws=2048, max_evaluations=150
    )
    assert (
        skewed.elbo.value > -32.54 + 0.05
        and skewed.elbo.value < -32.37105 + 5 * skewed.elbo.standard_error
    )


def test_weighted_moments_are_nearer_the_truth():
    fit = jensen.fit_variational(
        worlds.seven_points(), {"name": "student_t", "df": 5.0}, key=KEY, num_draws=40_000
    )
    assert fit.sd(weighted=True)["intercept"] == pytest.approx(8.348, rel=0.05)
    assert fit.sd(weighted=True)["slope"] == pytest.approx(1.7815, rel=0.05)
    again = fit.resampled(20_000, key=jr.key(1))
    assert again["slope"].mean() == pytest.approx(-8.8848, abs=0.1)
    assert again["slope"].std() == pytest.approx(1.7815, rel=0.08)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter")
def test_the_tree_is_what_arviz_reads():
    """Leave-one-out of a conjugate regression from draws of q, against the exact predictive densities."""
    fit = jensen.fit_variational(worlds.conjugate(), "full_rank", key=KEY, num_draws=4000)
    tree = fit.to_datatree()
    assert tree["posterior"]["beta"].dims == ("chain", "draw", "beta_dim_0")
    assert tree["sample_stats"].attrs["evidence"] == pytest.approx(worlds.EVIDENCE)
    assert float(tree["posterior"]["beta"].mean(("chain", "draw"))[0]) == pytest.approx(
        fit.mean()["beta"][0]
    )
    log_likelihood = norm(fit.draws["beta"] @ worlds.X.T, worlds.NOISE).logpdf(worlds.Y)[None]
    tree["log_likelihood"] = xarray.DataTree(
        xarray.Dataset({"y": (("chain", "draw", "row"), log_likelihood)})
    )
    loo = arviz_stats.loo_approximate_posterior(tree, log_p=fit.log_p, log_q=fit.log_q)
    exact = 0.0
    for i in range(12):
        rest = np.delete(np.arange(12), i)
        precision = (
            np.diag(worlds.PRIOR_SD**-2.0) + worlds.X[rest].T @ worlds.X[rest] / worlds.NOISE**2
        )
        mean = np.linalg.solve(
            precision,
            worlds.PRIOR_MEAN / worlds.PRIOR_SD**2
            + worlds.X[rest].T @ worlds.Y[rest] / worlds.NOISE**2,
        )
        spread = np.sqrt(worlds.NOISE**2 + worlds.X[i] @ np.linalg.solve(precision, worlds.X[i]))
        exact += norm(worlds.X[i] @ mean, spread).logpdf(worlds.Y[i])
    assert float(loo.elpd) == pytest.approx(exact, abs=0.15)


def test_a_fit_reads_as_a_table():
    said = str(jensen.fit_variational(worlds.conjugate(), "full_rank", key=KEY, num_draws=500))
    assert (
        "beta[2]" in said
        and "ELBO -17.2102 +- 0.0000 nats; k-hat -inf" in said
        and "Nothing stands out" in said
    )


def test_over_fitted_draws_are_seen_and_doubled():
    few = jensen.fit_variational(
        worlds.seven_points(), "flow", key=KEY, fixed_draws=16, max_evaluations=200
    )
    assert not few.outcome.converged and "over-fitted" in few.outcome.message
    assert few.settings["fixed_draws"] == 16 and not few.trusted
    doubled = jensen.fit_variational(worlds.seven_points(), "low_rank", key=KEY)
    assert doubled.settings["fixed_draws"] > 256 and doubled.outcome.converged


def test_a_good_k_hat_is_no_word_for_the_moments_of_q():
    """A mean-field fit of a normal with correlation .6: the weights' tail is mild, k = 1 - .64 / 1.6 = .6, and sds are too small by a fifth."""
    fit = jensen.fit_variational(
        worlds.correlated(0.6), "mean_field", key=jr.key(0), num_draws=20_000
    )
    assert fit.pareto_k < 0.7 and fit.outcome.converged
    (said,) = [v for v in fit.verdicts if v.startswith("Biased")]
    assert "u[0]" in said and "u[1]" in said and "weighted=True" in said
    assert not fit.trusted
    np.testing.assert_allclose(fit.sd()["u"], 0.8, atol=5 * 0.8 / np.sqrt(2 * 20_000))
    np.testing.assert_allclose(
        fit.sd(weighted=True)["u"], 1, atol=0.05
    )  # the weights' variance is infinite here: no standard error to go by
    exact = jensen.fit_variational(
        worlds.correlated(0.6), "full_rank", key=jr.key(0), num_draws=2000
    )
    assert exact.trusted and not any(v.startswith("Biased") for v in exact.verdicts)


def test_more_is_drawn_where_k_hat_is_in_doubt_and_the_first_draws_stay_what_they_were():
    heavy = t_target(2.0, size=2)
    few, many = (
        jensen.fit_variational(heavy, "full_rank", key=KEY, num_draws=n) for n in (10_000, None)
    )
    assert few.pareto_k > 0.5 and (len(few.log_p), len(many.log_p)) == (10_000, 100_000)
    np.testing.assert_array_equal(many.log_q[:10_000], few.log_q)
    assert len(np.unique(many.unconstrained[:, 0])) == 100_000
    assert len(jensen.fit_variational(worlds.conjugate(), "full_rank", key=KEY).log_p) == 10_000
