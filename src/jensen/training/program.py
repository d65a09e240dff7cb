"""One epoch as one compiled program.

The shuffle, the steps, validation and the choice of the best state all stay on the device. Keys are
folded from (epoch, datum index), so that the draws for a datum do not depend on its batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

from jensen._types import Array, Key
from jensen.bounds import AbstractBound
from jensen.gradients import AbstractGradientEstimator
from jensen.model import Model
from jensen.training.options import TrainingOptions
from jensen.training.state import TrainingState
from jensen.weights import datum_log_weights

VALIDATION_BLOCK = 500  # validation data that are evaluated at a time
# Fewer copies of the weights inside the epoch's loop on CPUs: 15% of an epoch on an MNIST-sized
# MLP. Passed per program, so that the user's XLA_FLAGS stay untouched.
COMPILER_OPTIONS: dict[str, str | bool] = {"xla_cpu_copy_insertion_use_region_analysis": True}


# Positions of the terms in the means [3] of a step or an epoch. One array and not three: the mean
# over an epoch's steps is then one matrix product.
BOUND, RECONSTRUCTION, AVERAGE_KL = range(3)


@dataclass(frozen=True)
class Objective:
    """What a training ascends, and how.

    Attributes:
        static: the parts of the model that are not trained.
        bound, gradient, optimiser, options: the bound, its gradient estimator, the optimiser, and
            the settings.
        levels: if given, a value v of the data is a Bernoulli mean v / levels.
    """

    static: Model
    bound: AbstractBound
    gradient: AbstractGradientEstimator
    optimiser: optax.GradientTransformation
    options: TrainingOptions
    levels: int | None

    def criterion(self, means: Array) -> Array:
        """Compute the criterion of the best epoch from the means of the terms; higher is better."""
        return (
            means[RECONSTRUCTION] - means[AVERAGE_KL]
            if self.options.select_by == "elbo" or self.bound.sign < 0
            else means[BOUND]
        )

    def with_constants(self, constants: Model) -> "Objective":
        """Put the model's untrained arrays back in their places."""
        return replace(self, static=eqx.combine(constants, self.static))


def draw_binary(key: Key, grey: Array, levels: int) -> Array:
    """Draw Bernoulli(grey / levels) as uint8.

    draw_binary(key, jnp.array([0, 8, 16], jnp.uint8), 16)
    """
    # 16 random bits per draw, half of what a float32 uniform takes; the probabilities are exact to
    # 2^-17.
    threshold = jnp.round(grey.astype(jnp.float32) * (65536 / levels)).astype(jnp.uint32)
    return (jr.bits(key, grey.shape, jnp.uint16).astype(jnp.uint32) < threshold).astype(jnp.uint8)


class Batch(NamedTuple):
    """The rows of one step and the keys of their draws.

    For a whole epoch, the same with a leading axis of steps.
    """

    index: Array  # [batch]  # pyright: ignore[reportIncompatibleMethodOverride]
    weight: Array | None  # [batch], 0 at the padding of a short batch; None without padding
    key_data: Array  # [batch], folded from the datum index
    key_samples: Array  # [batch], folded from the datum index


def batch_of(index: Array, weight: Array | None, key: Key) -> Batch:
    """Make the batch of these rows.

    Keys are folded here, for an epoch at once: inside the loop of steps it costs 2% of a step.
    """

    def fold(key: Key) -> Array:
        return jax.vmap(lambda n: jr.fold_in(key, n))(index.ravel()).reshape(index.shape)

    key_data, key_samples = jr.split(key)
    return Batch(index, weight, fold(key_data), fold(key_samples))


def batch_loss(
    objective: Objective, parameters: Model, data: Array, batch: Batch, beta: Array
) -> tuple[Array, Array]:
    """Compute the loss to minimise, and the batch means of bound, reconstruction and average KL."""
    model = eqx.combine(parameters, objective.static)
    prior = model.prior(model.encoder)
    # Rows are gathered flat: XLA copies a row of bytes faster than an image of them.
    rows = data.reshape(data.shape[0], -1)[batch.index].reshape(batch.index.shape + data.shape[1:])

    def estimate_of_datum(x, key_data, key_samples):
        if objective.levels is not None:
            x = draw_binary(key_data, x, objective.levels)
        return objective.gradient.surrogate(
            objective.bound,
            model,
            prior,
            x,
            key_samples,
            num_samples=objective.options.num_samples,
            beta=beta,
        )

    estimates = jax.vmap(estimate_of_datum)(rows, batch.key_data, batch.key_samples)
    weight = batch.weight
    means = jax.tree.map(
        jnp.mean if weight is None else lambda v: jnp.sum(v * weight) / jnp.sum(weight), estimates
    )
    # The library's only minus sign: everywhere else, higher is better.
    return -means.surrogate, jnp.stack([means.bound, means.reconstruction, means.average_kl])


def epoch_keys(key: Key, epoch: Array) -> tuple[Key, Key]:
    """Return the keys of the data order and of the draws in epoch 1, 2, ..."""
    shuffle, draws = jr.split(jr.fold_in(key, epoch))
    return shuffle, draws


def batches(options: TrainingOptions, n: int, key: Key) -> tuple[Array, Array | None]:
    """Assign the data to batches in random order.

    Returns:
        Datum indices [steps, batch_size], and weights of the same shape (None if no batch is
        short).
    """
    size = min(options.batch_size, n)
    steps = -(-n // size)
    order = jr.permutation(key, n)
    if steps * size == n:
        return order.reshape(steps, size), None
    weight = (jnp.arange(steps * size) < n).astype(jnp.float32).reshape(steps, size)
    # A short last batch is padded with copies of datum 0 of weight 0: one shape for all steps.
    return jnp.pad(order, (0, steps * size - n)).reshape(steps, size), weight


def step(
    objective: Objective,
    parameters: Model,
    optimiser_state,
    data: Array,
    batch: Batch,
    epoch: Array,
):
    """Take one optimiser step on the rows of data that `batch` names, in epoch 1, 2, ...

    Returns:
        (parameters, optimiser state, means of the terms).
    """
    beta = objective.options.beta_at(epoch)
    gradient, means = jax.grad(lambda p: batch_loss(objective, p, data, batch, beta), has_aux=True)(
        parameters
    )
    updates, optimiser_state = objective.optimiser.update(gradient, optimiser_state)
    # Adam's updates are proportional to the learning rate, so the rate's factor may follow it.
    if objective.options.cool_down or objective.options.rate_stages:
        updates = jax.tree.map(
            lambda u: objective.options.rate_at(epoch).astype(u.dtype) * u, updates
        )
    return eqx.apply_updates(parameters, updates), optimiser_state, means


def epoch_program(objective: Objective) -> Callable[..., tuple[TrainingState, dict[str, Array]]]:
    """Make the function (state, train, validation, key) -> (next state, measurements) of one epoch.

    It is to be compiled once.
    """
    options = objective.options

    def run(state: TrainingState, train: Array, validation: Array, key: Key):
        complete = objective.with_constants(state.constants)
        key_train, key_validation = jr.split(key)
        epoch = state.epoch + 1
        beta = options.beta_at(epoch)
        key_order, key_draws = epoch_keys(key_train, epoch)
        index, weight = batches(options, train.shape[0], key_order)

        def body(carry, batch):
            parameters, optimiser_state, means = step(
                complete, carry[0], carry[1], train, batch, epoch
            )
            return (parameters, optimiser_state), means

        (parameters, optimiser_state), steps = jax.lax.scan(
            body, (state.parameters, state.optimiser), batch_of(index, weight, key_draws)
        )
        rows = jnp.full(index.shape[0], 1.0) if weight is None else weight.sum(1)
        measured = {"steps": steps, "train": rows @ steps / rows.sum(), "beta": beta}
        # Parameters and moments are checked themselves: the last step's gradient shows in no step's
        # terms (without validation data in no number at all), and a second moment that overflowed
        # freezes its parameter while every number stays finite.
        leaves = jax.tree.leaves((parameters, optimiser_state))
        measured["finite"] = jnp.stack([jnp.isfinite(leaf).all() for leaf in leaves]).all()
        measured["validation"] = (
            _validate(complete, parameters, validation, key_validation)
            if validation.shape[0]
            else measured["train"]
        )
        bound = objective.criterion(measured["validation"])
        # With a beta other than 1, the newest state counts as the best until the KL weight has
        # reached beta for good: among the states before, the one trained at the weight nearest to 1
        # would have the best bound, which is taken at beta = 1.
        better = (bound > state.best_bound) | ((epoch <= options.settled) & (options.beta != 1))
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), parameters, state.best)
        stale = jnp.where(better | (epoch <= options.settled), 0, state.stale + 1)
        best_bound, best_epoch = (
            jnp.where(better, bound, state.best_bound),
            jnp.where(better, epoch, state.best_epoch),
        )
        return TrainingState(
            parameters, optimiser_state, best, best_bound, best_epoch, epoch, stale, state.constants
        ), measured

    return run


def _validate(objective: Objective, parameters: Model, validation: Array, key: Key) -> Array:
    """Compute the validation means of bound (at beta = 1), reconstruction and average KL.

    The draws are the same in every epoch.
    """
    model = eqx.combine(parameters, objective.static)
    prior = model.prior(model.encoder)
    n = validation.shape[0]
    size = min(VALIDATION_BLOCK, n)
    blocks = -(-n // size)
    # The last block repeats the last datum, with weight 0.
    index = jnp.minimum(jnp.arange(blocks * size), n - 1).reshape(blocks, size)
    weight = (jnp.arange(blocks * size) < n).reshape(blocks, size)

    def terms_of_datum(i):
        weights = datum_log_weights(
            model, prior, validation[i], jr.fold_in(key, i), objective.options.num_samples
        )
        terms = [
            objective.bound(weights.tempered()),
            jnp.mean(weights.log_likelihood),
            jnp.mean(weights.log_posterior - weights.log_prior),
        ]
        return jnp.stack(terms)

    def block(total, part):
        return total + jnp.sum(
            jnp.where(part[1][:, None], jax.vmap(terms_of_datum)(part[0]), 0.0), axis=0
        ), None

    total, _ = jax.lax.scan(block, jnp.zeros(3), (index, weight))
    return total / n


def compile_epoch(objective: Objective, *arguments):
    """Compile the epoch program for these arguments; calling the result never compiles again."""
    lowered = jax.jit(epoch_program(objective)).lower(*arguments)
    try:
        return lowered.compile(compiler_options=COMPILER_OPTIONS)
    except Exception:  # an XLA version without the option
        return lowered.compile()
