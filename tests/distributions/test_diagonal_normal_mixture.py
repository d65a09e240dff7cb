"""The mixture's hand-written derivative against automatic differentiation of the textbook form in float64, at small scales and large means too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jensen.distributions import DiagonalNormalMixture


def textbook(z, loc, scale, logits):
    components = -0.5 * jnp.sum(
        ((z[:, None] - loc) / scale) ** 2 + 2 * jnp.log(scale) + jnp.log(2 * jnp.pi), axis=-1
    )
    return jnp.sum(jax.nn.logsumexp(jax.nn.log_softmax(logits) + components, axis=1))


def ours(z, loc, scale, logits):
    return jnp.sum(jax.vmap(DiagonalNormalMixture(loc, scale, logits).log_prob)(z))


def problem(scale):
    rng = np.random.default_rng(0)
    loc = np.concatenate([rng.normal(size=(4, 3)), 10 + rng.normal(size=(3, 3))])
    scales = scale * rng.uniform(0.5, 2, size=loc.shape)
    z = loc[rng.integers(0, 7, 9)] + scale * rng.normal(size=(9, 3))
    return z, loc, scales, rng.normal(size=7)


@pytest.mark.parametrize("scale", [1.0, 0.1, 1e-3])
def test_the_gradients_are_those_of_the_textbook_form(x64, scale):
    arguments = tuple(jnp.asarray(a) for a in problem(scale))
    for found, expected in zip(
        jax.grad(ours, (0, 1, 2, 3))(*arguments),
        jax.grad(textbook, (0, 1, 2, 3))(*arguments),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10 / scale)


@pytest.mark.parametrize("scale", [1.0, 0.1, 1e-3])
def test_nothing_cancels_in_float32(x64, scale):
    # The same float32 numbers in both: what is left is the rounding of z - loc, which is exact here to half a unit of 10.
    single = tuple(jnp.asarray(a, jnp.float32) for a in problem(scale))
    double = tuple(jnp.asarray(np.asarray(a), jnp.float64) for a in single)
    for found, expected in zip(
        jax.grad(ours, (0, 1, 2, 3))(*single),
        jax.grad(textbook, (0, 1, 2, 3))(*double),
        strict=True,
    ):
        np.testing.assert_allclose(
            found, expected, rtol=2e-4, atol=2e-4 * float(np.abs(np.asarray(expected)).max())
        )


def test_second_derivatives_exist(x64):
    z, loc, scale, logits = (jnp.asarray(a) for a in problem(1.0))
    found = jax.hessian(lambda z: ours(z[None], loc, scale, logits))(z[0])
    expected = jax.hessian(lambda z: textbook(z[None], loc, scale, logits))(z[0])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
