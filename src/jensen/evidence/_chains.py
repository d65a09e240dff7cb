"""Chains of Hamiltonian Monte Carlo along the path of each datum: one compiled program, written for one datum and one chain, over chains x data at once.

Step sizes are found in a run of its own, for each datum and temperature (`tuned`), and then used frozen, with fresh keys: a chain that changed its step size by
its own past would not leave its density invariant, and the weights would no longer be unbiased (Wu et al. 2017, section 4).
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array, Distribution, Float, Int, Key
from jensen.evidence._path import AnnealingPath, Start, annealing_path
from jensen.model import Model

PART = 25  # moves in one call of the compiled program
JITTER, GOLDEN = (
    0.2,
    0.6180339887498949,
)  # a trajectory as long as a period comes back to where it began: steps differ by up to 20% from move to move
WARM_UP = 15  # moves before the first temperature, in tuning
FAST, SLOW = 0.5, 0.2  # gains of the step size's logarithm
SMALLEST, LARGEST = -9.0, 4.0  # its range, in units of the spread that the path expects
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
    """What chains do one after the other: at each move a log-weight grows by `delta` times the log ratio, and the chain then moves at `beta`.

    `number` is folded into its key; `place` says where in the schedule it is, for its step size, of which it takes `stretch` times. With a `gain` the step size
    is not that of the schedule but follows the acceptance from move to move.
    """

    delta: Any
    beta: Any
    number: Any
    place: Any
    gain: Any
    stretch: Any

    @staticmethod
    def of(
        beta: np.ndarray,
        *,
        number: np.ndarray,
        delta: float | np.ndarray = 0.0,
        place: float | np.ndarray = 0.0,
        gain: float | np.ndarray = 0.0,
    ) -> "Moves":
        """Moves at these temperatures [moves]."""
        delta, place, gain = (
            np.broadcast_to(np.asarray(a, float), beta.shape) for a in (delta, place, gain)
        )
        stretch = 1 + JITTER * (2 * np.modf(number * GOLDEN)[0] - 1)
        return Moves(delta, np.asarray(beta, float), np.asarray(number), place, gain, stretch)

    def part(self, at: int) -> "Moves":
        """At most PART of them, from `at` on."""
        return Moves(*(column[at : at + PART] for column in self))


class Steps(NamedTuple):
    """Logarithms of step sizes, [data, grid], at places [grid] of a schedule."""

    log_steps: Float[Array, "data grid"]
    places: Float[Array, " grid"]


class Moved(NamedTuple):
    """After some moves: codes [data, chains, dim]; what each move adds to the log-weights [data, moves, chains]; its mean acceptance and the logarithm of the
    step size after it, [data, moves]."""

    z: Array
    added: Array
    acceptance: Array
    log_step: Array


@eqx.filter_jit
def chain_keys(chains: Chains, number: Int[Array, " data"], key: Key) -> Array:
    """A key for each datum and chain, [data, chains]; folded with the number of a move it is that move's.

    A program of its own: random bits are slow to compile, and this one serves every model.
    """
    return jax.vmap(
        lambda n: jax.vmap(lambda c: jr.fold_in(jr.fold_in(key, n), c))(
            jnp.arange(chains.num_chains)
        )
    )(number)


@eqx.filter_jit
def begin(
    chains: Chains, model: Model, prior: Distribution, x: Array, keys: Array
) -> Float[Array, "data chains dim"]:
    """Draws from the start of each datum's path: what the chains do with the number 0."""

    def one(x, keys):
        path = annealing_path(model, prior, x, chains.start)
        return jax.vmap(lambda key: path.draw(jr.fold_in(key, 0)))(keys)

    return jax.vmap(one)(x, keys)


def advance(
    chains: Chains,
    model: Model,
    prior: Distribution,
    x: Array,
    keys: Array,
    z: Array,
    steps: Steps,
    moves: Moves,
) -> Moved:
    """The chains after at most PART moves; arrays of `Moved` are as long as the moves."""
    count = len(moves.beta)
    padded = (np.pad(column, (0, PART - count)) for column in moves)
    real = [
        jnp.asarray(column, jnp.result_type(float) if column.dtype.kind == "f" else None)
        for column in padded
    ]
    found = _advance(chains, model, prior, x, keys, z, steps, Moves(*real), jnp.asarray(count))  # pyright: ignore[reportArgumentType]
    return Moved(found.z, *(column[:, :count] for column in found[1:]))


@eqx.filter_jit
def _advance(
    chains: Chains,
    model: Model,
    prior: Distribution,
    x: Array,
    keys: Array,
    z: Float[Array, "data chains dim"],
    steps: Steps,
    moves: Moves,
    count: Array,
) -> Moved:
    def one(x, keys, z, log_steps):
        path = annealing_path(model, prior, x, chains.start)

        def move(j, carry):
            now = carry.log_step[(j - 1) % PART]
            scheduled = jnp.interp(moves.place[j], steps.places, log_steps)
            log_step = jnp.where((moves.gain[j] > 0) & (j > 0), now, scheduled)

            def of_chain(z, key):
                return _transition(
                    chains,
                    path,
                    z,
                    jr.fold_in(key, moves.number[j]),
                    moves.beta[j],
                    moves.stretch[j] * jnp.exp(log_step),
                )

            z, log_ratio, accepted = jax.vmap(of_chain)(carry.z, keys)
            after = jnp.clip(
                log_step + moves.gain[j] * (jnp.mean(accepted) - chains.target_acceptance),
                SMALLEST,
                LARGEST,
            )
            added, acceptance = (
                carry.added.at[j].set(moves.delta[j] * log_ratio),
                carry.acceptance.at[j].set(jnp.mean(accepted)),
            )
            return Moved(z, added, acceptance, carry.log_step.at[j].set(after))

        nothing = jnp.zeros(PART, z.dtype)
        return jax.lax.fori_loop(
            0, count, move, Moved(z, jnp.zeros((PART, len(z)), z.dtype), nothing, nothing)
        )

    return jax.vmap(one)(x, keys, z, steps.log_steps)


def tuned(
    chains: Chains,
    model: Model,
    prior: Distribution,
    x: Array,
    keys: Array,
    betas: np.ndarray,
    repeats: int,
) -> Float[Array, "data grid"]:
    """Logarithms of step sizes at some temperatures [grid], for each datum: those at which `target_acceptance` of the moves are accepted.

    Chains go along the path; at each temperature they move `repeats` times, and after each move the step grows or shrinks by how far the acceptance is from
    its target (Robbins & Monro 1951). What is found is smoothed over neighbouring temperatures.

        tuned(chains, model, prior, x, keys, np.linspace(0.02, 1, 50), 2)
    """
    z = begin(chains, model, prior, x, keys)
    visits = np.concatenate([np.full(WARM_UP, betas[0]), np.repeat(betas, repeats)])
    gains = np.where(np.arange(len(visits)) < WARM_UP, FAST, SLOW)
    moves = Moves.of(visits, number=1 + np.arange(len(visits)), gain=gains)
    log_step, record = jnp.full((len(x), 1), -0.25 * np.log(z.shape[2]), z.dtype), []
    for at in range(0, len(visits), PART):
        found = advance(
            chains, model, prior, x, keys, z, Steps(log_step, jnp.zeros(1, z.dtype)), moves.part(at)
        )
        z, log_step = found.z, found.log_step[:, -1:]
        record.append(found.log_step)
    at_each = jnp.concatenate(record, axis=1)[:, WARM_UP + repeats - 1 :: repeats]
    near = np.abs(np.arange(len(betas))[:, None] - np.arange(len(betas))) <= HALF_WINDOW
    return at_each @ jnp.asarray(near.T / near.sum(axis=1), z.dtype)


@eqx.filter_jit
def log_ratios(
    chains: Chains, model: Model, prior: Distribution, x: Array, z: Float[Array, "data chains dim"]
) -> Float[Array, "data chains"]:
    """log p(x, z) - log start(z)."""

    def one(x, z):
        return jax.vmap(annealing_path(model, prior, x, chains.start).log_ratio)(z)

    return jax.vmap(one)(x, z)


def _transition(
    chains: Chains, path: AnnealingPath, z: Array, key: Key, beta: Array, step: Array
) -> tuple[Array, Array, Array]:
    """(the code after one move that leaves f_beta invariant, the log ratio before it, the probability with which the move was accepted)."""
    from blackjax.mcmc.hmc import HMCState, build_kernel

    def density(z):
        log_ratio = path.log_ratio(z)
        return path.log_start(z) + beta * log_ratio, log_ratio

    # One pass of the decoder serves the weight and the first gradient.
    (log_density, log_ratio), gradient = jax.value_and_grad(density, has_aux=True)(z)
    state = HMCState(z, log_density, gradient)
    moved, info = build_kernel()(
        key,
        state,
        lambda z: density(z)[0],
        step,  # pyright: ignore[reportArgumentType]
        path.variance(beta),
        chains.num_leapfrog,
    )
    return jnp.asarray(moved.position), log_ratio, jnp.asarray(info.acceptance_rate)
