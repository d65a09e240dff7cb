"""PyMC models: densities against closed forms and NumPyro, draws where they belong, and what is refused."""

import os
import sys
import warnings

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import dirichlet, gamma, halfcauchy, norm

import jensen
from variational import _worlds as worlds

if "pymc" not in sys.modules:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ's news, once a day
        pytest.importorskip("pymc", reason="PyMC is not installed (extra `pymc`)")
import pymc as pm

from jensen.variational import _pymc

KEY = jr.key(0)
EPS = 1e-8


def schools():
    # PyTensor keeps 5.0 in single precision, and its logarithm too.
    with pm.Model() as model:
        mu, tau = pm.Normal("mu", 0.0, np.float64(5)), pm.HalfCauchy("tau", np.float64(5))
        z = pm.Normal("z", 0.0, 1.0, shape=8)
        theta = pm.Deterministic("theta", mu + tau * z)
        pm.Normal("y", theta, worlds.ERRORS, observed=worlds.EFFECTS)
    return model


@pytest.fixture(scope="module")
def eight():
    return jensen.from_pymc(schools())


def test_eight_schools_has_the_density_of_the_formula_and_of_numpyros_model(x64, eight):
    theirs = jensen.from_numpyro(worlds.eight_schools)
    assert set(eight.names) == set(theirs.names)
    assert eight.coordinates == theirs.coordinates and eight.derived == theirs.derived
    assert eight.proper and eight.improper_because == ""
    many = jnp.asarray(np.random.default_rng(0).normal(size=(5, 10)))
    for u in many:
        mu, tau, z = float(u[0]), float(np.exp(u[1])), np.asarray(u[2:])
        prior = (
            norm(0, 5).logpdf(mu)
            + halfcauchy(scale=5).logpdf(tau)
            + float(u[1])
            + norm.logpdf(z).sum()
        )
        assert float(eight.log_prior(u)) == pytest.approx(prior, abs=EPS)
        assert float(eight.log_likelihood(u)) == pytest.approx(
            norm(mu + tau * z, worlds.ERRORS).logpdf(worlds.EFFECTS).sum(), abs=EPS
        )
        np.testing.assert_allclose(eight.constrain(u)["theta"], mu + tau * z, rtol=1e-12)
    ours, known = (
        jax.jit(jax.vmap(jax.value_and_grad(t.log_density)))(many) for t in (eight, theirs)
    )
    np.testing.assert_allclose(ours[0], known[0], atol=EPS)
    np.testing.assert_allclose(ours[1], known[1], atol=EPS)


def test_its_fit_is_numpyros(eight):
    ours, theirs = (
        jensen.fit_variational(t, "full_rank", key=KEY, num_draws=4000)
        for t in (eight, jensen.from_numpyro(worlds.eight_schools))
    )
    assert ours.outcome.converged and ours.elbo.value == pytest.approx(
        theirs.elbo.value, abs=1e-4
    )  # the same draws
    assert abs(ours.elbo.value - -31.535) < 5 * ours.elbo.standard_error
    for name in ("mu", "tau", "theta"):
        np.testing.assert_allclose(ours.mean()[name], theirs.mean()[name], atol=1e-3)
    assert ours.reconstruction.value - ours.kl.value == pytest.approx(ours.elbo.value, abs=1e-9)
    tree = ours.to_datatree()
    assert tree["posterior"]["theta"].shape == (1, 4000, 8)
    np.testing.assert_allclose(
        tree["posterior"]["tau"].values[0],
        np.exp(tree["unconstrained_posterior"]["u"].values[0, :, 1]),
        rtol=1e-12,
    )
    y = ours.predict(key=jr.key(1))["y"]
    spread = np.sqrt(ours.draws["theta"].var(0) + worlds.ERRORS**2)
    assert (
        y.shape == (4000, 8)
        and (np.abs(y.mean(0) - ours.mean()["theta"]) < 5 * spread / np.sqrt(4000)).all()
    )
    np.testing.assert_allclose(y.std(0), spread, rtol=0.1)


def test_transforms_that_change_the_shape_have_their_jacobian(x64):
    """Simplex, ordered, interval: the prior's density is that of SciPy at the constrained values, and its Jacobian that of the map."""
    with pm.Model() as model:
        pm.Dirichlet("p", np.array([2.0, 3.0, 4.0]))
        pm.Normal(
            "cut",
            0.0,
            2.0,
            shape=3,
            transform=pm.distributions.transforms.ordered,
            initval=np.array([-1.0, 0.0, 1.0]),
        )
        pm.Uniform("share", -1.0, 3.0)
        pm.Gamma("rate", 3.0, 2.0, shape=(2, 1))
    target = jensen.from_pymc(model)
    assert target.size == 2 + 3 + 1 + 2
    assert target.coordinates == (
        "p[0]",
        "p[1]",
        "cut[0]",
        "cut[1]",
        "cut[2]",
        "share",
        "rate[0,0]",
        "rate[1,0]",
    )
    u = jnp.asarray(np.random.default_rng(1).normal(size=8))
    value = {name: np.asarray(v) for name, v in target.constrain(u).items()}
    assert value["p"].sum() == pytest.approx(1, abs=1e-12) and (np.diff(value["cut"]) > 0).all()
    assert value["share"] == pytest.approx(4 * expit(float(u[5])) - 1, abs=1e-12) and value[
        "rate"
    ].shape == (2, 1)
    density = (
        dirichlet([2, 3, 4]).logpdf(value["p"])
        + norm(0, 2).logpdf(value["cut"]).sum()
        - np.log(4)
        + gamma(3, scale=0.5).logpdf(value["rate"]).sum()
    )

    def free(u):
        v = target.constrain(u)
        return jnp.concatenate([v["p"][:2], v["cut"], v["share"][None], v["rate"].ravel()])

    jacobian = np.linalg.slogdet(np.asarray(jax.jacobian(free)(u)))[1]
    assert float(target.log_density(u)) == pytest.approx(density + jacobian, abs=1e-8)
    assert float(target.log_likelihood(u)) == 0


def test_potentials_data_and_missing_values(x64):
    y = np.array([1.0, np.nan, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyMC says that it imputes
        with pm.Model() as model:
            x = pm.Data("x", np.array([1.0, 2.0, 3.0]))
            slope = pm.Flat("slope")
            pm.Normal("y", slope * x, np.float64(0.5), observed=np.ma.masked_invalid(y))
            pm.Potential("pull", -((slope - 1.0) ** 2))
    target = jensen.from_pymc(model)
    assert not target.proper and target.coordinates == ("slope", "y_unobserved[0]")
    assert target.improper_because == (
        "the prior of 'slope' is improper (pm.Flat); "
        "pm.Potential 'pull' adds any number, which need not be a log-density of data"
    )
    assert target.derived == ("y",)
    u = jnp.array([0.7, 1.2])
    assert float(target.log_likelihood(u)) == pytest.approx(
        norm(0.7, 0.5).logpdf(1.0) + norm(2.1, 0.5).logpdf(2.0) - 0.09, abs=EPS
    )
    assert float(target.log_prior(u)) == pytest.approx(norm(1.4, 0.5).logpdf(1.2), abs=EPS)
    np.testing.assert_allclose(target.constrain(u)["y"], [1.0, 1.2, 2.0])


def test_parameters_out_of_range_have_no_density(x64):
    with pm.Model() as model:
        pm.Normal("y", 0.0, pm.Normal("s", 1.0, 1.0, initval=1.0), observed=1.0)
    target = jensen.from_pymc(model)
    assert float(target.log_density(jnp.array([-0.5]))) == -np.inf
    assert float(target.log_density(jnp.array([0.5]))) == pytest.approx(
        norm(1, 1).logpdf(0.5) + norm(0, 0.5).logpdf(1.0), abs=EPS
    )


def tampered(monkeypatch, tamper):
    graphs = _pymc._graphs
    monkeypatch.setattr(_pymc, "_graphs", lambda model: tamper(model, *graphs(model)))


TAMPERINGS = {
    "sign": (
        lambda model, prior, likelihood, values: (-prior, -likelihood, values),
        r"log p\(x, u\) is .* through JAX and .* as PyMC compiles it",
    ),
    "jacobian": (
        lambda model, prior, likelihood, values: (
            model.logp(vars=model.free_RVs, jacobian=False),
            likelihood,
            values,
        ),
        r"log p\(x, u\) is",
    ),
    "parts": (
        lambda model, prior, likelihood, values: (likelihood, prior, values),
        r"log p\(u\) is",
    ),
    "transform": (
        lambda model, prior, likelihood, values: (
            prior,
            likelihood,
            [model.value_vars[0], *values[1:]],
        ),
        "the value of s is",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_is_not_pymcs_own_density_is_found_out(monkeypatch, name):
    with pm.Model() as model:
        pm.Normal("y", 0.0, pm.HalfNormal("s", 1.0), observed=1.0)
    tamper, message = TAMPERINGS[name]
    tampered(monkeypatch, tamper)
    with pytest.raises(ValueError, match=message):
        jensen.from_pymc(model)


def discrete():
    pm.Normal("y", pm.Bernoulli("which", 0.5) + pm.Poisson("count", 3.0), 1.0, observed=1.0)


def minibatches():
    rows = pm.Minibatch(np.arange(100.0), batch_size=10)
    pm.Normal("y", pm.Normal("mu", 0.0, 1.0), 1.0, observed=rows, total_size=100)


def unscaled_minibatches():
    pm.Normal(
        "y", pm.Normal("mu", 0.0, 1.0), 1.0, observed=pm.Minibatch(np.arange(100.0), batch_size=10)
    )


def nowhere():
    pm.HalfNormal("y", pm.HalfNormal("s", 1.0), observed=-1.0)


REFUSED = {
    "discrete": (discrete, r"variables which, count are discrete.*Sum them out"),
    "nothing": (lambda: pm.Normal("y", 0.0, 1.0, observed=1.0), "no free variable"),
    "minibatches": (
        minibatches,
        r"the density of y is scaled to total_size=.*Minibatch.*from_log_joint",
    ),
    "random numbers": (unscaled_minibatches, "draws random numbers within its density"),
    "nowhere": (
        nowhere,
        r"finite at none of 40 places .*the terms at fault at that point are those of y \(-inf\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_family_can_take_is_refused(name):
    make, message = REFUSED[name]
    with warnings.catch_warnings(), pm.Model() as model:
        warnings.simplefilter("ignore")  # PyMC misses total_size
        make()
    with pytest.raises(ValueError, match=message):
        jensen.from_pymc(model)


def test_precision_is_named_and_nothing_of_the_process_changes(eight):
    import pytensor

    with pytensor.config.change_flags(floatX="float32"), pm.Model() as model:
        pm.Normal("y", pm.Normal("mu", 0.0, 1.0), 1.0, observed=np.float32(1.0))
    before = jax.config.jax_enable_x64, os.environ.get("XLA_FLAGS")
    with pytest.raises(
        ValueError, match=r"variables mu are in single precision.*floatX = 'float64'"
    ):
        jensen.from_pymc(model)
    assert (
        jax.config.jax_enable_x64,
        os.environ.get("XLA_FLAGS"),
    ) == before and jax.device_count() < 100
    with pytest.raises(ValueError, match=r"in float64; got u in float32.*enable_x64"):
        eight.log_density(jnp.zeros(10))
    with pytest.raises(ValueError, match=r"needs a pymc.Model.*got int"):
        jensen.from_pymc(3)


def test_predictions_need_something_observed():
    with pm.Model() as model:
        pm.Normal("mu", 1.0, 2.0)
    fit = jensen.fit_variational(jensen.from_pymc(model), "full_rank", key=KEY, num_draws=500)
    assert fit.evidence.value == pytest.approx(0, abs=1e-7) and fit.kl.value == pytest.approx(
        0, abs=1e-7
    )
    with pytest.raises(ValueError, match="has no predictions"):
        fit.predict(key=KEY)
