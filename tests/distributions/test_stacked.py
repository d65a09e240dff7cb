"""Many distributions as one, and mixtures of them, against the same one by one."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from jensen.distributions import (
    DiagonalNormalMixture,
    Mixture,
    StudentT,
    concatenate,
    diagonal_normal,
    full_normal,
    mixture_of,
    stack,
)

X = jnp.asarray(np.random.default_rng(0).normal(size=(11, 2)), jnp.float32)


ROOT = np.array([[1.0, 0.0], [0.5, 0.3]])


def family(x, root=ROOT):
    """Means that differ, and one covariance for all."""
    return full_normal(x, jnp.asarray(root, x.dtype))


def test_shared_arrays_are_held_once_and_all_is_as_one_by_one():
    stacked = stack(family, X)
    assert len(stacked) == 11
    assert sorted(a.shape for a in jax.tree.leaves(stacked)) == [(2, 2), (11, 2)]
    z = jnp.array([0.3, -1.0])
    each = [family(x).log_prob(z) for x in X]
    np.testing.assert_allclose(stacked.map(lambda q: q.log_prob(z)), each, rtol=1e-5)
    np.testing.assert_allclose(stacked.one(4).log_prob(z), each[4], rtol=1e-5)
    np.testing.assert_allclose(
        stacked[jnp.array([3, 1])].map(lambda q: q.log_prob(z)), [each[3], each[1]], rtol=1e-5
    )
    both = concatenate([stacked[:4], stacked[4:]])
    np.testing.assert_allclose(both.map(lambda q: q.log_prob(z)), each, rtol=1e-5)
    assert stacked.astype(jnp.float16).one(0).loc.dtype == jnp.float16


@pytest.mark.parametrize("block", [2, 11, 20])
def test_blocks_change_neither_the_values_nor_the_gradients(x64, block):
    z = jnp.array([0.3, -1.0])

    def value(root, x, **options):
        return jnp.sum(
            jnp.sin(
                stack(lambda x: family(jnp.tanh(x) @ root, root), x, **options).map(
                    lambda q: q.log_prob(z)
                )
            )
        )

    root, x = jnp.asarray(ROOT), X.astype(float)
    for a, b in zip(
        jax.grad(value, (0, 1))(root, x),
        jax.jit(jax.grad(lambda r, x: value(r, x, block=block), (0, 1)))(root, x),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_a_distribution_that_does_not_depend_on_its_input_is_n_copies():
    stacked = stack(lambda x: diagonal_normal(jnp.zeros(2), jnp.ones(2)), X)
    assert stacked.map(lambda q: q.log_prob(jnp.zeros(2))).shape == (11,)


def test_what_cannot_be_stacked_is_refused():
    class Other:
        def sample(self, key, sample_shape=()):
            return jnp.zeros(2)

    with pytest.raises(
        ValueError,
        match=r"holds no arrays: it must be a pytree of them, like numpyro's distributions",
    ):
        stack(lambda x: Other(), X)
    with pytest.raises(ValueError, match="no inputs"):
        stack(family, X[:0])


@pytest.mark.parametrize("block", [3, 4096])
def test_a_mixture_is_the_sum_over_whole_vectors_with_its_gradient(x64, block):
    log_weights = jnp.asarray(np.random.default_rng(1).normal(size=11))
    x = X.astype(float)
    z = np.random.default_rng(2).normal(size=(5, 4, 2))
    mixture = Mixture(stack(family, x), log_weights, component_block=block)
    cov = np.array([[1.0, 0.5], [0.5, 0.34]])
    normalised = np.asarray(jax.nn.log_softmax(log_weights))
    truth = logsumexp(
        [
            w + multivariate_normal.logpdf(z, m, cov)
            for w, m in zip(normalised, np.asarray(x), strict=True)
        ],
        axis=0,
    )
    np.testing.assert_allclose(mixture.log_prob(jnp.asarray(z)), truth, rtol=1e-9)
    np.testing.assert_allclose(mixture.mean, np.exp(normalised) @ np.asarray(x), rtol=1e-9)
    point = jnp.asarray(z[0, 0])
    direct = jax.grad(
        lambda x, w: jax.nn.logsumexp(
            jax.nn.log_softmax(w) + jax.vmap(lambda m: family(m).log_prob(point))(x)
        ),
        (0, 1),
    )(x, log_weights)
    found = jax.grad(
        lambda x, w: Mixture(stack(family, x), w, component_block=block).log_prob(point), (0, 1)
    )(x, log_weights)
    for a, b in zip(direct, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)


def test_draws_of_a_mixture_have_its_moments(x64):
    log_weights = jnp.log(jnp.array([0.7, 0.2, 0.1]))
    x = 4 * X[:3].astype(float)
    mixture = Mixture(stack(family, x), log_weights)
    samples = np.asarray(mixture.sample(jr.key(0), (200, 100))).reshape(-1, 2)
    mean = np.asarray(mixture.mean)
    assert (np.abs(samples.mean(0) - mean) < 5 * samples.std(0) / np.sqrt(len(samples))).all()
    deviations = np.asarray(x) - mean
    covariance = (
        np.array([[1.0, 0.5], [0.5, 0.34]])
        + (deviations.T * np.array([0.7, 0.2, 0.1])) @ deviations
    )
    products = np.einsum("ni,nj->nij", samples - mean, samples - mean)
    assert (
        np.abs(products.mean(0) - covariance) < 5 * products.std(0) / np.sqrt(len(samples))
    ).all()
    assert not mixture.has_rsample and not mixture.is_discrete


def test_diagonal_normals_keep_their_own_class_also_with_a_scale_in_common():
    mixture = mixture_of(stack(lambda x: diagonal_normal(x, jnp.full(2, 0.5)), X))
    assert isinstance(mixture, DiagonalNormalMixture)
    assert mixture.scale.shape == (11, 2)
    other = mixture_of(stack(lambda x: StudentT(jnp.full(2, 5.0), x, jnp.full(2, 0.5)), X))
    assert isinstance(other, Mixture)
    with pytest.raises(ValueError, match="component_block must be at least 1; got 0"):
        Mixture(stack(family, X), component_block=0)


def test_a_mixture_compiles_as_an_argument():
    mixture = Mixture(stack(family, X))
    call = eqx.filter_jit(lambda m, z: m.log_prob(z))
    np.testing.assert_allclose(
        call(mixture, jnp.zeros(2)), mixture.log_prob(jnp.zeros(2)), rtol=1e-5
    )
