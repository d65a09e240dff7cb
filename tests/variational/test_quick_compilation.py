"""Programs that are asked to compile quickly compute what others do, and an XLA without these options has none of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jensen.variational import _compilation


@pytest.fixture
def forgotten():
    _compilation._known_options.cache_clear()
    yield
    _compilation._known_options.cache_clear()


def test_what_is_computed_is_the_same(x64):
    def function(x, name):
        return jnp.tanh(x) @ jnp.exp(-x.T) if name == "product" else x

    x = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(
        _compilation.quick_jit(function)(x, "product"),
        eqx.filter_jit(function)(x, "product"),
        rtol=1e-14,
    )


def test_this_xla_knows_the_options(forgotten):
    if jax.default_backend() == "cpu":
        assert _compilation._known_options() == _compilation.CHEAPER


def test_an_option_that_has_gone_is_left_out(forgotten, monkeypatch):
    monkeypatch.setattr(_compilation, "CHEAPER", {"xla_no_such_option": False})
    assert _compilation._known_options() == {}
    assert float(_compilation.quick_jit(lambda x: x + 2)(jnp.ones(()))) == 3
