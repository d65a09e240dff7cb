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


def compiles(options):
    try:
        jax.jit(lambda x: x + 1, compiler_options=options).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the options are those of CPUs")
def test_the_options_are_those_that_this_xla_accepts(forgotten):
    options = _compilation._known_options()
    assert options.items() <= _compilation.CHEAPER.items()
    assert compiles(options)
    for name in _compilation.CHEAPER.keys() - options.keys():
        assert not compiles({name: _compilation.CHEAPER[name]})
    # Every XLA so far has levels of optimisation.
    assert options["xla_backend_optimization_level"] == 1


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the options are those of CPUs")
def test_an_option_that_has_gone_does_not_take_the_others_with_it(forgotten, monkeypatch):
    level = {"xla_backend_optimization_level": 1}
    monkeypatch.setattr(_compilation, "CHEAPER", {"xla_no_such_option": False} | level)
    assert _compilation._known_options() == level
    assert float(_compilation.quick_jit(lambda x: x + 2)(jnp.ones(()))) == 3
    monkeypatch.setattr(_compilation, "CHEAPER", {"xla_no_such_option": False})
    _compilation._known_options.cache_clear()
    assert _compilation._known_options() == {}
    assert float(_compilation.quick_jit(lambda x: x + 3)(jnp.ones(()))) == 4
