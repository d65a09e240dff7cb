"""Programs that run for less time than they take to compile."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax

R = TypeVar("R")

# XLA's newer emitters of fused loops take two thirds of the compilation of a small program, and
# LLVM's higher levels five sixths of that of random bits; what comes of it runs no slower than by a
# tenth. JAX 0.12's XLA has the newer emitters alone and knows only the second option, which there
# saves a tenth of the compilation of a fit: 2.9 s for 3.2 (mean field), 5.9 s for 6.8 (mixture).
CHEAPER = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 1}


def quick_jit(function: Callable[..., R]) -> Callable[..., R]:
    """`eqx.filter_jit`, on CPUs with what makes compilation cheap where this XLA knows it.

    It takes arrays of NumPy as they are.

    quick_jit(lambda x: x + 1)(jnp.zeros(2))
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> R:
        return _compiled(function)(*args, **kwargs)

    return call


@functools.cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    options: Any = {"compiler_options": _known_options()} if _known_options() else {}
    return eqx.filter_jit(function, **options)


@functools.cache
def _known_options() -> dict[str, Any]:
    if jax.default_backend() != "cpu":
        return {}
    return {name: value for name, value in CHEAPER.items() if _is_known(name, value)}


def _is_known(name: str, value: Any) -> bool:
    # Each option by itself: XLA refuses all of a program's options for one that it does not know.
    # As a compiler option that is an error; in XLA_FLAGS it would end the process.
    try:
        jax.jit(lambda x: x, compiler_options={name: value}).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
