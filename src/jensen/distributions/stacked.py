"""Many distributions of one family, as one for each of many inputs: the posteriors of all data, or those at pseudo-inputs.

Arrays that depend on the input are stacked on a first axis. Arrays that do not (the weights of a flow's layers, a scale that all data share) are held once, so
that evaluating N distributions at M points stays one matrix product per layer.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from jensen._types import Array


class Stacked(eqx.Module):
    """N distributions. `each` holds the arrays that differ, with a first axis of length N; `shared` holds the others.

    stack(encoder, data).map(lambda q, z: q.log_prob(z), codes)  # log q(z_n | x_n), [N]
    """

    each: Any
    shared: Any

    def __len__(self) -> int:
        return jax.tree.leaves(self.each)[0].shape[0]

    def __getitem__(self, rows: Any) -> "Stacked":
        """Those of the rows (a slice or an array of indices), still stacked."""
        return Stacked(jax.tree.map(lambda a: a[rows], self.each), self.shared)

    def one(self, row: int | Array) -> Any:
        """The distribution of one row."""
        return eqx.combine(jax.tree.map(lambda a: a[row], self.each), self.shared)

    def map(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """function(distribution n, arguments n ...) for all n, stacked."""
        return jax.vmap(lambda each, *rest: function(eqx.combine(each, self.shared), *rest))(
            self.each, *arguments
        )

    def astype(self, dtype: Any) -> "Stacked":
        """The same with all real arrays in this dtype."""
        return jax.tree.map(
            lambda a: (
                jnp.asarray(a, dtype) if jnp.issubdtype(jnp.result_type(a), jnp.inexact) else a
            ),
            self,
        )


def stack(function: Callable[[Array], Any], inputs: Array, *, block: int | None = None) -> Stacked:
    """function(inputs[0]), function(inputs[1]), ... as one `Stacked`.

    Args:
        function: one input -> a distribution that is a pytree: numpyro's, or an Equinox module.
        inputs: [N, ...], at least one.
        block: with more inputs than this, so many at a time, whose gradient calls the function again instead of keeping what it computed.

    Raises:
        ValueError: no inputs, or something that is not a distribution of arrays.

        stack(encoder, pseudo_inputs).one(3).sample(key)
    """
    if len(inputs) == 0:
        raise ValueError("there is nothing to stack: no inputs.")
    static: list[Any] = []

    def leaves(x: Array) -> list[Array]:
        arrays, rest = eqx.partition(function(x), eqx.is_array)
        static[:] = [jax.tree.structure(arrays), rest]
        return jax.tree.leaves(arrays)

    differ = _depends(leaves, inputs[0])
    if not differ:
        raise ValueError(
            "the posterior holds no arrays: it must be a pytree of them, like numpyro's distributions and Equinox modules."
        )
    if not any(differ):  # one distribution for all inputs: N copies of it
        differ = [True] * len(differ)
    if block is None or len(inputs) <= block:
        found = jax.vmap(leaves, out_axes=[0 if d else None for d in differ])(inputs)
    else:
        some = jax.lax.map(
            jax.checkpoint(lambda x: [a for a, d in zip(leaves(x), differ, strict=True) if d]),
            inputs,
            batch_size=block,
        )
        alone = iter(leaves(inputs[0]) if not all(differ) else ())
        stacked = iter(some)
        common = [next(alone, None) for _ in differ]
        found = [next(stacked) if d else c for d, c in zip(differ, common, strict=True)]
    structure, rest = static
    each = jax.tree.unflatten(
        structure, [a if d else None for a, d in zip(found, differ, strict=True)]
    )
    shared = jax.tree.unflatten(
        structure, [None if d else a for a, d in zip(found, differ, strict=True)]
    )
    return Stacked(each, eqx.combine(shared, rest))


def concatenate(parts: Sequence[Stacked]) -> Stacked:
    """Several stacks of the same family and the same shared arrays as one.

    concatenate([stack(encoder, some), stack(encoder, more)])
    """
    return Stacked(
        jax.tree.map(lambda *a: jnp.concatenate(a), *[p.each for p in parts]), parts[0].shared
    )


def _depends(function: Callable[[Array], list[Array]], x: Array) -> list[bool]:
    """Which of the arrays that a function gives depend on its input."""
    jaxpr = jax.make_jaxpr(function)(x).jaxpr
    reached = set(jaxpr.invars)
    for equation in jaxpr.eqns:
        if any(not isinstance(v, Literal) and v in reached for v in equation.invars):
            reached |= set(equation.outvars)
    return [not isinstance(v, Literal) and v in reached for v in jaxpr.outvars]
