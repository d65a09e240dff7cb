"""The coupling flow: where it starts, what it can become, and what it needs. Its density is checked in the laws of all priors."""

import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random as jr
from scipy.stats import norm

import jensen
from jensen._parameters import partition
from jensen.distributions import DiagonalNormalMixture
from jensen.priors import priors

TRANSFORMS = pytest.mark.parametrize("transform", ["affine", "spline"])


def build(latent_dim=2, **options):
    return priors.build("flow", options, {"latent_dim": latent_dim, "key": jr.key(1)})


@TRANSFORMS
@pytest.mark.parametrize("latent_dim", [2, 3, 7])
def test_it_starts_as_the_standard_normal(x64, transform, latent_dim):
    z = 3 * np.random.default_rng(0).normal(size=(30, latent_dim))
    p = build(latent_dim, transform=transform)(lambda x: x)
    np.testing.assert_allclose(p.log_prob(jnp.asarray(z)), norm.logpdf(z).sum(-1), rtol=1e-6)


@TRANSFORMS
@pytest.mark.parametrize("latent_dim", [2, 5])
def test_every_dimension_depends_on_others_and_the_density_is_exact_where_it_was_sampled(
    x64, transform, latent_dim
):
    prior = build(latent_dim, transform=transform, num_layers=6, hidden=8)
    leaves, structure = jax.tree.flatten(partition(prior).parameters)
    moved = [
        0.2 * jr.normal(key, leaf.shape)
        for key, leaf in zip(jr.split(jr.key(2), len(leaves)), leaves, strict=True)
    ]
    flow = eqx.apply_updates(prior, jax.tree.unflatten(structure, moved)).flow
    u = jr.normal(jr.key(3), (20, latent_dim))
    z = jax.vmap(flow.bijection.transform)(u)
    jacobian = np.asarray(jax.vmap(jax.jacfwd(flow.bijection.transform))(u))
    exact = norm.logpdf(np.asarray(u)).sum(-1) - np.log(np.abs(np.linalg.det(jacobian)))
    np.testing.assert_allclose(flow.log_prob(z), exact, rtol=1e-6)
    assert (np.abs(jacobian).max(0) > 1e-3).all()
    assert np.abs(jacobian - np.eye(latent_dim)).max() > 0.05


def test_samples_in_single_precision_are_finite_even_of_a_wild_spline():
    prior = build(16)
    leaves, structure = jax.tree.flatten(partition(prior).parameters)
    moved = [
        0.2 * jr.normal(key, leaf.shape)
        for key, leaf in zip(jr.split(jr.key(1), len(leaves)), leaves, strict=True)
    ]
    flow = eqx.apply_updates(prior, jax.tree.unflatten(structure, moved)).flow
    assert np.isfinite(flow.sample(jr.key(2), (20_000,))).all()


@pytest.mark.slow
def test_trained_on_two_clusters_it_finds_them(x64):
    target = DiagonalNormalMixture(jnp.array([[-2.0, 0.0], [2.0, 1.0]]), jnp.full((2, 2), 0.5))
    prior = build(num_layers=4, hidden=16)
    parameters, constants, static = partition(prior)
    optimiser = optax.adam(1e-2)

    def loss(parameters, z):
        return -eqx.combine(parameters, constants, static)(lambda x: x).log_prob(z).mean()

    @jax.jit
    def train(parameters):
        def step(carry, key):
            gradient = jax.grad(loss)(carry[0], target.sample(key, (256,)))
            updates, state = optimiser.update(gradient, carry[1])
            return (eqx.apply_updates(carry[0], updates), state), None

        return jax.lax.scan(
            step, (parameters, optimiser.init(parameters)), jr.split(jr.key(4), 400)
        )[0][0]

    z = target.sample(jr.key(5), (4000,))
    entropy = -float(target.log_prob(z).mean())
    before, after = float(loss(parameters, z)), float(loss(train(parameters), z))
    assert before - entropy > 1.0
    assert 0 <= after - entropy + 0.02 < 0.12


@pytest.mark.slow
def test_a_run_with_a_flow_is_loaded_again(tmp_path):
    x = np.random.default_rng(0).integers(0, 2, (30, 4)).astype(np.uint8)
    prior = {"name": "flow", "num_layers": 2, "hidden": 4, "knots": 3}
    model = jensen.vae(
        (4,),
        latent_dim=3,
        network={"name": "dense", "hidden": (3,)},
        prior=prior,
        data=x,
        key=jr.key(0),
    )
    fit = jensen.fit(model, x, epochs=2, key=jr.key(1), out=tmp_path / "run", progress=False)
    z = jr.normal(jr.key(2), (10, 3))
    before, after = (
        model.prior(model.encoder).log_prob(z),
        fit.model.prior(fit.model.encoder).log_prob(z),
    )
    loaded = jensen.load(tmp_path / "run").model
    np.testing.assert_array_equal(loaded.prior(loaded.encoder).log_prob(z), after)
    assert np.abs(after - before).max() > 1e-4
    assert np.isfinite(jensen.account(loaded, x, key=jr.key(3), num_samples=10).elbo.value)


def test_without_flowjax_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "flowjax", None)
    with pytest.raises(
        ValueError, match=r"prior flow needs the extra 'flows': pip install 'jensen\[flows\]'"
    ):
        build()


def test_one_dimension_is_refused():
    with pytest.raises(
        ValueError, match=r"at least two latent dimensions.*got latent_dim=1. Use --prior mixture"
    ):
        build(1)
