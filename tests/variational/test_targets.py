"""Targets against densities known otherwise: Jacobians, labels, and NumPyro's sites."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints
from scipy.integrate import quad
from scipy.stats import gamma, halfcauchy, norm

import jensen
from variational import _worlds as worlds

KEY = jr.key(0)


def test_the_jacobian_makes_it_a_density_of_u(x64):
    target = jensen.from_log_joint(
        lambda p: dist.Gamma(3.0, 2.0).log_prob(p["s"]), {"s": 1.0}, {"s": constraints.positive}
    )
    density = jax.jit(lambda u: jnp.exp(target.log_density(jnp.array([u]))))
    assert quad(lambda u: float(density(u)), -30, 10)[0] == pytest.approx(1, abs=1e-8)
    u = 0.7
    s = float(target.constrain(jnp.array([u]))["s"])
    assert float(target.log_density(jnp.array([u]))) == pytest.approx(
        gamma(3, scale=0.5).logpdf(s) + np.log(s), abs=1e-10
    )


def test_labels_of_many_shapes(x64):
    example = {"w": np.zeros((2, 2)), "p": np.full(3, 1 / 3), "in": {"tau": 1.0}}
    target = jensen.from_log_joint(
        lambda p: jnp.sum(p["w"]) + p["in"]["tau"] + p["p"][0],
        example,
        {"p": constraints.simplex, "in.tau": constraints.positive},
    )
    assert target.size == 7  # 4 + 2 of the simplex + 1
    assert target.names == (
        "in.tau",
        "p[0]",
        "p[1]",
        "p[2]",
        "w[0,0]",
        "w[0,1]",
        "w[1,0]",
        "w[1,1]",
    )
    assert target.coordinates == ("in.tau", "p[0]", "p[1]", "w[0,0]", "w[0,1]", "w[1,0]", "w[1,1]")
    values = target.constrain(jnp.arange(7.0) / 10)
    assert (
        float(values["p"].sum()) == pytest.approx(1, abs=1e-12) and float(values["in.tau"]) == 1.0
    )


def test_a_numpyro_model_has_its_density_in_two_parts(x64):
    target = jensen.from_numpyro(worlds.eight_schools)
    u = np.random.default_rng(0).normal(size=10)
    mu, tau, z = u[0], np.exp(u[1]), u[2:]
    prior = norm(0, 5).logpdf(mu) + halfcauchy(scale=5).logpdf(tau) + u[1] + norm.logpdf(z).sum()
    likelihood = norm(mu + tau * z, worlds.ERRORS).logpdf(worlds.EFFECTS).sum()
    assert target.coordinates[:3] == ("mu", "tau", "z[0]")
    u = jnp.asarray(u)
    assert float(target.log_density(u)) == pytest.approx(prior + likelihood, abs=1e-9)
    assert float(target.log_prior(u)) == pytest.approx(prior, abs=1e-9)
    assert float(target.log_likelihood(u)) == pytest.approx(likelihood, abs=1e-9)
    np.testing.assert_allclose(target.constrain(u)["theta"], mu + tau * z)


def test_supports_that_depend_on_other_sites(x64):
    def model():
        a = numpyro.sample("a", dist.Uniform(0.0, 1.0))
        numpyro.sample("b", dist.Uniform(a, 2.0))

    target = jensen.from_numpyro(model)
    u = jnp.array([0.4, -0.3])
    values = target.constrain(u)
    a, b = float(values["a"]), float(values["b"])
    assert a < b < 2
    jacobian = np.linalg.slogdet(
        np.asarray(jax.jacobian(lambda u: jnp.stack(list(target.constrain(u).values())))(u))
    )[1]
    assert float(target.log_density(u)) == pytest.approx(-np.log(2 - a) + jacobian, abs=1e-9)


def flat_line(x, y):
    slope = numpyro.sample("slope", dist.ImproperUniform(constraints.real, (), ()))
    numpyro.sample("y", dist.Normal(slope * x, 0.5), obs=y)


def test_an_improper_prior_leaves_the_evidence_out():
    x = np.array([1.0, 2.0, 3.0])
    fit = jensen.fit_variational(
        jensen.from_numpyro(flat_line, x, 2 * x), "full_rank", key=KEY, num_draws=500
    )
    assert fit.evidence is None and fit.smoothed is None and fit.gap is None and fit.cubo is None
    assert fit.verdicts[0].startswith("No evidence: the prior of 'slope' is improper")
    assert fit.mean()["slope"] == pytest.approx(2, abs=5 * 0.5 / np.sqrt(14 * 500))
    assert fit.pareto_k == -np.inf and fit.trusted


def test_predictions_are_those_of_the_posterior():
    x = np.array([1.0, 2.0, 3.0])
    fit = jensen.fit_variational(
        jensen.from_numpyro(flat_line, x, 2 * x), "full_rank", key=KEY, num_draws=4000
    )
    y = fit.predict(key=jr.key(1))["y"]
    sd = np.sqrt(0.25 + x**2 * 0.25 / 14)
    assert (np.abs(y.mean(0) - 2 * x) < 5 * sd / np.sqrt(4000)).all()
    np.testing.assert_allclose(y.std(0), sd, rtol=5 / np.sqrt(8000))
    again = jensen.fit_variational(
        worlds.conjugate(predictive=lambda key, draws: {"y": draws["beta"] @ worlds.X.T}),
        "full_rank",
        key=KEY,
        num_draws=2000,
    )
    assert np.abs(again.predict(key=KEY)["y"].mean(0) - worlds.X @ worlds.MEAN).max() < 0.1
