"""What is trained and what only travels with the model."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random as jr

from jensen._parameters import constant, partition
from jensen._types import Array
from jensen.bounds import ELBO
from jensen.distributions import diagonal_normal
from jensen.gradients import Pathwise
from jensen.model import Model
from jensen.priors import AbstractPrior
from jensen.training import CheckpointError, Checkpoints, TrainingOptions, train
from jensen.training.program import Objective, compile_epoch
from jensen.training.state import initial_state, name_leaves
from linear_gaussian import make


class Inner(eqx.Module):
    trained: Array
    fixed: Array = constant()


class Anchored(AbstractPrior):
    """N(shift + mean of the rows, I), with rows of each kind."""

    shift: Array
    rows: Array
    anchor: Array = constant()
    frozen: Inner = constant()
    listed: dict = eqx.field(default_factory=dict)

    def __call__(self, encoder):
        mean = (
            self.rows.astype(float).mean(0)
            + self.anchor
            + self.frozen.trained
            + self.listed["a"][0].trained
            + self.listed["a"][0].fixed
        )
        return diagonal_normal(self.shift + mean, jnp.ones(2))


def anchored(rows=4, value=1.0):
    pixels = jnp.asarray(np.arange(2 * rows).reshape(rows, 2), jnp.uint8)
    inner = Inner(jnp.full(2, value), jnp.full(2, 0.25))
    return Anchored(jnp.zeros(2), pixels, jnp.full(2, 2.0), inner, {"a": [inner]})


def test_parameters_are_the_inexact_arrays_outside_of_constant_fields_and_all_parts_make_the_whole():
    model = {"prior": anchored(), "function": jnp.tanh, "count": 3}
    parts = partition(model)
    assert set(name_leaves(parts.parameters)) == {
        "['prior'].shift",
        "['prior'].listed['a'][0].trained",
    }
    inside = {"rows", "anchor", "frozen.trained", "frozen.fixed", "listed['a'][0].fixed"}
    assert set(name_leaves(parts.constants)) == {f"['prior'].{name}" for name in inside}
    assert jax.tree.leaves(parts.static) == [3, jnp.tanh]
    whole = eqx.combine(*parts)
    assert jax.tree.structure(whole) == jax.tree.structure(model)
    assert all(a is b for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(model), strict=True))


@pytest.fixture
def world():
    truth = make()
    x = truth.data(30, seed=0).astype(np.float32)
    single = jax.tree.map(lambda a: a.astype(jnp.float32), truth.model)
    return Model(anchored(), single.encoder, single.decoder), x


OPTIONS = TrainingOptions(epochs=3, batch_size=10, learning_rate=0.1, checkpoint_seconds=0)


def trained(model, x, **options):
    return train(
        model,
        x,
        x[:0],
        bound=ELBO(),
        gradient=Pathwise(),
        options=OPTIONS,
        key=jr.key(0),
        **options,
    )


def test_training_moves_parameters_only_and_pays_no_optimiser_slot_for_constants(world):
    model, x = world
    found = trained(model, x)
    before, after = partition(model), partition(found.last)
    jax.tree.map(np.testing.assert_array_equal, before.constants, after.constants)
    assert all(
        (np.asarray(a) != np.asarray(b)).any()
        for a, b in zip(
            jax.tree.leaves(before.parameters), jax.tree.leaves(after.parameters), strict=True
        )
    )
    slots = [path for path in name_leaves(found.state.optimiser) if ".mu" in path]
    assert len(slots) == len(jax.tree.leaves(before.parameters))


def test_constants_are_arguments_of_the_compiled_epoch_not_part_of_it(world):
    model, x = world
    programs = []
    for rows in (10, 20_000):
        big = eqx.tree_at(lambda m: m.prior, model, anchored(rows))
        objective = Objective(
            partition(big).static, ELBO(), Pathwise(), optax.adam(0.1), OPTIONS, None
        )
        state = initial_state(big, optax.adam(0.1))
        programs.append(
            len(
                compile_epoch(
                    objective, state, jnp.asarray(x), jnp.asarray(x[:0]), jr.key(0)
                ).as_text()
            )
        )
    assert programs[1] < 1.1 * programs[0] + 1000


def test_checkpoints_hold_constants_once_and_give_them_back_to_a_model_that_has_others(
    world, tmp_path
):
    model, x = world
    found = trained(model, x, checkpoints=Checkpoints(tmp_path))
    assert set(found.state.named) == {"current", "best", "constants"}
    assert not any(
        "rows" in path for part in ("current", "best") for path in found.state.named[part]
    )
    other = eqx.tree_at(lambda m: (m.prior.rows, m.prior.anchor), model, replace_fn=jnp.zeros_like)
    best = Checkpoints(tmp_path).restore_best(other)
    state = Checkpoints(tmp_path).restore(initial_state(other, optax.adam(0.1)))
    jax.tree.map(np.testing.assert_array_equal, partition(best)[:2], partition(found.model)[:2])
    jax.tree.map(np.testing.assert_array_equal, state, found.state)
    with pytest.raises(CheckpointError, match="does not hold this model"):
        Checkpoints(tmp_path).restore_best(eqx.tree_at(lambda m: m.prior, model, anchored(5)))


def test_going_on_from_a_checkpoint_uses_the_stored_constants(world, tmp_path):
    model, x = world
    straight = trained(model, x)
    short = TrainingOptions(epochs=1, batch_size=10, learning_rate=0.1, warm_up=OPTIONS.warm_up)
    train(
        model,
        x,
        x[:0],
        bound=ELBO(),
        gradient=Pathwise(),
        options=short,
        key=jr.key(0),
        checkpoints=Checkpoints(tmp_path),
    )
    other = eqx.tree_at(lambda m: (m.prior.rows, m.prior.anchor), model, replace_fn=jnp.zeros_like)
    again = trained(
        other, x, start=Checkpoints(tmp_path).restore(initial_state(other, optax.adam(0.1)))
    )
    jax.tree.map(
        np.testing.assert_array_equal, partition(again.last)[:2], partition(straight.last)[:2]
    )
