"""Targets whose answers are known."""

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.distributions import constraints
from scipy.stats import multivariate_normal

import jensen

RNG = np.random.default_rng(3)
X = np.column_stack([np.ones(12), RNG.normal(size=(12, 2))])
Y = X @ np.array([1.0, -0.5, 2.0]) + 0.7 * RNG.normal(size=12)
PRIOR_MEAN, PRIOR_SD, NOISE = np.array([0.5, 0.0, -0.5]), np.array([1.0, 2.0, 3.0]), 0.7


def conjugate(**options):
    """Linear regression with known noise: prior and likelihood apart."""
    return jensen.from_log_joint(
        example={"beta": np.zeros(3)},
        log_prior=lambda p: dist.Normal(PRIOR_MEAN, PRIOR_SD).log_prob(p["beta"]).sum(),
        log_likelihood=lambda p: dist.Normal(X @ p["beta"], NOISE).log_prob(Y).sum(),
        **options,
    )


def conjugate_in_rows():
    """The same, whose likelihood can be had row by row."""
    return jensen.from_log_joint(
        example={"beta": np.zeros(3)},
        log_prior=lambda p: dist.Normal(PRIOR_MEAN, PRIOR_SD).log_prob(p["beta"]).sum(),
        log_likelihood=lambda p, rows: dist.Normal(rows["x"] @ p["beta"], NOISE).log_prob(
            rows["y"]
        ),
        data={"x": X, "y": Y},
    )


PRECISION = np.diag(PRIOR_SD**-2.0) + X.T @ X / NOISE**2
MEAN = np.linalg.solve(PRECISION, PRIOR_MEAN / PRIOR_SD**2 + X.T @ Y / NOISE**2)
EVIDENCE = float(
    multivariate_normal(X @ PRIOR_MEAN, NOISE**2 * np.eye(12) + (X * PRIOR_SD**2) @ X.T).logpdf(Y)
)


def gaussian(precision, mean=None):
    """A normal density with this precision; its evidence is 0."""
    mean = np.zeros(len(precision)) if mean is None else mean
    constant = 0.5 * np.linalg.slogdet(precision)[1] - 0.5 * len(precision) * np.log(2 * np.pi)
    return jensen.from_unconstrained(
        lambda u: -0.5 * (u - mean) @ precision @ (u - mean) + constant, size=len(precision)
    )


def correlated(rho):
    return gaussian(np.linalg.inv(np.array([[1.0, rho], [rho, 1.0]])))


def beta_bernoulli():
    """A Beta(2, 3) prior and 13 of 20: evidence -14.3067741, the best logit-normal ELBO -14.3074331."""
    log_joint = lambda p: (  # noqa: E731
        dist.Beta(2.0, 3.0).log_prob(p["p"]) + 13 * jnp.log(p["p"]) + 7 * jnp.log1p(-p["p"])
    )
    return jensen.from_log_joint(log_joint, {"p": 0.5}, {"p": constraints.unit_interval})


DOSE = np.array([1.17, 2.97, 3.26, 4.69, 5.83, 6.00, 6.41])
SCORE = np.array([78.93, 58.20, 67.47, 37.47, 45.65, 32.92, 29.97])


def seven_points():
    """Unscaled regression: intercept 88.4935 (8.348), slope -8.8848 (1.7815), log Z -32.37105."""

    def log_joint(p):
        prior = (
            dist.Normal(0.0, 100.0).log_prob(p["intercept"])
            + dist.Normal(0.0, 100.0).log_prob(p["slope"])
            + dist.HalfCauchy(5.0).log_prob(p["sigma"])
        )
        return (
            prior
            + dist.Normal(p["intercept"] + p["slope"] * DOSE, p["sigma"]).log_prob(SCORE).sum()
        )

    return jensen.from_log_joint(
        log_joint, {"intercept": 0.0, "slope": 0.0, "sigma": 1.0}, {"sigma": constraints.positive}
    )


EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def eight_schools():
    """Non-centred; log Z = -31.3113474."""
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("schools", 8):
        z = numpyro.sample("z", dist.Normal(0, 1))
        theta = numpyro.deterministic("theta", mu + tau * z)
        numpyro.sample("y", dist.Normal(theta, ERRORS), obs=EFFECTS)
