"""A training that is stopped and goes on from its checkpoint is bit for bit the one that was never stopped."""

import equinox as eqx
import jax
import numpy as np
import optax
import pytest
from jax import random as jr

from jensen.bounds import IWAE
from jensen.gradients import Pathwise
from jensen.models.vae import vae
from jensen.training import CheckpointError, Checkpoints, TrainingOptions, train
from jensen.training.state import initial_state

RNG = np.random.default_rng(0)
X = RNG.integers(0, 17, (47, 6)).astype(np.uint8)
VALIDATION = RNG.integers(0, 2, (9, 6)).astype(np.uint8)
LEARNING_RATE = 5e-3


def model(hidden=(5,), prior=None):
    prior = prior or {"name": "vamp", "num_components": 4, "learn_weights": True}
    return vae(
        (6,), latent_dim=2, prior=prior, network={"name": "dense", "hidden": hidden}, key=jr.key(0)
    )


def go(epochs, checkpoints=None, start=None, **options):
    settings = {
        "batch_size": 10,
        "num_samples": 2,
        "learning_rate": LEARNING_RATE,
        "warm_up": 4,
        "checkpoint_seconds": 0,
    } | options
    hooks = (
        {"stop_requested": settings.pop("stop_requested")} if "stop_requested" in settings else {}
    )
    return train(
        model(),
        X,
        VALIDATION,
        bound=IWAE(),
        gradient=Pathwise(),
        options=TrainingOptions(epochs=epochs, **settings),
        key=jr.key(1),
        levels=16,
        checkpoints=checkpoints,
        start=start,
        **hooks,
    )


def assert_identical(a, b):
    leaves_a, leaves_b = jax.tree.leaves(a), jax.tree.leaves(b)
    assert jax.tree.structure(a) == jax.tree.structure(b)
    assert all(
        np.asarray(p).dtype == np.asarray(q).dtype
        and np.asarray(p).tobytes() == np.asarray(q).tobytes()
        for p, q in zip(leaves_a, leaves_b)
    )


def like():
    return initial_state(model(), optax.adam(LEARNING_RATE))


def without_seconds(history):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in history]


@pytest.fixture(scope="module")
def straight():
    return go(6)


def test_three_epochs_a_checkpoint_and_three_more_are_six_bit_for_bit(tmp_path, straight):
    kept = Checkpoints(tmp_path)
    stops = iter([False, False, True])
    first = go(6, kept, stop_requested=lambda: next(stops))
    assert (first.outcome.status, first.outcome.epoch) == ("interrupted", 3)
    restored = Checkpoints(tmp_path).restore(like())
    assert_identical(restored, first.state)
    second = go(6, kept, restored)
    assert second.outcome.status == "completed"
    assert_identical(second.state, straight.state)
    assert_identical(
        eqx.filter(second.model, eqx.is_array), eqx.filter(straight.model, eqx.is_array)
    )
    assert without_seconds(first.history + second.history) == without_seconds(straight.history)
    assert kept.epochs() == [5, 6]


def test_resuming_a_finished_run_returns_its_model_with_its_parameters(tmp_path, straight):
    Checkpoints(tmp_path).save(straight.state)
    again = go(6, start=Checkpoints(tmp_path).restore(like()))
    assert (again.outcome.status, again.history) == ("completed", [])
    for ours, theirs in ((again.model, straight.model), (again.last, straight.last)):
        # Restored arrays arrive as NumPy's, which cannot be updated with .at as a trained model's can.
        assert all(
            isinstance(leaf, jax.Array)
            for leaf in jax.tree.leaves(eqx.filter(ours, eqx.is_inexact_array))
        )
        assert_identical(
            eqx.filter(ours, eqx.is_inexact_array), eqx.filter(theirs, eqx.is_inexact_array)
        )


def test_best_and_last_are_kept_apart(tmp_path):
    # A learning rate far too large: the best validation bound comes early.
    trained = go(8, Checkpoints(tmp_path), learning_rate=2.0, warm_up=0)
    bounds = [record["validation"]["bound"] for record in trained.history]
    best = int(np.argmax(bounds)) + 1
    assert best < 8
    assert [record["best_epoch"] for record in trained.history] == [
        int(np.argmax(bounds[: i + 1])) + 1 for i in range(8)
    ]
    at_best = go(best, learning_rate=2.0, warm_up=0)
    assert_identical(
        eqx.filter(trained.model, eqx.is_array), eqx.filter(at_best.last, eqx.is_array)
    )
    restored = Checkpoints(tmp_path).restore(initial_state(model(), optax.adam(2.0)))
    assert_identical(restored.best, eqx.filter(trained.model, eqx.is_inexact_array))
    assert_identical(restored.parameters, eqx.filter(trained.last, eqx.is_inexact_array))
    assert not np.array_equal(trained.model.decoder.head.bias, trained.last.decoder.head.bias)


def test_a_checkpoint_before_the_first_epoch_restores(tmp_path):
    state = like()
    Checkpoints(tmp_path).save(state)
    assert_identical(Checkpoints(tmp_path).restore(like()), state)


def test_another_model_is_refused_by_name(tmp_path, straight):
    Checkpoints(tmp_path).save(straight.state)
    for other in (model(hidden=(6,)), model(hidden=(5, 5)), model(prior="standard_normal")):
        with pytest.raises(CheckpointError, match="does not hold this model"):
            Checkpoints(tmp_path).restore(initial_state(other, optax.adam(LEARNING_RATE)))
