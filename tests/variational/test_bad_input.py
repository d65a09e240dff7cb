"""What is refused, and the words it is refused with."""

import sys

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints

import jensen
from jensen.bounds.elbo import ELBO
from jensen.variational.fit import _method
from variational import _worlds as worlds

KEY = jr.key(0)


def fit(target, **options):
    return jensen.fit_variational(target, "mean_field", key=KEY, num_draws=200, **options)


def test_a_density_of_zero_at_the_start_names_the_coordinate():
    target = jensen.from_log_joint(
        lambda p: jnp.where(p["b"] > 1.0, -0.5 * (p["a"] ** 2 + p["b"] ** 2), -jnp.inf),
        {"a": 0.0, "b": 2.0},
    )
    with pytest.raises(
        ValueError, match=r"-inf at the start: another value of b = -1.* would mend it"
    ):
        fit(target, start=np.array([0.5, -1.0]))
    hopeless = jensen.from_unconstrained(lambda u: jnp.sum(u) - jnp.inf, size=2)
    with pytest.raises(ValueError, match=r"all of 50 random starts.*no single coordinate mends it"):
        fit(hopeless)


def test_a_gradient_that_is_not_finite_names_the_parameter():
    root = lambda p: (  # noqa: E731
        -0.5 * p["a"] ** 2 - 0.5 * p["b"] ** 2 + jnp.where(p["b"] > 9, jnp.sqrt(p["b"] - 9), 0.0)
    )
    with pytest.raises(
        ValueError, match=r"not finite at the start in 1 of 2 coordinates: b\..*jnp.where"
    ):
        fit(jensen.from_log_joint(root, {"a": 0.0, "b": 0.0}), start=np.array([0.0, 1.0]))


def test_a_constant_direction_is_named():
    ridge = jensen.from_log_joint(
        lambda p: -0.5 * (p["a"] + p["b"] - 1) ** 2 - 0.5 * p["c"] ** 2,
        {"a": 0.0, "b": 0.0, "c": 0.0},
    )
    with pytest.raises(
        ValueError, match=r"constant along a direction that moves (a, b|b, a): .*singular"
    ):
        fit(ridge)


def test_a_wide_direction_is_not_taken_for_a_constant_one():
    wide = jensen.from_unconstrained(
        lambda u: -0.5 * (u[0] / 1e5) ** 2 - 0.5 * (u[1] / 1e-3) ** 2, size=2
    )
    found = fit(wide)
    np.testing.assert_allclose(found.sd()["u"], [1e5, 1e-3], rtol=5 / np.sqrt(2 * 200))


def test_starts_and_numbers_out_of_range():
    with pytest.raises(ValueError, match=r"start must hold the 3 unconstrained coordinates"):
        fit(worlds.conjugate(), start=np.zeros(2))
    with pytest.raises(ValueError, match=r"num_draws must be at least 100"):
        jensen.fit_variational(worlds.conjugate(), key=KEY, num_draws=10)
    with pytest.raises(ValueError, match=r"unknown family 'fullrank' .did you mean 'full_rank'"):
        jensen.fit_variational(worlds.conjugate(), "fullrank", key=KEY)
    with pytest.raises(ValueError, match=r"method must be auto"):
        _method("map", ELBO(), worlds.conjugate(), None, None, None)
    with pytest.raises(ValueError, match=r"climbs the ELBO of all data; the Renyi bound"):
        fit(worlds.conjugate(), method="fixed_draws", bound={"name": "renyi", "alpha": 0.5})
    with pytest.raises(ValueError, match=r"batch= needs a likelihood that can be computed"):
        fit(worlds.conjugate(), batch=4)
    with pytest.raises(ValueError, match=r"from 1 to the 12 rows of data; got 13"):
        fit(worlds.conjugate_in_rows(), batch=13)
    with pytest.raises(ValueError, match=r"those of this family have no derivative"):
        jensen.fit_variational(worlds.conjugate(), "mixture", key=KEY, gradient="pathwise")
    with pytest.raises(ValueError, match=r"needs its name too"):
        jensen.fit_variational(worlds.conjugate(), {"df": 3.0}, key=KEY)


SUPPORTS = {
    "unknown": (
        {"taus": constraints.positive},
        r"supports names 'taus', which is no parameter \(did you mean 'tau'",
    ),
    "outside": ({"tau": constraints.unit_interval}, "the example 2. lies outside its support"),
    "discrete": ({"tau": constraints.nonnegative_integer}, "parameter 'tau' is discrete"),
    "shape": ({"beta": constraints.corr_cholesky}, "parameter 'beta'"),
}


@pytest.mark.parametrize("name", SUPPORTS)
def test_supports_that_do_not_match(name):
    supports, message = SUPPORTS[name]
    with pytest.raises(ValueError, match=message):
        jensen.from_log_joint(lambda p: 0.0, {"tau": 2.0, "beta": np.zeros(3)}, supports)


def test_targets_that_are_not_whole():
    zero = lambda p: jnp.zeros(())  # noqa: E731
    with pytest.raises(ValueError, match=r"needs an example"):
        jensen.from_log_joint(zero)
    with pytest.raises(ValueError, match=r"needs size="):
        jensen.from_unconstrained(zero)
    with pytest.raises(ValueError, match=r"is given by log_density, or by log_prior"):
        jensen.from_log_joint(None, {"a": 0.0})
    with pytest.raises(ValueError, match=r"not finite in row 2"):
        jensen.from_log_joint(
            None,
            {"a": 0.0},
            log_prior=zero,
            log_likelihood=lambda p, x: x,
            data=np.array([0.0, 1.0, np.nan]),
        )
    with pytest.raises(ValueError, match=r"equally long"):
        jensen.from_log_joint(
            None,
            {"a": 0.0},
            log_prior=zero,
            log_likelihood=lambda p, x: x,
            data={"x": np.zeros(3), "y": np.zeros(2)},
        )
    with pytest.raises(ValueError, match=r"must be one number; got shape \(2,\)"):
        fit(jensen.from_log_joint(lambda p: -0.5 * p["a"] ** 2, {"a": np.zeros(2)}))


def with_discrete():
    numpyro.sample("k", dist.Bernoulli(0.5))


def with_parameter():
    numpyro.sample("a", dist.Normal(numpyro.param("m", 0.0), 1.0))


def with_minibatch(x):
    a = numpyro.sample("a", dist.Normal(0.0, 1.0))
    with numpyro.plate("n", 10, subsample_size=5):
        numpyro.sample("y", dist.Normal(a, 1.0), obs=x[:5])


def plain(x):
    a = numpyro.sample("a", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(a, 1.0), obs=x)


NUMPYRO = {
    "discrete": (with_discrete, (), "site 'k' is discrete .BernoulliProbs.*Sum it out"),
    "parameter": (with_parameter, (), "parameters without a prior .m, numpyro.param"),
    "minibatch": (with_minibatch, (np.zeros(10),), "plate 'n' draws minibatches of 5 of 10"),
    "data": (plain, (np.array([0.0, np.nan]),), r"the data of site 'y' are not finite at \[1\]"),
    "nothing": (lambda: numpyro.sample("y", dist.Normal(0.0, 1.0), obs=1.0), (), "no latent site"),
}


@pytest.mark.parametrize("name", NUMPYRO)
def test_numpyro_models_that_no_family_fits(name):
    model, arguments, message = NUMPYRO[name]
    with pytest.raises(ValueError, match=message):
        jensen.from_numpyro(model, *arguments)


def test_what_a_fit_does_not_have_is_refused():
    found = jensen.fit_variational(worlds.conjugate(), "full_rank", key=KEY, num_draws=200)
    with pytest.raises(ValueError, match=r"has no predictions"):
        found.predict(key=KEY)
    with pytest.raises(ValueError, match=r"linear response belongs to a mean-field fit"):
        found.sd(linear_response=True)
    with pytest.raises(ValueError, match=r"nothing can be simulated"), jax.enable_x64(True):
        found.model.decoder(jnp.zeros(3)).sample(KEY)


def test_a_library_that_is_absent_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymc", None)
    monkeypatch.setitem(sys.modules, "flowjax", None)
    monkeypatch.setitem(sys.modules, "flowjax.distributions", None)
    with pytest.raises(
        ValueError, match=r"needs PyMC, which is not installed: pip install 'jensen\[pymc\]'"
    ):
        jensen.from_pymc(None)
    with pytest.raises(ValueError, match=r"pip install 'jensen\[flows\]'"):
        jensen.variational.families.from_flowjax(None)


def test_a_number_of_draws_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"num_draws must be at least 1; got -1"):
        jensen.fit_variational(worlds.conjugate(), key=KEY, num_draws=200).resampled(-1, key=KEY)
