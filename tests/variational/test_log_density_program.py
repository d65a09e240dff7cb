"""The one program of a target's values and gradients, and the second derivatives made of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jensen.variational import Target
from jensen.variational._density import BLOCK, Density

A = np.array([[2.0, 0.3, 0.0], [0.3, 1.0, -0.2], [0.0, -0.2, 1e-6]])


def bent(u):
    return -0.5 * u @ A @ u - jnp.exp(-u[0]) + 0.1 * jnp.sin(u[1])


def density_of(function, size):
    return Density(Target(constrain=lambda u: {"u": u}, size=size, log_density=function))


@pytest.mark.parametrize("count", [1, 31, 32, 33, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_any_number_of_points_has_its_values_and_gradients(x64, count):
    points = np.random.default_rng(count).normal(size=(count, 3))
    density = density_of(bent, 3)
    values, slopes = density(points)
    np.testing.assert_allclose(values, [bent(u) for u in points], rtol=1e-13)
    np.testing.assert_allclose(
        slopes, np.stack([jax.grad(bent)(u) for u in points]), rtol=1e-12, atol=1e-13
    )
    assert density.evaluations == count


def test_second_derivatives_by_differences_are_those_of_jax_whatever_the_units(x64):
    place = np.array([0.4, -1.0, 300.0])
    exact = -np.asarray(jax.hessian(bent)(place))
    found = density_of(bent, 3).curvature(place)
    unit = np.sqrt(np.diagonal(exact))
    np.testing.assert_allclose(
        found / np.outer(unit, unit), exact / np.outer(unit, unit), rtol=0, atol=1e-8
    )


def test_where_differences_cannot_tell_the_derivatives_are_exact(x64):
    nearly_flat = lambda u: -0.5 * (u[0] + u[1]) ** 2 - 0.5e-9 * (u[0] - u[1]) ** 2  # noqa: E731
    np.testing.assert_allclose(
        density_of(nearly_flat, 2).curvature(np.zeros(2)),
        [[1 + 1e-9, 1 - 1e-9], [1 - 1e-9, 1 + 1e-9]],
        rtol=1e-15,
    )
    saddle = lambda u: 0.5 * u[0] ** 2 - 0.5 * u[1] ** 2  # noqa: E731
    np.testing.assert_array_equal(density_of(saddle, 2).curvature(np.zeros(2)), [[-1, 0], [0, 1]])
