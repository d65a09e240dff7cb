"""The normal with a full covariance against scipy."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpyro.distributions import Independent, Laplace
from numpyro.distributions.kl import kl_divergence
from scipy.stats import multivariate_normal

from jensen.distributions import diagonal_normal, full_normal, full_normal_parameters
from jensen.distributions.full_normals import whitening

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("dimension", [2, 5])
def test_density_whitening_and_kl_are_those_of_the_covariance(x64, dimension):
    tril = np.tril(RNG.normal(size=(dimension, dimension)), -1) + np.diag(
        RNG.uniform(0.3, 2, dimension)
    )
    loc, z = RNG.normal(size=dimension), RNG.normal(size=(7, dimension))
    q = full_normal(jnp.asarray(loc), jnp.asarray(tril))
    np.testing.assert_allclose(
        q.log_prob(jnp.asarray(z)), multivariate_normal.logpdf(z, loc, tril @ tril.T), rtol=1e-10
    )
    np.testing.assert_allclose(whitening(jnp.asarray(tril)) @ tril, np.eye(dimension), atol=1e-12)
    p_loc, p_scale = RNG.normal(size=dimension), RNG.uniform(0.3, 2, dimension)
    p = diagonal_normal(jnp.asarray(p_loc), jnp.asarray(p_scale))
    same = full_normal(jnp.asarray(p_loc), jnp.diag(jnp.asarray(p_scale)))
    precision, difference = np.diag(p_scale**-2.0), loc - p_loc
    covariance = tril @ tril.T
    exact = np.trace(precision @ covariance) + difference @ precision @ difference - dimension
    exact = 0.5 * (exact + np.log(p_scale**2).sum() - np.linalg.slogdet(covariance)[1])
    assert float(kl_divergence(q, p)) == pytest.approx(exact, rel=1e-12)
    assert float(kl_divergence(q, same)) == pytest.approx(exact, rel=1e-10)
    with pytest.raises(NotImplementedError):
        kl_divergence(q, Independent(Laplace(jnp.asarray(loc)), 1))


def test_it_is_recognised_and_no_other_is():
    loc, tril = full_normal_parameters(full_normal(jnp.zeros(2), 2 * jnp.eye(2)))
    np.testing.assert_array_equal(tril, 2 * np.eye(2))
    assert loc.shape == (2,)
    assert full_normal_parameters(diagonal_normal(jnp.zeros(2), jnp.ones(2))) is None
