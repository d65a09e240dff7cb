"""Data of NumPyro's sites: which are converted, which are refused, by name, and which count as missing."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

import jensen

KEY = jr.key(0)
X = np.array([0.5, -1.0, 2.0, 0.1])
Y = X + np.array([0.3, -0.2, 0.1, 0.4])


def line(x, y):
    b = numpyro.sample("b", dist.Normal(0, 1))
    numpyro.sample("y", dist.Normal(b * x, 1.0), obs=y)


def log_density(target, u):
    with jax.enable_x64(True):
        return float(jax.jit(target.log_density)(jnp.asarray(u)))


def fit(target, family="full_rank", **options):
    return jensen.fit_variational(target, family, key=KEY, **{"num_draws": 200, **options})


PLAIN = {
    "lists": (list(X), list(Y)),
    "series": (pd.Series(X), pd.Series(Y)),
    "nullable": (pd.Series(X, dtype="Float64"), pd.Series(Y, dtype="Float64")),
    "objects": (X.astype(object), Y.astype(object)),
    "index": (pd.Series(X, index=[3, 1, 0, 2]), pd.Series(Y, index=[7, 8, 9, 6])),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_plain_numbers_are_arrays_whatever_holds_them(kind):
    assert log_density(jensen.from_numpyro(line, *PLAIN[kind]), [0.7]) == pytest.approx(
        log_density(jensen.from_numpyro(line, X, Y), [0.7]), abs=1e-12
    )


def test_what_a_model_does_with_its_own_arguments_is_left_to_it():
    def model(table, groups):
        effects = numpyro.sample("b", dist.Normal(0, 1).expand([len(set(groups))]))
        which = [sorted(set(groups)).index(g) for g in groups]
        mean = effects[np.array(which)] * table["x"].to_numpy()
        numpyro.sample("y", dist.Normal(mean, 1.0), obs=table["y"])

    table = pd.DataFrame({"x": X, "y": Y})
    assert jensen.from_numpyro(model, table, ["u", "v", "u", "v"]).size == 2


NOT_NUMBERS = {
    "missing": (
        (X, np.array([1, None, 2, 3], object)),
        r"the data of site 'y' must be numbers; the entry at \[1\] is None",
    ),
    "text": ((X, np.array(list("abcd"))), "the data of site 'y' must be numbers; got an array of"),
    "category": (
        (pd.Series(list("abab"), dtype="category"), Y),
        r"argument 0 of the model must be numbers; the entry at \[0\] is 'a' .*\.cat\.codes",
    ),
    "argument": ((X,), "cannot be run with these arguments: .*missing 1 required.*'y'"),
    "length": ((X, Y[:3]), r"site 'y': data of shape \(3,\) do not fit .* of shape \(4,\)"),
}


@pytest.mark.parametrize("kind", NOT_NUMBERS)
def test_what_is_no_array_of_numbers_is_named(kind):
    arguments, message = NOT_NUMBERS[kind]
    with pytest.raises(ValueError, match=message):
        jensen.from_numpyro(line, *arguments)


def test_numpy_on_a_parameter_is_explained():
    def model(y):
        numpyro.sample("y", dist.Normal(np.exp(numpyro.sample("b", dist.Normal(0, 1))), 1), obs=y)

    with pytest.raises(ValueError, match=r"must be done by jax\.numpy"):
        jensen.from_numpyro(model, Y)


def plated(x, y):
    b = numpyro.sample("b", dist.Normal(0, 1))
    with numpyro.plate("n", 4):
        numpyro.sample("y", dist.Normal(b * x, 1.0), obs=y)


def events(x, y):
    b = numpyro.sample("b", dist.Normal(0, 1))
    numpyro.sample("y", dist.Normal(b * x, 1.0).to_event(1), obs=y)


COUNTED_TWICE = {
    "column": (line, (X, Y[:, None]), r"data have shape \(4, 1\) .* shape \(4,\), .* \(4, 4\)"),
    "plate": (plated, (X, Y[:, None]), r"data have shape \(4, 1\)"),
    "means": (line, (X[:, None], Y), r"data have shape \(4,\) .* shape \(4, 1\), .* \(4, 4\)"),
    "one": (line, (X, Y[:1]), r"data have shape \(1,\) .* shape \(4,\)"),
    "event": (events, (X, Y[:, None]), r"data have shape \(4, 1\)"),
}


@pytest.mark.parametrize("kind", COUNTED_TWICE)
def test_data_that_would_count_more_than_once_are_refused(kind):
    model, arguments, message = COUNTED_TWICE[kind]
    with pytest.raises(ValueError, match=f"site 'y': its {message}.*count more than once"):
        jensen.from_numpyro(model, *arguments)


def test_data_that_count_once_are_not_refused():
    def model():
        b = numpyro.sample("b", dist.Normal(0, 1))
        numpyro.sample("scalar mean", dist.Normal(b, 1), obs=Y)
        numpyro.sample("row mean", dist.Normal(b * X, 1), obs=np.stack([Y, Y, Y]))
        numpyro.sample("rows and columns", dist.Normal(b * X[:, None], 1), obs=Y[:, None])
        numpyro.sample("leading one", dist.Normal(b * X, 1), obs=Y[None])
        numpyro.sample("event", dist.Normal(b * X, 1).to_event(1), obs=Y)
        numpyro.sample("events", dist.Normal(b * X, 1).to_event(1), obs=np.stack([Y, Y]))
        numpyro.sample("normals", dist.MultivariateNormal(b * X, np.eye(4)), obs=np.stack([Y, Y]))
        numpyro.sample("class", dist.Categorical(logits=b * np.ones((4, 3))), obs=[0, 2, 1, 1])
        numpyro.sample("counts", dist.Multinomial(3, np.ones(3) / 3), obs=np.array([[1, 2, 0]]))
        with numpyro.plate("soft", 4):  # one number for all: each difference is to be 0
            numpyro.sample("zero", dist.Normal(b * X, 1), obs=0.0)
        with numpyro.plate("outer", 2, dim=-2), numpyro.plate("inner", 4):
            numpyro.sample("table", dist.Normal(b, 1), obs=np.stack([Y, Y]))

    assert jensen.from_numpyro(model).size == 1


OUTSIDE = {
    "labels": (dist.Bernoulli(0.5), [1, 2, 1], r"1 of 3 .* BernoulliProbs, boolean; .* \[1\] is 2"),
    "classes": (
        dist.Categorical(np.ones(3) / 3),
        [1, 2, 3],
        r".* \[2\] is 3.*Count classes from 0",
    ),
    "cells": (dist.Poisson(2.0), [3, -1, 2], r".*Poisson, .* \[1\] is -1.*Leave missing"),
    "dose": (dist.Gamma(2.0, 1.0), [0.0, 1.0, 0.0], r"2 of 3 .* Gamma, .* \[0\] is 0"),
    "share": (dist.Beta(2.0, 1.0), [0.5, 1.5, 0.2], r".*Beta, .* \[1\] is 1.5"),
    "parts": (dist.Dirichlet(np.ones(2)), [[0.5, 0.5], [2.0, 3.0]], r"1 of 2 .* \[1\] is \[2. 3."),
    "trials": (
        dist.Binomial(np.array([4, 2, 4]), 0.5),
        [4, 3, 0],
        r".*Binomial.* \[1\] is 3.*total_count",
    ),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_data_outside_the_support_are_named_with_a_remedy(name):
    distribution, data, message = OUTSIDE[name]

    def model(data):
        numpyro.sample("a", dist.Normal(0, 1))
        numpyro.sample(name, distribution, obs=data)

    with pytest.raises(ValueError, match=f"site '{name}': {message}"):
        jensen.from_numpyro(model, np.array(data))


def test_masked_data_may_lie_anywhere():
    def model(counts):
        rate = numpyro.sample("rate", dist.Gamma(2.0, 1.0))
        with numpyro.handlers.mask(mask=counts >= 0):
            numpyro.sample("cells", dist.Poisson(rate), obs=counts)

    target = jensen.from_numpyro(model, np.array([3, -1, 2]))
    # Gamma(2, 1) and counts 3 and 2: the evidence is negative binomial in closed form.
    exact = np.log(720.0) - np.log(6 * 2) - 7 * np.log(3)
    found = fit(target, num_draws=20_000)
    assert abs(found.evidence.value - exact) < 5 * found.evidence.standard_error + 1e-4


@pytest.mark.parametrize("data", [0.5, np.array([0.5]), jnp.array([0.5])], ids=type)
def test_a_support_that_moves_with_a_parameter(data):
    def model(x):
        a = numpyro.sample("a", dist.Uniform(0, 1))
        numpyro.sample("x", dist.Uniform(0, a), obs=x)

    target = jensen.from_numpyro(model, data)
    # u = 1 is a = 1 / (1 + e^-1): log p(x|a) = -log a, and the Jacobian is a (1 - a).
    a = 1 / (1 + np.exp(-1.0))
    assert log_density(target, [1.0]) == pytest.approx(np.log(1 - a), abs=1e-9)
    assert log_density(target, [-1.0]) == -np.inf


class Careless(dist.Uniform):
    """A distribution whose log_prob does not look at its support, as those of some versions."""

    def log_prob(self, value):
        return jnp.broadcast_to(-jnp.log(self.high - self.low), jnp.shape(value))


@pytest.mark.parametrize("masked", [False, True])
def test_a_support_that_moves_counts_whatever_log_prob_looks_at(masked):
    def model(x):
        a = numpyro.sample("a", dist.Uniform(0, 1))
        with numpyro.handlers.mask(mask=np.array([True, not masked])):
            numpyro.sample("x", Careless(jnp.zeros(2), a), obs=x)

    target = jensen.from_numpyro(model, np.array([0.1, 0.5]))
    # a = 1 / (1 + e) lies between the two data: only the second is outside, and it may be masked.
    a = 1 / (1 + np.exp(1.0))
    value = np.log(1 - a) if masked else -np.inf
    assert log_density(target, [-1.0]) == pytest.approx(value, abs=1e-9)
    a = 1 / (1 + np.exp(-1.0))
    value = np.log(a * (1 - a)) - (1 if masked else 2) * np.log(a)
    assert log_density(target, [1.0]) == pytest.approx(value, abs=1e-9)


def test_a_density_of_zero_at_every_start_names_site_and_value():
    def model(x):
        a = numpyro.sample("a", dist.Uniform(0, 1))
        numpyro.sample("x", dist.Uniform(0, a), obs=x)

    with pytest.raises(
        ValueError,
        match=r"-inf at all of 50 random starts; the last: the log-density of the data of 'x' is "
        r"-inf at \[1\], where the value is 3\.",
    ):
        fit(jensen.from_numpyro(model, np.array([0.0, 3.0])))


Z, SEEN = np.array([0.3, np.nan, 1.9, np.nan, 0.8]), np.array([True, False, True, False, True])


@pytest.mark.parametrize("mask", [SEEN, jnp.asarray(SEEN)], ids=["numpy", "jax"])
def test_obs_mask_has_the_posterior_of_the_observed_entries_and_imputes_the_others(mask):
    def model(y, mask):
        x = numpyro.sample("x", dist.Normal(0, 1))
        numpyro.sample("y", dist.Normal(x, 1).expand([5]), obs=y, obs_mask=mask)

    found = fit(jensen.from_numpyro(model, Z, mask), num_draws=4000)
    assert found.target.coordinates == ("x", "y_unobserved[1]", "y_unobserved[3]")
    exact = multivariate_normal(np.zeros(3), np.eye(3) + 1).logpdf(Z[SEEN])
    assert found.evidence.value == pytest.approx(exact, abs=1e-9)
    mean, sd = Z[SEEN].sum() / 4, np.array([0.5, np.sqrt(1.25)])
    assert abs(found.mean()["x"] - mean) < 5 * sd[0] / np.sqrt(4000)
    imputed = found.draws["y"]
    np.testing.assert_array_equal(imputed[:, SEEN], np.tile(Z[SEEN], (4000, 1)))
    assert (np.abs(imputed[:, ~SEEN].mean(axis=0) - mean) < 5 * sd[1] / np.sqrt(4000)).all()
    np.testing.assert_allclose(imputed[:, ~SEEN].std(axis=0), sd[1], rtol=5 / np.sqrt(8000))
    np.testing.assert_array_equal(found.constant["y"], SEEN)
    assert "y_unobserved" not in found.draws
    again = found.predict(key=jr.key(1))["y_observed"]
    assert np.abs(again.mean(axis=0) - mean).max() < 5 * sd[1] / np.sqrt(4000)


def test_obs_mask_of_covariates_and_of_positive_values():
    """Imputed values are used: y depends on x, and the Jacobian of the observed x has no part."""

    def model(x, y):
        x = numpyro.sample("x", dist.LogNormal(0, 1).expand([4]), obs=x, obs_mask=~np.isnan(x))
        numpyro.sample("y", dist.Normal(numpyro.sample("b", dist.Normal(0, 1)) * x, 1), obs=y)

    x = np.array([1.0, np.nan, 2.0, 0.5])
    target = jensen.from_numpyro(model, x, Y)
    u = {"x_unobserved[1]": 0.4, "b": 0.7}
    point = [u[name] for name in target.coordinates]
    filled = np.where(np.isnan(x), np.exp(0.4), x)
    log = np.log(filled)
    terms = -0.5 * np.log(2 * np.pi) * 9 - 0.5 * (log**2).sum() - log[[0, 2, 3]].sum()
    terms += -0.5 * 0.49 - 0.5 * ((Y - 0.7 * filled) ** 2).sum()
    assert log_density(target, point) == pytest.approx(terms, abs=1e-9)
    assert target.proper


def test_obs_mask_of_discrete_data_is_refused_with_a_remedy_that_works():
    data, mask = np.array([0, 1, 1, 0]), np.array([True, True, False, True])

    def imputing():
        s = numpyro.sample("s", dist.Normal(0, 1))
        numpyro.sample("c", dist.Bernoulli(logits=s).expand([4]), obs=data, obs_mask=mask)

    with pytest.raises(ValueError, match=r"site 'c': obs_mask imputes .*numpyro\.handlers\.mask"):
        jensen.from_numpyro(imputing)

    def following():
        s = numpyro.sample("s", dist.Normal(0, 1))
        with numpyro.handlers.mask(mask=mask):
            numpyro.sample("c", dist.Bernoulli(logits=s).expand([4]), obs=data)

    s = 0.3
    log_p = -0.5 * np.log(2 * np.pi) - 0.5 * s**2 + s - 3 * np.log1p(np.exp(s))
    assert log_density(jensen.from_numpyro(following), [s]) == pytest.approx(log_p, abs=1e-9)


def test_a_delta_is_a_value_and_no_parameter():
    def model():
        d = numpyro.sample("d", dist.Delta(2.0))
        b = numpyro.sample("b", dist.Normal(d, 1))
        numpyro.sample("y", dist.Normal(b, 1), obs=Y)

    found = fit(jensen.from_numpyro(model))
    assert found.target.coordinates == ("b",) and found.target.derived == ("d",)
    exact = multivariate_normal(np.full(4, 2.0), np.eye(4) + 1).logpdf(Y)
    assert found.evidence.value == pytest.approx(exact, abs=1e-9)
    assert found.mean()["d"] == 2 and found.constant["d"]
    assert found.predict(key=KEY)["y"].shape == (200, 4)
