"""Laws of every member of the priors room, in two dimensions where a grid can integrate anything."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from jensen.likelihoods import likelihoods, summarise
from jensen.priors import priors
from linear_gaussian import LinearEncoder

EVENT = (3,)


def spread_encoder():
    """Posteriors as far apart as the data are, of scale 0.4 and 0.7."""
    weight = jnp.array([[1.0, -0.5, 0.2], [0.3, 0.8, -1.0]])
    return LinearEncoder(weight, jnp.array([0.3, -0.2]), jnp.log(jnp.array([0.4, 0.7])))


def build(name, **options):
    """A prior as different from its start as training could make it: every parameter is moved by a normal draw."""
    data = summarise(np.random.default_rng(0).normal(size=(40, 3)) * 2 + 1)
    head = likelihoods.build("normal", {}, {"event_shape": EVENT, "data": data})
    known = priors.options(name)
    options = ({"num_components": 6} if "num_components" in known else {}) | options
    context = {"latent_dim": 2, "event_shape": EVENT, "data": data, "likelihood": head, "key": jr.key(1)}
    prior = priors.build(name, options, context)
    leaves, structure = jax.tree.flatten(eqx.filter(prior, eqx.is_inexact_array))
    moved = [0.6 * jr.normal(key, leaf.shape) for key, leaf in zip(jr.split(jr.key(2), max(len(leaves), 1)), leaves)]
    return eqx.apply_updates(prior, jax.tree.unflatten(structure, moved))


CASES = [(name, {}) for name in priors.names()] + [("vamp", {"learn_weights": True})]
every_prior = pytest.mark.parametrize(("name", "options"), CASES, ids=lambda v: v if isinstance(v, str) else "-".join(v))


@every_prior
def test_density_integrates_to_one_and_samples_fall_where_it_is(name, options):
    p = build(name, **options)(spread_encoder())
    step, per_cell = 0.1, 10
    axis = np.arange(-24, 24, step) + step / 2
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)
    density = np.exp(np.asarray(jax.jit(p.log_prob)(jnp.asarray(grid, jnp.float32)), np.float64))
    # The midpoint rule is exact to rounding for normals wider than a few steps; float32 log densities are good to 1e-6 each.
    assert density.sum() * step**2 == pytest.approx(1, abs=1e-5)
    cells = len(axis) // per_cell
    probability = density.reshape(cells, per_cell, cells, per_cell).sum((1, 3)) * step**2
    n = 40_000
    samples = np.asarray(p.sample(jr.key(3), (n,)))
    edges = np.linspace(-24, 24, cells + 1)
    counts = np.histogram2d(*samples.T, bins=(edges, edges))[0]
    large = n * probability > 25
    assert large.sum() > 12
    assert (np.abs(counts - n * probability) < 5 * np.sqrt(n * probability))[large].all()
    assert counts[~large].sum() < n * probability[~large].sum() + 5 * np.sqrt(n * probability[~large].sum()) + 5


@every_prior
def test_no_prior_but_the_standard_normal_is_taken_for_it(name, options):
    p = build(name, **options)(spread_encoder())
    z = np.asarray(p.sample(jr.key(4), (500,)))
    standard = -0.5 * np.sum(z**2, axis=1) - np.log(2 * np.pi)
    assert (np.abs(np.asarray(p.log_prob(jnp.asarray(z))) - standard).max() > 0.5) == (name != "standard_normal")


def test_mixture_density_by_hand():
    prior = build("mixture")
    z = np.random.default_rng(5).normal(size=(20, 2))
    scale, weights = np.exp(prior.log_scale), np.exp(prior.logits) / np.exp(prior.logits).sum()
    each = np.exp(-0.5 * (((z[:, None] - np.asarray(prior.loc)) / scale) ** 2).sum(-1)) / (2 * np.pi * scale.prod(-1))
    np.testing.assert_allclose(prior(spread_encoder()).log_prob(jnp.asarray(z, jnp.float32)), np.log(each @ weights), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mixture", {"num_components": 0}, "num_components must be at least 1; got 0"),
        ("vamp", {"num_components": 0}, "num_components must be at least 1; got 0"),
        ("mixture", {"initial_spread": -1.0}, "initial_spread must not be negative; got -1.0"),
        ("vamp", {"num_components": 41, "initialise": "data"}, "at least num_components=41 training rows; 40 are at hand.*fewer components"),
        ("vamp", {"initialise": "dta"}, r"initialise must be one of random, data; got 'dta' \(did you mean 'data'\?\)"),
    ],
)
def test_refusals_name_the_value_and_the_remedy(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, **options)


def test_mixture_starts_with_the_spread_asked_for():
    start = priors.build("mixture", {"num_components": 2000, "initial_spread": 3.0}, {"latent_dim": 2, "key": jr.key(6)})
    squares = np.asarray(start.loc) ** 2
    assert abs(squares.mean() - 9) < 5 * squares.std() / np.sqrt(squares.size)
