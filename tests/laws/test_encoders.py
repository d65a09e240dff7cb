"""Laws of every member of the encoders room, in two dimensions where a grid can integrate anything."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

import jensen
from jensen._parameters import partition
from jensen.distributions import is_discrete, mean_of, scale_of
from jensen.encoders import encoders
from jensen.likelihoods import summarise
from jensen.networks.dense import Dense
from jensen.priors import priors

ROWS = np.random.default_rng(0).normal(size=(40, 3)) * 2 + 1
X = jnp.asarray(ROWS[0])
DISCRETE = {
    "bernoulli": "bernoulli",
    "categorical": "categorical",
}  # with the prior over the same codes; their laws are in test_discrete_codes.py
CONTINUOUS = [name for name in encoders.names() if name not in DISCRETE]
CASES = [*((name, {}) for name in CONTINUOUS), ("student_t", {"learn_df": True, "df": 6.0})]
every_encoder = pytest.mark.parametrize(
    ("name", "options"), CASES, ids=lambda v: v if isinstance(v, str) else "-".join(v)
)
# A grid wide enough for tails of 5 degrees of freedom: what lies outside has a probability of 1e-6.
STEP, HALF = 0.1, 60
AXIS = np.arange(-HALF, HALF, STEP) + STEP / 2
GRID = jnp.asarray(np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), -1))


def build(name, *, latent_dim=2, **options):
    """An encoder as different from its start as training could make it: every parameter is moved by a normal draw."""
    small = {k: v for k, v in {"num_layers": 3, "hidden": 5}.items() if k in encoders.options(name)}
    network = lambda size, key: Dense(size, key=key, hidden=(4,))  # noqa: E731
    context = {
        "event_shape": (3,),
        "latent_dim": latent_dim,
        "network": network,
        "data": summarise(ROWS),
        "key": jr.key(1),
    }
    encoder = encoders.build(name, small | options, context)
    leaves, structure = jax.tree.flatten(partition(encoder).parameters)
    moved = [
        0.3 * jr.normal(key, leaf.shape)
        for key, leaf in zip(jr.split(jr.key(2), len(leaves)), leaves, strict=True)
    ]
    return eqx.apply_updates(encoder, jax.tree.unflatten(structure, moved))


def probabilities(q):
    return np.exp(np.asarray(jax.jit(lambda z: q.log_prob(z))(GRID))) * STEP**2


@every_encoder
def test_density_integrates_to_one_and_samples_fall_where_it_is(x64, name, options):
    q = build(name, **options)(X)
    p = probabilities(q)
    assert p.sum() == pytest.approx(1, abs={"student_t": 2e-5, "flow": 5e-6}.get(name, 1e-7))
    n, per_cell = 40_000, 10
    samples = np.asarray(q.sample(jr.key(3), (n,)))
    cells = len(AXIS) // per_cell
    expected = n * p.reshape(cells, per_cell, cells, per_cell).sum((1, 3))
    counts = np.histogram2d(*samples.T, bins=(np.linspace(-HALF, HALF, cells + 1),) * 2)[0]
    assert counts.sum() > n - 5
    large = expected > 25
    assert large.sum() > 4
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected))[large].all()
    assert counts[~large].sum() < expected[~large].sum() + 5 * np.sqrt(expected[~large].sum()) + 5


@every_encoder
def test_moments_are_those_of_the_density(x64, name, options):
    q = build(name, **options)(X)
    p, z = probabilities(q), np.asarray(GRID)
    mean = np.einsum("ij,ijd->d", p, z)
    scale = np.sqrt(np.einsum("ij,ijd->d", p, (z - mean) ** 2))
    # A flow's are over 128 fixed points, and a t's variance has 2e-3 of it beyond the grid.
    np.testing.assert_allclose(
        mean_of(q), mean, atol=5 * scale.max() / np.sqrt(128) if name == "flow" else 1e-4
    )
    np.testing.assert_allclose(
        scale_of(q), scale, rtol=0.5 if name == "flow" else 5e-3 if name == "student_t" else 1e-7
    )
    samples = np.asarray(q.sample(jr.key(4), (40_000,)))
    assert (np.abs(samples.mean(0) - mean) < 5 * scale / 200).all()
    products = np.prod(samples - mean, axis=1)
    covariance = np.einsum("ij,ij->", p, np.prod(z - mean, axis=-1))
    assert abs(products.mean() - covariance) < 5 * products.std() / 200
    assert (abs(covariance) > 0.02 * scale.prod()) == (name in ("full_normal", "flow"))


@every_encoder
def test_a_draw_is_a_differentiable_function_of_all_parameters(x64, name, options):
    """The derivative of an expectation along a random direction of the parameters, through draws and through the density on the grid."""
    encoder = build(name, **options)
    assert encoder(X).has_rsample
    parameters, constants, static = partition(encoder)
    leaves, structure = jax.tree.flatten(parameters)
    direction = jax.tree.unflatten(
        structure,
        [
            jr.normal(k, a.shape)
            for k, a in zip(jr.split(jr.key(5), len(leaves)), leaves, strict=True)
        ],
    )
    posterior = lambda p: eqx.combine(p, constants, static)(X)  # noqa: E731
    value = lambda z: jnp.sin(z[..., 0]) + jnp.cos(z[..., 0] - 0.5 * z[..., 1])  # noqa: E731

    def expectation(parameters):
        return jnp.sum(jnp.exp(posterior(parameters).log_prob(GRID)) * value(GRID)) * STEP**2

    exact = float(jax.jit(lambda p: jax.jvp(expectation, (p,), (direction,))[1])(parameters))
    draws = lambda p: value(posterior(p).sample(jr.key(6), (60_000,)))  # noqa: E731
    found = np.asarray(jax.jit(lambda p: jax.jvp(draws, (p,), (direction,))[1])(parameters))
    assert abs(found.mean() - exact) < 5 * found.std() / np.sqrt(len(found))
    assert abs(exact) > 3 * found.std() / np.sqrt(len(found))  # there is something to find


@every_encoder
def test_log_density_of_a_given_code_has_the_derivative_of_its_differences(x64, name, options):
    q = build(name, latent_dim=3, **options)(X)
    h = 1e-5
    for z in jnp.asarray(np.random.default_rng(1).normal(size=(4, 3))):
        differences = [
            (q.log_prob(z + h * e) - q.log_prob(z - h * e)) / (2 * h) for e in jnp.eye(3)
        ]
        np.testing.assert_allclose(jax.grad(q.log_prob)(z), differences, rtol=1e-6, atol=1e-8)


@every_encoder
def test_densities_in_single_precision_are_those_in_double(name, options):
    with jax.enable_x64(True):
        encoder = build(name, latent_dim=6, **options)
        z = np.asarray(encoder(X).sample(jr.key(7), (200,)))
        exact = np.asarray(encoder(X).log_prob(jnp.asarray(z)))
    single = jax.tree.map(
        lambda a: a.astype(jnp.float32) if eqx.is_inexact_array(a) else a, encoder
    )
    found = np.asarray(single(X.astype(jnp.float32)).log_prob(jnp.asarray(z, jnp.float32)))
    assert np.abs(found - exact).max() < 2e-4


@pytest.mark.parametrize(("name", "options"), [*CASES, *((name, {}) for name in DISCRETE)])
def test_identities_of_the_account_close_for_every_prior_made_of_posteriors(name, options):
    x = (np.random.default_rng(2).random((60, 5)) < 0.4).astype(np.uint8)
    small = {k: v for k, v in {"num_layers": 2, "hidden": 4}.items() if k in encoders.options(name)}
    for prior in (DISCRETE.get(name, "standard_normal"), "vamp_data", "aggregated"):
        choice = {"name": prior} | (
            {"num_components": 7} if "num_components" in priors.options(prior) else {}
        )
        encoder = {"name": name} | small | options
        model = jensen.vae(
            (5,),
            latent_dim=2,
            encoder=encoder,
            prior=choice,
            network={"name": "dense", "hidden": (4,)},
            data=x,
            key=jr.key(0),
        )
        found = jensen.account(model, x, key=jr.key(1), num_samples=20, num_draws=3)
        v = {k: line.value for k, line in found.lines.items()}
        assert v["elbo"] == pytest.approx(
            v["reconstruction"] - v["index_information"] - v["marginal_kl"], abs=1e-10
        )
        assert v["elbo"] == pytest.approx(-v["expected_energy"] + v["entropy"], abs=1e-10)
        assert found.aggregated_over == 60
        if prior == "aggregated":  # the prior is q(z) itself
            assert abs(v["marginal_kl"]) < 1e-5


@pytest.mark.parametrize("name", encoders.names())
def test_a_discrete_posterior_says_so(name):
    assert is_discrete(build(name)(X.astype(jnp.float32))) == (name in DISCRETE)
