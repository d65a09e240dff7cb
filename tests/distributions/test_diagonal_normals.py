"""The diagonal normal and mixtures of them, against sums over whole vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from jax import random as jr
from scipy.special import logsumexp, softmax
from scipy.stats import norm

from jensen.distributions import DiagonalNormalMixture, diagonal_normal, diagonal_normal_parameters


def components(dimension, seed=0):
    rng = np.random.default_rng(seed)
    return (
        2 * rng.normal(size=(5, dimension)),
        rng.uniform(0.2, 1.5, (5, dimension)),
        rng.normal(size=5),
        rng.normal(size=(2, 7, dimension)),
    )


@pytest.mark.parametrize("dimension", [1, 2, 6])
def test_mixture_density_is_the_sum_over_components_of_whole_vectors(x64, dimension):
    loc, scale, logits, z = components(dimension)
    terms = norm.logpdf(z[..., None, :], loc, scale)
    truth = logsumexp(terms.sum(-1) + np.log(softmax(logits)), axis=-1)
    mixture = DiagonalNormalMixture(*map(jnp.asarray, (loc, scale, logits)))
    np.testing.assert_allclose(mixture.log_prob(jnp.asarray(z)), truth, rtol=1e-12)
    per_dimension = logsumexp(terms + np.log(softmax(logits))[:, None], axis=-2).sum(-1)
    assert (np.abs(per_dimension - truth).max() > 0.1) == (dimension > 1)
    uniform = DiagonalNormalMixture(jnp.asarray(loc), jnp.asarray(scale)).log_prob(jnp.asarray(z))
    np.testing.assert_allclose(uniform, logsumexp(terms.sum(-1) - np.log(5), axis=-1), rtol=1e-12)


def test_mixture_weights_need_not_be_normalised_and_the_mean_uses_them(x64):
    loc, scale, logits, z = components(2)
    a, b = (
        DiagonalNormalMixture(jnp.asarray(loc), jnp.asarray(scale), jnp.asarray(logits + c))
        for c in (0.0, 100.0)
    )
    np.testing.assert_allclose(a.log_prob(jnp.asarray(z)), b.log_prob(jnp.asarray(z)), rtol=1e-12)
    np.testing.assert_allclose(a.mean, softmax(logits) @ loc, rtol=1e-12)


def test_mixture_gradient_is_finite_far_away_and_points_home():
    mixture = DiagonalNormalMixture(jnp.array([[0.0, 0.0], [1.0, 0.0]]), jnp.full((2, 2), 0.1))
    # At z = (300, 0) only the nearer component counts: -(z - m) / s^2.
    np.testing.assert_allclose(
        jax.grad(lambda z: mixture.log_prob(z))(jnp.array([300.0, 0.0])), [-29900.0, 0.0], rtol=1e-5
    )


def test_mixture_samples_have_its_moments():
    loc, scale, logits, _ = components(3, seed=4)
    mixture = DiagonalNormalMixture(*(jnp.asarray(a, jnp.float32) for a in (loc, scale, logits)))
    samples = np.asarray(mixture.sample(jr.key(1), (40_000,)), np.float64)
    weights = softmax(logits)
    second = np.einsum("k,ki,kj->ij", weights, loc, loc) + np.diag(weights @ scale**2)
    for values, exact in [
        (samples, weights @ loc),
        (samples[:, :, None] * samples[:, None], second),
    ]:
        assert (np.abs(values.mean(0) - exact) < 5 * values.std(0) / np.sqrt(len(samples))).all()


def test_diagonal_normal_parameters_are_recovered_and_others_refused():
    loc, scale = jnp.array([1.0, -2.0]), jnp.array([0.5, 3.0])
    found = diagonal_normal_parameters(diagonal_normal(loc, scale))
    assert found is not None
    np.testing.assert_array_equal(found[0], loc)
    np.testing.assert_array_equal(found[1], scale)
    batched = jax.vmap(diagonal_normal)(jnp.stack([loc, 2 * loc]), jnp.stack([scale, 2 * scale]))
    np.testing.assert_array_equal(diagonal_normal_parameters(batched)[1], [[0.5, 3.0], [1.0, 6.0]])
    others = [
        dist.Normal(loc, scale),
        dist.Laplace(loc, scale).to_event(1),
        dist.Normal(jnp.zeros((2, 2)), 1.0).to_event(2),
        DiagonalNormalMixture(loc[None], scale[None]),
    ]
    assert [diagonal_normal_parameters(d) for d in others] == [None] * 4


def test_diagonal_normal_density(x64):
    loc, scale, _, z = components(4)
    found = diagonal_normal(jnp.asarray(loc[0]), jnp.asarray(scale[0])).log_prob(jnp.asarray(z))
    np.testing.assert_allclose(found, norm.logpdf(z, loc[0], scale[0]).sum(-1), rtol=1e-12)


def many(components=23, dimension=3):
    rng = np.random.default_rng(8)
    return (
        2 * rng.normal(size=(components, dimension)),
        rng.uniform(0.05, 1.5, (components, dimension)),
        rng.normal(size=components),
        rng,
    )


@pytest.mark.parametrize("block", [1, 2, 7, 22, 23, 24])
def test_a_mixture_in_blocks_is_the_same_density_with_the_same_gradients_whatever_the_block(
    x64, block
):
    loc, scale, logits, rng = many()
    z = rng.normal(size=(4, 5, 3)) * np.array([1.0, 1.0, 30.0])
    truth = logsumexp(
        norm.logpdf(z[..., None, :], loc, scale).sum(-1) + np.log(softmax(logits)), axis=-1
    )
    parameters = tuple(map(jnp.asarray, (loc, scale, logits)))

    def density(parameters, z, **options):
        return DiagonalNormalMixture(*parameters, **options).log_prob(z)

    np.testing.assert_allclose(
        density(parameters, jnp.asarray(z), component_block=block), truth, rtol=1e-12
    )
    # d log p / d loc_k = r_k (z - m_k) / s_k^2, with the responsibilities r; the others are alike.
    log_terms = norm.logpdf(z[..., None, :], loc, scale).sum(-1) + np.log(softmax(logits))
    r = np.exp(log_terms - truth[..., None])[..., None]
    standardised = (z[..., None, :] - loc) / scale
    exact = [
        r * standardised / scale,
        r * (standardised**2 - 1) / scale,
        r[..., 0] - softmax(logits),
        -(r * standardised / scale).sum(-2),
    ]
    found = jax.grad(lambda p, z: density(p, z, component_block=block).sum(), argnums=(0, 1))(
        parameters, jnp.asarray(z)
    )
    for ours, theirs in zip(
        (*found[0], found[1]), [e.sum((0, 1)) for e in exact[:3]] + [exact[3]], strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def test_a_mixture_in_blocks_is_minus_infinity_where_nothing_can_be_and_never_nan():
    mixture = DiagonalNormalMixture(jnp.zeros((5, 2)), jnp.full((5, 2), 1e-15), component_block=2)
    assert float(mixture.log_prob(jnp.full(2, 1e10))) == -np.inf
    none = DiagonalNormalMixture(
        jnp.zeros((3, 2)), jnp.ones((3, 2)), jnp.array([0.0, -jnp.inf, -jnp.inf]), component_block=1
    )
    assert float(none.log_prob(jnp.zeros(2))) == pytest.approx(-np.log(2 * np.pi), rel=1e-6)


def test_the_memory_of_a_blocked_gradient_does_not_grow_with_the_components():
    def temporary(components, **options):
        z, shape = (
            jax.ShapeDtypeStruct((64, 2), jnp.float32),
            jax.ShapeDtypeStruct((components, 2), jnp.float32),
        )

        def total(loc, scale, z):
            return DiagonalNormalMixture(loc, scale, **options).log_prob(z).sum()

        compiled = jax.jit(jax.grad(total, argnums=(0, 1, 2))).lower(shape, shape, z).compile()
        return compiled.memory_analysis().temp_size_in_bytes / 4

    plain, blocked = (
        temporary(40_000, component_block=40_000),
        temporary(40_000, component_block=500),
    )
    assert plain > 64 * 40_000  # every pair
    assert (
        blocked < 10 * 40_000 + 20 * 64 * 500
    )  # the components themselves, and the pairs of one block


def test_samples_of_a_blocked_mixture_have_its_weights():
    _, _, logits, _ = many(dimension=2)
    loc = jnp.stack([jnp.arange(23.0), jnp.zeros(23)], -1)
    mixture = DiagonalNormalMixture(
        loc, jnp.full((23, 2), 1e-3), jnp.asarray(logits, jnp.float32), component_block=5
    )
    n = 40_000
    counts = np.bincount(
        np.asarray(mixture.sample(jr.key(2), (n // 4, 4)))[..., 0].round().astype(int).ravel(),
        minlength=23,
    )
    p = softmax(logits)
    assert (np.abs(counts - n * p) < 5 * np.sqrt(n * p * (1 - p)) + 1).all()
    with pytest.raises(ValueError, match="component_block must be at least 1; got 0"):
        DiagonalNormalMixture(loc, loc + 1, component_block=0)
