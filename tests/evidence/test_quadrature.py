"""Quadrature against closed forms, and as the oracle that it is: the Jensen gap is KL(q || posterior), whatever the network."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

import discrete
import jensen
import linear_gaussian
from jensen.distributions import diagonal_normal
from jensen.evidence import estimate_evidence, kl_to_posterior
from jensen.evidence._grid import Grid, box_of, grid_of_mass
from jensen.evidence.importance import Importance
from jensen.evidence.quadrature import Quadrature
from jensen.models.hvae import hvae
from jensen.weights import log_weights

KEY = jr.key(5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("latent", [1, 2])
@pytest.mark.parametrize("s2", [0.4, 1e-5])
def test_the_evidence_of_a_linear_gaussian_model(latent, s2):
    """The narrow posteriors (sd about .001) have to be found in a box as wide as the prior."""
    model = linear_gaussian.make(latent=latent, s2=s2, stretch=1.3, shift=0.1)
    x = model.data(5, seed=1)
    found = estimate_evidence(model.model, x, Quadrature(num_samples=128), key=KEY)
    assert np.abs(found.values - model.log_evidence(x)).max() < 1e-8
    assert found.standard_errors.max() < 1e-8
    assert found.trusted.all()
    assert (found.pareto_k == -np.inf).all()
    assert (found.samples == 128**latent).all()
    assert (
        found.effective_samples > 8**latent
    ).all()  # the grid is on the posterior, not on one point of it


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("latent", [1, 2])
def test_the_kl_to_the_posterior_of_a_linear_gaussian_model(latent):
    model = linear_gaussian.make(latent=latent, s2=0.1, stretch=1.3, shift=0.2)
    x = model.data(4, seed=2)
    kl = kl_to_posterior(model.model, x, num_samples=128)
    assert np.abs(kl - model.gap(x)).max() < 1e-6
    evidence = estimate_evidence(model.model, x, Quadrature(num_samples=128), key=KEY).values
    assert np.abs(evidence - model.elbo(x) - kl).max() < 1e-6
    assert model.gap(x).min() > 0.1


@pytest.mark.usefixtures("x64")
def test_an_exact_posterior_is_no_nats_away():
    exact = linear_gaussian.make(orthogonal=True)
    assert np.abs(kl_to_posterior(exact.model, exact.data(3, seed=3), num_samples=64)).max() < 1e-9


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("latent", [1, 2])
def test_the_jensen_gap_of_a_network_is_the_kl(latent):
    """Random weights, a prior of three modes: evidence - ELBO by sampling is the KL on the grid, within the sampling's errors."""
    prior = {"name": "mixture", "num_components": 3, "initial_spread": 2.0}
    network = {"name": "dense", "hidden": (6,), "activation": "tanh"}
    model = discrete.moved(
        jensen.vae((4,), latent_dim=latent, prior=prior, network=network, key=jr.key(1)), by=0.6
    )
    x = np.random.default_rng(0).integers(0, 2, (6, 4)).astype(float)
    found = estimate_evidence(model, x, Quadrature(num_samples=128), key=KEY)
    assert found.trusted.all()
    sampled = estimate_evidence(model, x, Importance(num_samples=4000, defensive=0.5), key=KEY)
    assert (np.abs(found.values - sampled.values) < 5 * sampled.standard_errors).all()
    draws = np.asarray(log_weights(model, x, key=KEY, num_samples=4000).tempered())
    gap, error = found.values - draws.mean(axis=0), draws.std(axis=0, ddof=1) / np.sqrt(4000)
    kl = kl_to_posterior(model, x, num_samples=512)
    assert (np.abs(gap - kl) < 5 * error).all()
    assert (kl > 20 * error).any()


@pytest.mark.usefixtures("x64")
def test_two_narrow_modes_far_apart_are_both_counted():
    """x = z^2 + noise: p(z|x) has two modes of sd .002 at +-sqrt(x); the integral by a fine sum in numpy, and KL(q || p) = log 2 more than on one mode."""

    class Squares(jensen.decoders.AbstractDecoder):
        def __call__(self, z):
            return diagonal_normal(z**2, jnp.full(1, 0.01))

    base = linear_gaussian.make(dimension=1, latent=1, s2=0.4)
    model = eqx.tree_at(lambda m: m.decoder, base.model, Squares())
    x = np.array([[4.0], [2.5]])
    found = estimate_evidence(model, x, Quadrature(num_samples=20_000), key=KEY)
    z = np.linspace(-6, 6, 2_000_001)
    joint = np.exp(-0.5 * ((x - z**2) / 0.01) ** 2 - 0.5 * z**2) / (2 * np.pi * 0.01)
    assert np.abs(found.values - np.log(joint.sum(axis=1) * (z[1] - z[0]))).max() < 1e-8
    assert found.trusted.all()
    coarse = estimate_evidence(
        model, x, Quadrature(num_samples=100), key=KEY
    )  # 100 points from mode to mode: .04 apart
    assert not coarse.trusted.any()
    assert (coarse.standard_errors > 0.01).all()
    assert all("too coarse a grid at 100 points" in reason for reason in coarse.reasons)


def test_single_precision_is_good_to_its_rounding():
    model = linear_gaussian.make(stretch=1.2)
    x = model.data(4, seed=4).astype(np.float32)
    found = estimate_evidence(model.model, x, Quadrature(num_samples=64), key=KEY, chunk=1000)
    assert np.abs(found.values - model.log_evidence(x)).max() < 1e-4
    assert np.abs(kl_to_posterior(model.model, x, num_samples=64) - model.gap(x)).max() < 1e-3


@pytest.mark.usefixtures("x64")
def test_a_grid_of_mass_shrinks_grows_and_stays():
    for start in (50.0, 1e4, 0.5):  # too wide, far too wide, too narrow
        grid = grid_of_mass(
            lambda z: -0.5 * (z[:, 0] - 0.3) ** 2,
            np.array([-start]),
            np.array([start]),
            search=64,
            points=200,
        )
        assert grid.low[0] < 0.3 - np.sqrt(80) < 0.3 + np.sqrt(80) < grid.high[0]
        assert grid.high[0] - grid.low[0] < 60
        assert grid.log_integral(-0.5 * (grid.at[:, 0] - 0.3) ** 2) == pytest.approx(
            0.5 * np.log(2 * np.pi), abs=1e-12
        )
    with pytest.raises(ValueError, match="-inf on the whole grid"):
        grid_of_mass(
            lambda z: np.full(len(z), -np.inf), np.zeros(1), np.ones(1), search=16, points=16
        )


def test_the_edge_of_a_grid_is_how_far_the_density_has_fallen_there():
    grid = Grid(np.array([-2.0, -1.0]), np.array([2.0, 1.0]), 5)
    assert grid.edge(-0.5 * np.sum(grid.at**2, axis=1)) == pytest.approx(0.5)
    np.testing.assert_array_equal(
        box_of(np.array([[0.0, 1.0], [1.0, 3.0]])), ([-1.0, -1.0], [2.0, 5.0])
    )


def test_what_a_grid_cannot_hold_is_refused():
    def refused(
        model,
        x,
        message,
        function=lambda m, x: estimate_evidence(m, x, Quadrature(num_samples=32), key=KEY),
    ):
        with pytest.raises(ValueError, match=message):
            function(model, x)

    x = np.zeros((2, 3), np.float32)
    deep = linear_gaussian.make(latent=3, dimension=5).model
    for function in (
        lambda m, x: estimate_evidence(m, x, Quadrature(num_samples=32), key=KEY),
        kl_to_posterior,
    ):
        refused(
            deep,
            np.zeros((2, 5), np.float32),
            "1 or 2 latent dimensions, this model has 3",
            function,
        )
        refused(
            hvae((3,), latent_dim=(1, 1), key=jr.key(0)),
            x,
            "one level of latent variables, this model has 2",
            function,
        )
        refused(
            jensen.vae((3,), latent_dim=2, prior="bernoulli", encoder="bernoulli", key=jr.key(0)),
            x,
            "continuous codes, .* are binary",
            function,
        )
    with pytest.raises(ValueError, match="at least 16; got 15"):
        Quadrature(num_samples=15)
    small = linear_gaussian.make()
    with pytest.raises(ValueError, match="at least 16; got 3"):
        kl_to_posterior(small.model, x, num_samples=3)
    with pytest.raises(ValueError, match="no data"):
        kl_to_posterior(small.model, x[:0])
    bad = small.data(2, seed=0).astype(np.float32)
    bad[1, 0] = np.nan
    refused(small.model, bad, r"log p\(x, z\) of datum 1 is nan at z = ")


def test_a_kl_whose_grid_is_too_coarse_is_refused():
    """Student's t with 3 degrees of freedom is within 40 nats of its maximum for thousands of scales."""
    model = jensen.vae((3,), latent_dim=1, encoder={"name": "student_t", "df": 3.0}, key=jr.key(0))
    with pytest.raises(ValueError, match=r"grids of datum 0 are too coarse.*num_samples = 32"):
        kl_to_posterior(model, np.zeros((1, 3), np.float32), num_samples=32)


def test_progress_and_independence_of_chunk_and_place():
    with jax.enable_x64(True):
        model = linear_gaussian.make(stretch=1.2)
        x = model.data(3, seed=6)
        seen = []
        whole = estimate_evidence(
            model.model,
            x,
            Quadrature(num_samples=64),
            key=KEY,
            on_progress=lambda *a: seen.append(a),
        )
        assert seen == [("evidence", n, 3) for n in (1, 2, 3)]
        part = estimate_evidence(
            model.model, x[2:], Quadrature(num_samples=64), key=jr.key(9), chunk=37
        )
        assert part.values[0] == pytest.approx(whole.values[2], abs=1e-10)
