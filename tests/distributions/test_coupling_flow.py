"""The coupling flow: exact both ways, and what it can bend a normal to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from scipy.stats import norm

from jensen.distributions import Coupling, CouplingFlow


def flow(dimension, layers=4, size=0.5):
    kept, hidden = dimension // 2, 6
    shapes = (kept, hidden), (hidden,), (hidden, 2 * (dimension - kept)), (2 * (dimension - kept),)
    keys = jr.split(jr.key(0), (layers, 4))
    made = tuple(
        Coupling(*(size * jr.normal(k, s) for k, s in zip(row, shapes, strict=True)))
        for row in keys
    )
    return CouplingFlow(jnp.arange(1.0, dimension + 1), jnp.linspace(0.5, 2, dimension), made)


@pytest.mark.parametrize("dimension", [2, 3, 7])
def test_the_density_of_a_draw_is_the_one_carried_forward(x64, dimension):
    q = flow(dimension)
    u = jr.normal(jr.key(1), (20, dimension))
    z, log_det = jax.vmap(q.transform)(u)
    jacobian = np.asarray(jax.vmap(jax.jacfwd(lambda u: q.transform(u)[0]))(u))
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-12)
    np.testing.assert_allclose(
        q.log_prob(z), norm.logpdf(np.asarray(u)).sum(-1) - np.asarray(log_det), rtol=1e-10
    )
    np.testing.assert_array_equal(q.sample(jr.key(1), (20,)), z)
    # Every dimension depends on others, differently for different u.
    assert (np.abs(jacobian).max(0) > 1e-3).all()
    assert np.abs(jacobian - jacobian[0]).max() > 0.1


def test_without_its_last_weights_it_is_the_diagonal_normal_it_starts_from(x64):
    q = flow(3, size=0.0)
    z = np.random.default_rng(0).normal(size=(9, 3))
    np.testing.assert_allclose(
        q.log_prob(jnp.asarray(z)), norm.logpdf(z, q.loc, q.scale).sum(-1), rtol=1e-12
    )
    np.testing.assert_allclose(q.mean, q.loc, rtol=1e-12)
    np.testing.assert_allclose(q.variance, np.square(q.scale), rtol=1e-12)


def test_wild_layers_stay_finite_in_single_precision():
    q = flow(16, layers=8, size=3.0)
    z = q.sample(jr.key(2), (5000,))
    assert np.isfinite(z).all()
    assert np.isfinite(q.log_prob(z)).all()
