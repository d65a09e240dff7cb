"""The matrix-product time of a training epoch: every product that its step takes, and nothing else."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from jensen._parameters import partition
from jensen.bounds import ELBO
from jensen.gradients import Pathwise
from jensen.model import Model
from jensen.training import TrainingOptions
from jensen.training.program import COMPILER_OPTIONS, Objective, batch_of, compile_epoch, step
from jensen.training.state import initial_state


def epoch_of(
    model: Model, data: np.ndarray, batch: int = 100
) -> tuple[Callable[[], None], Callable[[], None], float]:
    """(run one epoch of this model, run its matrix products alone, the floating-point operations of these); both compiled."""
    parameters, constants, static = partition(model)
    objective = Objective(
        static,
        ELBO(),
        Pathwise(),
        optax.adam(1e-3),
        TrainingOptions(epochs=1, batch_size=batch),
        None,
    )
    state, train, none, key = (
        initial_state(model, objective.optimiser),
        jnp.asarray(data),
        jnp.asarray(data[:0]),
        jr.key(0),
    )
    epoch = compile_epoch(objective, state, train, none, key)
    rows = batch_of(jnp.arange(batch), None, key)
    traced = jax.make_jaxpr(
        lambda p, o: step(objective.with_constants(constants), p, o, train, rows, jnp.asarray(1))
    )(parameters, state.optimiser)
    products = _dots(traced.jaxpr)
    steps = len(data) // batch
    alone = _products_program(products, steps)
    operands = [
        tuple(jr.normal(jr.key(i), shape) for shape in shapes)
        for i, (*shapes, _) in enumerate(products)
    ]
    compiled = jax.jit(alone).lower(operands).compile(compiler_options=COMPILER_OPTIONS)
    flop = steps * sum(_flop(*product) for product in products)
    return (
        lambda: jax.block_until_ready(epoch(state, train, none, key)),
        lambda: jax.block_until_ready(compiled(operands)),
        flop,
    )


def _dots(jaxpr) -> list[tuple]:
    """(shape, shape, dimension numbers) of every product in a program, those of its inner programs included."""
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            found.append(
                (*(v.aval.shape for v in equation.invars), equation.params["dimension_numbers"])
            )
        for parameter in jax.tree.leaves(
            equation.params, is_leaf=lambda p: hasattr(p, "eqns") or hasattr(p, "jaxpr")
        ):
            inner = getattr(parameter, "jaxpr", parameter)
            if hasattr(inner, "eqns"):
                found += _dots(inner)
    return found


def _products_program(products: list[tuple], steps: int) -> Callable:
    def run(operands):
        def body(carry, _):
            for (a, b), (*_, dimensions) in zip(operands, products, strict=True):
                # Or XLA would take the product out of the loop.
                held, carry = jax.lax.optimization_barrier((a, carry))
                out = jax.lax.optimization_barrier(jax.lax.dot_general(held, b, dimensions))
                carry = carry + out.ravel()[0]
            return carry, None

        return jax.lax.scan(body, jnp.zeros(()), None, length=steps)[0]

    return run


def _flop(left: tuple[int, ...], right: tuple[int, ...], dimensions: tuple) -> float:
    (contracted, _), (batched, _) = dimensions
    shared = np.prod([left[i] for i in contracted]) * np.prod([left[i] for i in batched])
    return 2.0 * np.prod(left) * np.prod(right) / shared
