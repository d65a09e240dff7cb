"""Chains of Hamiltonian Monte Carlo along the path of each datum: the compiled programs, written for one datum and one chain, over chains x data at once.

Step sizes are found in a run of its own, by `tune`, for each datum and temperature; `advance` uses them frozen, with fresh keys: a chain that changed its
step size by its own past would not leave its density invariant, and the weights would no longer be unbiased (papers: Wu et al. 2017, appendix).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import PyTree

from jensen._types import Array, Distribution, Float, Int, Key
from jensen.evidence._path import AnnealingPath, Start, annealing_path
from jensen.model import Model

JITTER = 0.2  # a trajectory whose length is a multiple of a period comes back to where it began: no step is exactly as long as another
TUNING_CHAINS, WARM_UP = 8, 20
FAST, SLOW = 0.5, 0.2  # gains of the step size's logarithm
SMALLEST, LARGEST = -9.0, 1.5  # its range, in units of the path's scale
HALF_WINDOW = 2


class Chains(eqx.Module):
    """How chains move: what of an annealing a compiled program depends on.

    Chains(16, 10, 0.65, "encoder")
    """

    num_chains: int = eqx.field(static=True)
    num_leapfrog: int = eqx.field(static=True)
    target_acceptance: float = eqx.field(static=True)
    start: Start = eqx.field(static=True)


class Moves(NamedTuple):
    """Temperatures to visit one after the other: at each, a log-weight grows by `delta` times the log ratio and the chain then moves at `beta`.

    `place` is the temperature's number in the whole schedule. Arrays are as long as a program's longest part; `count` of them are meant.
    """

    delta: Float[Array, " part"]
    beta: Float[Array, " part"]
    place: Int[Array, " part"]
    count: Int[Array, ""]


class Steps(NamedTuple):
    """Logarithms of step sizes [data, grid] at the places [grid] of a schedule."""

    log_steps: Float[Array, "*data grid"]
    places: Float[Array, " grid"]


@eqx.filter_jit
def begin(chains: Chains, model: Model, prior: Distribution, x: Array, index: Int[Array, " data"], key: Key) -> Float[Array, "data chains dim"]:
    """Draws from the start of each datum's path."""

    def one(x, n):
        path = annealing_path(model, prior, x, chains.start)
        return jax.vmap(lambda c: path.draw(_key(key, n, c, 0)))(jnp.arange(chains.num_chains))

    return jax.vmap(one)(x, index)


@eqx.filter_jit
def advance(
    chains: Chains,
    model: Model,
    prior: Distribution,
    x: Array,
    index: Int[Array, " data"],
    key: Key,
    z: Float[Array, "data chains dim"],
    steps: Steps,
    moves: Moves,
) -> tuple[Float[Array, "data chains dim"], Float[Array, "data part chains"], Float[Array, "data part"]]:
    """(codes after the moves, what each move adds to the log-weights, mean acceptance of each move)."""

    def one(x, n, z, log_steps):
        path = annealing_path(model, prior, x, chains.start)
        keys = jax.vmap(lambda c: jr.fold_in(jr.fold_in(key, n), c))(jnp.arange(chains.num_chains))

        def move(j, carry):
            z, added, acceptance = carry
            log_step = jnp.interp(moves.place[j].astype(log_steps.dtype), steps.places, log_steps)

            def of_chain(z, key):
                return _transition(chains, path, z, jr.fold_in(key, moves.place[j] + 1), moves.beta[j], log_step)

            z, log_ratio, accepted = jax.vmap(of_chain)(z, keys)
            return z, added.at[j].set(moves.delta[j] * log_ratio), acceptance.at[j].set(jnp.mean(accepted))

        part = len(moves.delta)
        return jax.lax.fori_loop(0, moves.count, move, (z, jnp.zeros((part, len(z)), z.dtype), jnp.zeros(part, z.dtype)))

    return jax.vmap(one)(x, index, z, steps.log_steps)


@eqx.filter_jit
def rejuvenate(
    chains: Chains, model: Model, prior: Distribution, x: Array, index: Int[Array, " data"], key: Key, z: Array, steps: Steps, count: int
) -> Float[Array, "data chains dim"]:
    """Codes after `count` moves at beta = 1: draws from the posterior stay draws from the posterior, less alike."""

    def one(x, n, z, log_steps):
        path = annealing_path(model, prior, x, chains.start)

        def move(j, z):
            keys = jax.vmap(lambda c: _key(key, n, c, j))(jnp.arange(chains.num_chains))
            return jax.vmap(lambda z, key: _transition(chains, path, z, key, jnp.ones((), z.dtype), log_steps[-1])[0])(z, keys)

        return jax.lax.fori_loop(0, count, move, z)

    return jax.vmap(one)(x, index, z, steps.log_steps)


@eqx.filter_jit
def tune(
    chains: Chains,
    model: Model,
    prior: Distribution,
    x: Array,
    index: Int[Array, " data"],
    key: Key,
    betas: Float[Array, " grid"],
    repeats: int,
) -> Float[Array, "data grid"]:
    """Logarithms of step sizes at some temperatures, for each datum: those at which `target_acceptance` of the moves are accepted.

    A few chains per datum go along the path; at each temperature they move `repeats` times, and after each move the step grows or shrinks by how far the
    acceptance is from its target (Robbins & Monro). What is found is smoothed over neighbouring temperatures.
    """
    few = min(TUNING_CHAINS, chains.num_chains)

    def one(x, n):
        path = annealing_path(model, prior, x, chains.start)
        z = jax.vmap(lambda c: path.draw(_key(key, n, c, 0)))(jnp.arange(few))

        def moves(beta, first, count, gain, z, log_step):
            def move(j, carry):
                z, log_step = carry
                keys = jax.vmap(lambda c: _key(key, n, c, first + j + 1))(jnp.arange(few))
                z, _, accepted = jax.vmap(lambda z, key: _transition(chains, path, z, key, beta, log_step))(z, keys)
                return z, jnp.clip(log_step + gain * (jnp.mean(accepted) - chains.target_acceptance), SMALLEST, LARGEST)

            return jax.lax.fori_loop(0, count, move, (z, log_step))

        def at_temperature(carry, g):
            carry = moves(betas[g], WARM_UP + g * repeats, repeats, SLOW, *carry)
            return carry, carry[1]

        log_step = jnp.asarray(-0.25 * jnp.log(z.shape[1]), z.dtype)
        carry = moves(betas[0], 0, WARM_UP, FAST, z, log_step)
        return _smoothed(jax.lax.scan(at_temperature, carry, jnp.arange(len(betas)))[1])

    return jax.vmap(one)(x, index)


@eqx.filter_jit
def log_ratios(chains: Chains, model: Model, prior: Distribution, x: Array, z: Float[Array, "data chains dim"]) -> Float[Array, "data chains"]:
    """log p(x, z) - log start(z)."""

    def one(x, z):
        return jax.vmap(annealing_path(model, prior, x, chains.start).log_ratio)(z)

    return jax.vmap(one)(x, z)


def _transition(chains: Chains, path: AnnealingPath, z: Array, key: Key, beta: Array, log_step: Array) -> tuple[Array, Array, Array]:
    """(the code after one move that leaves f_beta invariant, the log ratio before it, the probability with which the move was accepted)."""
    from blackjax.mcmc.hmc import HMCState, build_kernel

    # The two terms apart: one pass of the decoder serves the weight and the first gradient, whatever the temperature was before.
    log_ratio, ratio_gradient = jax.value_and_grad(path.log_ratio)(z)
    log_start, start_gradient = jax.value_and_grad(path.log_start)(z)
    state = HMCState(z, log_start + beta * log_ratio, start_gradient + beta * ratio_gradient)
    key_move, key_jitter = jr.split(key)
    step = jnp.exp(log_step) * jr.uniform(key_jitter, dtype=z.dtype, minval=1 - JITTER, maxval=1 + JITTER)
    density = lambda z: path.log_start(z) + beta * path.log_ratio(z)  # noqa: E731
    moved, info = build_kernel()(key_move, state, density, step, path.variance(beta), chains.num_leapfrog)  # pyright: ignore[reportArgumentType]
    return moved.position, log_ratio, jnp.asarray(info.acceptance_rate)


def _smoothed(log_steps: Float[Array, " grid"]) -> Float[Array, " grid"]:
    """The mean over each temperature and its neighbours."""
    places = jnp.arange(len(log_steps))
    near = jnp.abs(places[:, None] - places) <= HALF_WINDOW
    return (near @ log_steps) / near.sum(axis=1)


def _key(key: Key, datum: Array, chain: Array, step: PyTree) -> Key:
    return jr.fold_in(jr.fold_in(jr.fold_in(key, datum), chain), step)
