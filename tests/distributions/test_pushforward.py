"""Distributions moved by bijections: change of variables against brute force in two dimensions, every family."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from jensen.distributions import (
    BIJECTIONS,
    Joint,
    Pushforward,
    StudentT,
    diagonal_normal,
    full_normal,
    pushforward,
)

pytestmark = pytest.mark.usefixtures("x64")
every_family = pytest.mark.parametrize("family", BIJECTIONS)
STEP, HALF = 0.04, 16
AXIS = np.arange(-HALF, HALF, STEP) + STEP / 2
GRID = jnp.asarray(np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), -1))

BASES = {
    "diagonal_normal": lambda: diagonal_normal(jnp.array([0.5, -1.0]), jnp.array([0.4, 1.2])),
    "full_normal": lambda: full_normal(jnp.array([0.5, -1.0]), jnp.array([[0.7, 0.0], [0.5, 0.6]])),
    "joint": lambda: Joint(
        diagonal_normal(jnp.ones(1), jnp.full(1, 0.7)),
        (lambda z2: diagonal_normal(jnp.sin(z2), 0.4 + 0.2 * jnp.tanh(z2)),),
    ),
}


def moved(base, family, *, by=0.2) -> Pushforward:
    """Every parameter of the bijection away from the identity."""
    start = pushforward(base, family)
    leaves, structure = jax.tree.flatten(start.bijection)
    keys = jr.split(jr.key(1), len(leaves))
    leaves = [leaf + by * jr.normal(key, leaf.shape, leaf.dtype) for key, leaf in zip(keys, leaves)]
    return Pushforward(base, jax.tree.unflatten(structure, leaves), start.loc, start.scale)


def code(base, z):
    """A vector as a code of the base: levels of one dimension each, for a Joint."""
    return (z[..., :1], z[..., 1:]) if isinstance(base, Joint) else z


def flat(z):
    return jnp.concatenate(z, -1) if isinstance(z, tuple) else z


@every_family
@pytest.mark.parametrize("name", BASES)
def test_the_density_integrates_to_one_and_is_that_of_the_draws(family, name):
    base = BASES[name]()
    q = moved(base, family)
    p = np.exp(np.asarray(jax.jit(lambda z: q.log_prob(code(base, z)))(GRID))) * STEP**2
    assert p.sum() == pytest.approx(1, abs=1e-4)
    n = 100_000
    draws = np.asarray(flat(jax.jit(lambda k: q.sample(k, (n,)))(jr.key(2))))
    for function in (
        lambda z: z[..., 0],
        lambda z: z[..., 1],
        lambda z: np.cos(z[..., 0]) * z[..., 1],
        lambda z: np.tanh(z[..., 0] * z[..., 1]),
    ):
        seen = function(draws)
        expected = np.sum(function(np.asarray(GRID)) * p)
        assert abs(seen.mean() - expected) < 5 * seen.std() / np.sqrt(n) + 1e-4


@every_family
@pytest.mark.parametrize("name", BASES)
def test_log_prob_is_the_change_of_variables_by_brute_force(family, name):
    base = BASES[name]()
    q = moved(base, family)
    for key in jr.split(jr.key(3), 5):
        z = base.sample(key)
        jacobian = jax.jacfwd(lambda v: flat(q.transform(code(base, v))[0]))(flat(z))
        expected = base.log_prob(z) - np.linalg.slogdet(jacobian)[1]
        there, log_det = q.transform(z)
        assert float(log_det) == pytest.approx(np.linalg.slogdet(jacobian)[1], abs=1e-10)
        assert float(q.log_prob(there)) == pytest.approx(float(expected), abs=1e-9)
        np.testing.assert_array_equal(flat(q.sample(key)), flat(there))


@every_family
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_every_family_starts_at_the_identity(family, dim):
    base = diagonal_normal(jnp.linspace(-1, 2, dim), jnp.linspace(0.1, 3, dim))
    q = pushforward(base, family)
    z, other = base.sample(jr.key(4)), base.sample(jr.key(5), (3,))
    np.testing.assert_allclose(q.sample(jr.key(4)), z, atol=1e-14)
    np.testing.assert_allclose(q.log_prob(other), base.log_prob(other), atol=1e-12)


def test_a_diagonal_normal_under_a_diagonal_map_is_the_diagonal_normal_it_should_be():
    loc, scale = jnp.array([0.5, -1.0]), jnp.array([0.4, 1.2])
    q = moved(diagonal_normal(loc, scale), "diagonal")
    expected = diagonal_normal(
        loc + scale * q.bijection.shift, scale * jnp.exp(q.bijection.log_scale)
    )
    z = jr.normal(jr.key(6), (7, 2))
    np.testing.assert_allclose(q.log_prob(z), expected.log_prob(z), atol=1e-12)


def test_units_are_finite_where_the_moments_are_not():
    q = pushforward(
        StudentT(jnp.array([0.8, 1.5, 9.0]), jnp.array([0.0, 5.0, 7.0]), jnp.ones(3)), "diagonal"
    )
    assert np.isfinite(q.loc).all()
    assert np.isfinite(q.scale).all()
    np.testing.assert_allclose(q.loc[1:], [5.0, 7.0])
    assert float(q.scale[2]) == pytest.approx((9 / 7) ** 0.5)
