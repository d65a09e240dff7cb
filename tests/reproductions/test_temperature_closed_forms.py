"""The closed forms of docs/temperature.md, in float64, against brute force.

Integration on a grid, ascent, finite differences.
"""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jensen
from jensen.priors import StandardNormal
from jensen.reproductions.temperature._linear_gaussian import (
    Normals,
    best_prior_variance,
    gain_of_prior_variance,
    greatest_objective,
    linear_example,
    linear_gaussian_posterior,
    mean_entropy,
    objective,
    tempered_posterior,
)
from linear_gaussian import make

S2 = 0.4
RNG = np.random.default_rng(0)
W = np.random.default_rng(1).normal(size=(5, 2))
X = np.random.default_rng(2).normal(size=(4, 5))
BETAS = [0.25, 0.5, 1.0, 3.0, 16.0]
every_beta = pytest.mark.parametrize("beta", BETAS)


def on_a_grid(beta, x, *, prior_variance=1.0, prior_power=1.0):
    """Mean, covariance and log of the integral of p(z)^power p(x|z)^(1/beta).

    They are sums over a grid in two dimensions.
    """
    axis = np.linspace(-9, 9, 901)
    z = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    log_likelihood = -0.5 * np.sum((x - z @ W.T) ** 2, axis=1) / S2 - 2.5 * np.log(2 * np.pi * S2)
    log_prior = -0.5 * np.sum(z**2, axis=1) / prior_variance - np.log(2 * np.pi * prior_variance)
    log_density = log_likelihood / beta + prior_power * log_prior
    largest = log_density.max()
    weight = np.exp(log_density - largest)
    total = weight.sum()
    mean = weight @ z / total
    return (
        mean,
        (z - mean).T @ ((z - mean) * weight[:, None]) / total,
        largest + np.log(total * (axis[1] - axis[0]) ** 2),
    )


@every_beta
def test_the_tempered_posterior_is_prior_times_likelihood_to_the_power_of_one_over_beta(beta):
    tempered, greatest = (
        tempered_posterior(W, X, noise=S2, beta=beta),
        greatest_objective(W, X, noise=S2, beta=beta),
    )
    for i in (0, 3):
        mean, covariance, log_z = on_a_grid(beta, X[i])
        np.testing.assert_allclose(tempered.mean[i], mean, atol=1e-8)
        np.testing.assert_allclose(tempered.covariance, covariance, atol=1e-8)
        assert greatest[i] == pytest.approx(beta * log_z, abs=1e-7)


@every_beta
def test_it_is_the_best_q_and_attains_the_greatest_objective(beta):
    best = tempered_posterior(W, X, noise=S2, beta=beta)
    greatest = greatest_objective(W, X, noise=S2, beta=beta)
    np.testing.assert_allclose(
        objective(best, W, X, noise=S2, beta=beta), greatest, rtol=0, atol=1e-10
    )
    for _ in range(20):
        moved = RNG.normal(size=(2, 2)) * 0.2
        other = Normals(
            best.mean + 0.2 * RNG.normal(size=best.mean.shape), best.covariance + moved @ moved.T
        )
        # F_beta falls short of its optimum by beta KL(other || best).
        precision, step = np.linalg.inv(best.covariance), other.mean - best.mean
        logs = np.linalg.slogdet(best.covariance)[1] - np.linalg.slogdet(other.covariance)[1]
        kl = 0.5 * (
            np.trace(precision @ other.covariance)
            - 2
            + logs
            + np.sum(step @ precision * step, axis=1)
        )
        np.testing.assert_allclose(
            greatest - objective(other, W, X, noise=S2, beta=beta), beta * kl, rtol=0, atol=1e-10
        )
        assert (kl > 0).all()


def test_at_beta_one_it_is_bayes_and_the_objective_is_log_p(x64):
    truth = make(dimension=4, latent=2)
    x = truth.data(6, seed=3)
    tempered = tempered_posterior(truth.w, x - truth.b, noise=truth.s2, beta=1.0)
    mean, covariance = truth.posterior(x)
    np.testing.assert_allclose(tempered.mean, mean, atol=1e-12)
    np.testing.assert_allclose(tempered.covariance, covariance, atol=1e-12)
    np.testing.assert_allclose(
        greatest_objective(truth.w, x - truth.b, noise=truth.s2, beta=1.0),
        truth.log_evidence(x),
        atol=1e-10,
    )


@every_beta
def test_beta_is_a_noise_variance_and_half_a_prior_variance(beta):
    tempered = tempered_posterior(W, X, noise=S2, beta=beta)
    # Heating the likelihood is another noise variance ...
    heated = linear_gaussian_posterior(W, X, noise=beta * S2)
    np.testing.assert_allclose(heated.covariance, tempered.covariance, atol=1e-14)
    # ... and the prior variance 1 / beta has its means, and its covariance but for the factor beta;
    # by the grid too.
    prior = linear_gaussian_posterior(W, X, noise=S2, prior_variance=1 / beta)
    np.testing.assert_allclose(prior.mean, tempered.mean, atol=1e-12)
    np.testing.assert_allclose(beta * prior.covariance, tempered.covariance, atol=1e-12)
    mean, covariance, _ = on_a_grid(1.0, X[0], prior_variance=1 / beta)
    np.testing.assert_allclose(prior.mean[0], mean, atol=1e-8)
    np.testing.assert_allclose(prior.covariance, covariance, atol=1e-8)
    # No other prior variance gives the covariance, unless W^T W is a multiple of I.
    for c in np.geomspace(0.01, 100, 41):
        other = linear_gaussian_posterior(W, X, noise=S2, prior_variance=c)
        assert beta == 1 or np.abs(other.covariance - tempered.covariance).max() > 1e-3


@every_beta
def test_what_a_prior_variance_leaves_out_is_the_entropy(beta):
    # ELBO under N(0, I / beta) - F_beta = (1 - beta) H(q) + L/2 (log beta + (beta - 1) log 2 pi),
    # for any q.
    root = RNG.normal(size=(2, 2))
    q = Normals(RNG.normal(size=(4, 2)), root @ root.T + 0.1 * np.eye(2))
    entropy = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * q.covariance)[1]
    constant = np.log(beta) + (beta - 1) * np.log(2 * np.pi)
    difference = objective(q, W, X, noise=S2, beta=1.0, prior_variance=1 / beta) - objective(
        q, W, X, noise=S2, beta=beta
    )
    np.testing.assert_allclose(difference, (1 - beta) * entropy + constant, rtol=0, atol=1e-10)
    scales = np.sqrt(np.diag(q.covariance))[None]
    assert mean_entropy(scales) == pytest.approx(
        0.5 * np.sum(np.log(2 * np.pi * np.e * scales**2)), abs=1e-12
    )


def test_the_example_of_the_command_is_that_of_the_document():
    for row in linear_example((0.25, 1.0, 4.0)):
        beta = row["beta"]
        assert row["variance_ratio"] == pytest.approx(beta, rel=1e-10)
        assert row["mean_difference"] < 1e-12
        # beta KL(q' || q_beta) = beta L/2 (1/beta - 1 + log beta).
        assert row["lost"] == pytest.approx(beta * (1 / beta - 1 + math.log(beta)), abs=1e-10)


def test_the_best_prior_variance_of_a_frozen_encoder_is_that_which_the_elbo_is_highest_for():
    means, scales = RNG.normal(size=(30, 3)) * [2, 1, 0.1], RNG.uniform(0.1, 1.5, size=(30, 3))

    def average_kl(c):
        return np.mean(
            np.sum(0.5 * ((means**2 + scales**2) / c - 1 + np.log(c) - 2 * np.log(scales)), axis=1)
        )

    best = best_prior_variance(means, scales)
    grid = np.geomspace(best / 3, best * 3, 2001)  # its middle is the best
    assert grid[np.argmin([average_kl(c) for c in grid])] == pytest.approx(best, rel=1e-9)
    for c in (best, 0.3, 2.0):
        assert gain_of_prior_variance(means, scales, c) == pytest.approx(
            average_kl(1.0) - average_kl(c), abs=1e-12
        )
    assert gain_of_prior_variance(means, scales, best) == pytest.approx(
        1.5 * (best - 1 - math.log(best)), abs=1e-12
    )


def test_a_change_of_the_unit_of_z_absorbs_a_priors_variance(x64):
    """A rescaled VAE under N(0, c I) has the account of the VAE under N(0, I), line by line."""
    scale, network = 0.25, {"name": "dense", "hidden": (6,)}
    x = np.random.default_rng(5).integers(0, 2, (30, 4)).astype(np.uint8)
    model = jensen.vae((4,), latent_dim=2, network=network, data=x, key=jr.key(0))
    model = jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, model)
    # The encoder's head gives (loc, log scale); the decoder's first layer is W z + b with W stored
    # as [in, out].
    head = model.encoder.head
    half = jnp.concatenate([jnp.full(2, scale), jnp.ones(2)])
    shift = jnp.concatenate([jnp.zeros(2), jnp.full(2, np.log(scale))])
    first = model.decoder.network.layers[0]
    rescaled = eqx.tree_at(
        lambda m: (m.encoder.head.weight, m.encoder.head.bias, m.decoder.network.layers[0].weight),
        model,
        (head.weight * half, head.bias * half + shift, first.weight / scale),
    )
    rescaled = dataclasses.replace(rescaled, prior=StandardNormal(2, scale=scale))
    accounts = [jensen.account(m, x, key=jr.key(1), num_samples=30) for m in (model, rescaled)]
    for name in (
        "evidence",
        "elbo",
        "reconstruction",
        "average_kl",
        "index_information",
        "marginal_kl",
    ):
        np.testing.assert_allclose(
            accounts[1].line(name).per_datum, accounts[0].line(name).per_datum, rtol=0, atol=1e-9
        )
    assert accounts[0].average_kl.value > 1e-4


def test_the_prior_of_a_fixed_scale(x64):
    p = StandardNormal(3, scale=0.5)(lambda x: x)
    z = np.array([0.3, -1.0, 0.2])
    assert float(p.log_prob(z)) == pytest.approx(
        -0.5 * np.sum(z**2) / 0.25 - 1.5 * np.log(2 * np.pi * 0.25), abs=1e-12
    )
    draws = np.asarray(p.sample(jr.key(0), (20_000,)))
    assert (np.abs(draws.var(0) - 0.25) < 5 * 0.25 * np.sqrt(2 / 20_000)).all()
    assert not jax.tree.leaves(
        eqx.filter(StandardNormal(3, scale=0.5), eqx.is_array)
    )  # nothing of it is trained
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(
            ValueError,
            match=r"prior standard_normal: scale must be positive and finite; got .* 1 is the "
            r"standard normal",
        ):
            StandardNormal(3, scale=scale)
