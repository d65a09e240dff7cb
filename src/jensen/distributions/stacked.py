"""Many distributions of one family in one object: a distribution for each of many inputs.

The posteriors of all data, or those at pseudo-inputs, are such stacks. Arrays that depend on the
input are stacked on a first axis. Arrays that do not (the weights of a flow's layers, a scale that
all data share) are stored once, so that evaluating N distributions at M points stays one matrix
product per layer.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import Literal

from jensen._types import Array


class Stacked(eqx.Module):
    """N distributions of one family.

    `each` holds the arrays that differ, with a first axis of length N; `shared` holds the rest.

        stack(encoder, data).map(lambda q, z: q.log_prob(z), codes)  # log q(z_n | x_n), [N]
    """

    each: Any
    shared: Any

    def __len__(self) -> int:
        return jax.tree.leaves(self.each)[0].shape[0]

    def __getitem__(self, rows: Any) -> "Stacked":
        """Select rows by a slice or an array of indices; the result is still stacked."""
        return Stacked(jax.tree.map(lambda a: a[rows], self.each), self.shared)

    def one(self, row: int | Array) -> Any:
        """Return the distribution of one row."""
        return eqx.combine(jax.tree.map(lambda a: a[row], self.each), self.shared)

    def map(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Compute function(distribution n, arguments n ...) for all n, stacked."""
        return jax.vmap(lambda each, *rest: function(eqx.combine(each, self.shared), *rest))(
            self.each, *arguments
        )

    def astype(self, dtype: Any) -> "Stacked":
        """Cast all real arrays to this dtype."""
        return jax.tree.map(
            lambda a: (
                jnp.asarray(a, dtype) if jnp.issubdtype(jnp.result_type(a), jnp.inexact) else a
            ),
            self,
        )


def stack(function: Callable[[Array], Any], inputs: Array, *, block: int | None = None) -> Stacked:
    """Make one `Stacked` of function(inputs[0]), function(inputs[1]), ...

    Args:
        function: maps one input to a distribution that is a pytree: a NumPyro distribution or an
            Equinox module.
        inputs: [N, ...], at least one.
        block: if there are more inputs than this, evaluate this many at a time; the gradient calls
            the function again instead of storing what it computed.

    Raises:
        ValueError: if there are no inputs, or the function does not give a distribution of arrays.

    Example:
        stack(encoder, pseudo_inputs).one(3).sample(key)
    """
    if len(inputs) == 0:
        raise ValueError("stack: there are no inputs; pass at least one.")
    # Filled while `leaves` is traced: the structure and the static parts are the same for all
    # inputs.
    static: list[Any] = []

    def leaves(x: Array) -> list[Array]:
        arrays, rest = eqx.partition(function(x), eqx.is_array)
        static[:] = [jax.tree.structure(arrays), rest]
        return jax.tree.leaves(arrays)

    differ = _depends_on_input(leaves, inputs[0])
    if not differ:
        raise ValueError(
            "the posterior holds no arrays: it must be a pytree of them, like numpyro's "
            "distributions and Equinox modules."
        )
    # A function that ignores its input gives N copies: a stack needs an array with a row axis.
    if not any(differ):
        differ = [True] * len(differ)
    if block is None or len(inputs) <= block:
        arrays = jax.vmap(leaves, out_axes=[0 if d else None for d in differ])(inputs)
    else:
        # A loop can only stack its outputs: it gives the arrays that differ, and the shared arrays
        # come from one evaluation outside of it.
        differing_arrays = jax.lax.map(
            jax.checkpoint(lambda x: [a for a, d in zip(leaves(x), differ, strict=True) if d]),
            inputs,
            batch_size=block,
        )
        of_first_input = iter(leaves(inputs[0]) if not all(differ) else ())
        stacked = iter(differing_arrays)
        common = [next(of_first_input, None) for _ in differ]
        arrays = [next(stacked) if d else c for d, c in zip(differ, common, strict=True)]
    structure, rest = static
    each = jax.tree.unflatten(
        structure, [a if d else None for a, d in zip(arrays, differ, strict=True)]
    )
    shared = jax.tree.unflatten(
        structure, [None if d else a for a, d in zip(arrays, differ, strict=True)]
    )
    return Stacked(each, eqx.combine(shared, rest))


def concatenate(parts: Sequence[Stacked]) -> Stacked:
    """Concatenate stacks of the same family with the same shared arrays.

    concatenate([stack(encoder, first_rows), stack(encoder, last_rows)])
    """
    return Stacked(
        jax.tree.map(lambda *a: jnp.concatenate(a), *[p.each for p in parts]), parts[0].shared
    )


def _depends_on_input(function: Callable[[Array], list[Array]], x: Array) -> list[bool]:
    """For each array that a function returns, say whether it depends on the function's input."""
    jaxpr = jax.make_jaxpr(function)(x).jaxpr
    # A conservative data-flow analysis: an output counts as dependent if any input of its operation
    # is.
    reached = set(jaxpr.invars)
    for equation in jaxpr.eqns:
        if any(not isinstance(v, Literal) and v in reached for v in equation.invars):
            reached |= set(equation.outvars)
    return [not isinstance(v, Literal) and v in reached for v in jaxpr.outvars]
