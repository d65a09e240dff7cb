"""Calls of NumPy functions from within compiled programs, whole batches at a time.

`jax.pure_callback` is the obvious way but does not work: it copies the arguments to a device before
the call, and above 100 kB that copy needs the threads that the callback occupies. With one thread
(`taskset -c 0`, small containers) it deadlocks; with two it copies everything twice. It also logs a
traceback for every exception. The primitive here is lowered to the same call of XLA, which passes
the arguments as NumPy arrays.

The arguments of `host_call` are those of one datum; under `vmap` they get leading axes, of length 1
where an argument does not differ, so that a datum with a thousand codes crosses once.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from jensen._types import Array

_host_call = Primitive("jensen_host_call")
_host_call.multiple_results = True
# Some versions of JAX have an option for the token that the callback would return.
_NO_TOKEN = (
    {"returns_token": False}
    if "returns_token" in inspect.signature(mlir.emit_python_callback).parameters
    else {}
)


def host_call(
    function: Callable[..., Sequence[np.ndarray]],
    shapes: Sequence[tuple[int, ...]],
    *arguments: Array,
) -> list[Array]:
    """Calls function(*arguments) on the host from within a compiled program.

    Args:
        function: gets NumPy arrays, which it must not write to, with as many leading axes in front
            of each as there are `vmap`s around (of length 1 where an argument does not differ), and
            returns arrays with the common leading axes in front of `shapes`. Calls with the same
            function compile once.
        shapes: of the results for arguments without leading axes; they are real numbers of JAX's
            default precision.
        arguments: arrays.

    Returns:
        Arrays of `shapes`. They have no derivative.

        host_call(lambda z: [z.sum(-1)], [()], jnp.ones(3))  # [3.0]
    """
    dtype = jnp.result_type(float)
    results = tuple(jax.ShapeDtypeStruct(tuple(shape), dtype) for shape in shapes)
    return _host_call.bind(*map(jnp.asarray, arguments), function=function, results=results)


@_host_call.def_impl
def _evaluate(*arguments, function, results):
    return _compiled(function, results)(*arguments)


@functools.lru_cache(maxsize=64)
def _compiled(function, results):
    return jax.jit(
        lambda *arguments: _host_call.bind(*arguments, function=function, results=results)
    )


@_host_call.def_abstract_eval
def _abstract(*arguments, function, results):
    del arguments, function
    return [ShapedArray(r.shape, r.dtype) for r in results]


def _batched(arguments, dims, *, function, results):
    (size,) = {a.shape[d] for a, d in zip(arguments, dims, strict=True) if d is not None}
    # An argument that is not batched gets an axis of length 1, so that it crosses once.
    moved = [
        a[None] if d is None else jnp.moveaxis(a, d, 0)
        for a, d in zip(arguments, dims, strict=True)
    ]
    larger = tuple(jax.ShapeDtypeStruct((size, *r.shape), r.dtype) for r in results)
    return _host_call.bind(*moved, function=function, results=larger), [0] * len(results)


batching.primitive_batchers[_host_call] = _batched


def _lowered(ctx, *arguments, function, results):
    def call(*arrays):
        answers = function(*map(np.asarray, arrays))
        return tuple(
            np.asarray(a, r.dtype).reshape(r.shape) for a, r in zip(answers, results, strict=True)
        )

    values: Any = mlir.emit_python_callback(
        ctx,
        call,
        None,
        list(arguments),
        ctx.avals_in,
        ctx.avals_out,
        has_side_effect=False,
        **_NO_TOKEN,
    )
    return values[0]


mlir.register_lowering(_host_call, _lowered, cacheable=False)
