"""Schedules of the KL weight: values by hand, inside the compiled epoch, and what a training says that ended before its schedule did."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from jensen.bounds import ELBO
from jensen.gradients import Pathwise
from jensen.training import TrainingOptions, train
from jensen.training.schedules import SCHEDULES
from linear_gaussian import make

TRUTH = make(dimension=4, latent=2)
X = TRUTH.data(20, seed=1).astype(np.float32)


def betas(epochs=30, **options):
    settings = TrainingOptions(epochs=epochs, **options)
    return [float(settings.beta_at(e)) for e in range(1, epochs + 1)]


def go(*, start=None, **options):
    settings = TrainingOptions(**({"batch_size": 20, "learning_rate": 1e-3} | options))
    return train(
        TRUTH.model,
        X,
        X,
        bound=ELBO(),
        gradient=Pathwise(),
        options=settings,
        key=jr.key(0),
        start=start,
    )


def test_linear_and_cosine_rise_over_the_warm_up_and_stay():
    assert betas(8, beta=4.0, warm_up=5) == pytest.approx([0.8, 1.6, 2.4, 3.2, 4, 4, 4, 4])
    by_hand = [4 * np.sin(np.pi * e / 10) ** 2 for e in range(1, 6)]  # (1 - cos 2a) / 2 = sin^2 a
    assert betas(8, beta=4.0, warm_up=5, beta_schedule="cosine") == pytest.approx(
        [*by_hand, 4, 4, 4], abs=1e-6
    )
    assert betas(3, beta=0.25, warm_up=0, beta_schedule="cosine") == [0.25] * 3


def test_a_cyclical_weight_starts_again_in_every_cycle_and_is_held_in_between():
    # Three cycles of 8 epochs, each rising over the first half.
    one = [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]
    assert betas(
        28, warm_up=24, beta=2.0, beta_schedule="cyclical", beta_cycles=3
    ) == pytest.approx([2 * b for b in one * 3 + [1] * 4])
    # One cycle that rises all the time is the linear schedule.
    assert betas(
        30, warm_up=20, beta_schedule="cyclical", beta_cycles=1, beta_ramp=1.0
    ) == pytest.approx(betas(30, warm_up=20))
    # By default the cycles fill the training, and the paper's four of them rise over one half each.
    assert betas(32, beta_schedule="cyclical") == pytest.approx(one * 4)


@pytest.mark.parametrize(("warm_up", "cycles"), [(10, 3), (100, 7), (97, 6), (1000, 3)])
def test_cycles_that_are_no_whole_number_of_epochs_start_where_they_should(warm_up, cycles):
    found = betas(
        warm_up + 5, warm_up=warm_up, beta_schedule="cyclical", beta_cycles=cycles, beta_ramp=0.8
    )
    starts = [e + 1 for e in range(len(found)) if e == 0 or found[e] < found[e - 1]]
    assert starts == [-(-k * warm_up // cycles) + 1 for k in range(cycles)]
    settled = TrainingOptions(
        epochs=warm_up, warm_up=warm_up, beta_schedule="cyclical", beta_cycles=cycles, beta_ramp=0.8
    ).settled
    assert all(b == 1 for b in found[settled - 1 :]) and found[settled - 2] < 1


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_compiled_epoch_trains_at_the_weight_that_the_options_say(schedule):
    options = {"epochs": 10, "warm_up": 8, "beta": 3.0, "beta_schedule": schedule, "beta_cycles": 2}
    trained = go(**options)
    expected = [float(TrainingOptions(**options).beta_at(e)) for e in range(1, 11)]
    assert [r["beta"] for r in trained.history] == pytest.approx(expected, rel=1e-6)
    traced = jax.jit(jax.vmap(TrainingOptions(**options).beta_at))(jnp.arange(1, 11))
    np.testing.assert_allclose(traced, expected, rtol=1e-6)
    # The reported bound is at beta = 1 in every phase.
    for record in trained.history:
        assert record["validation"]["bound"] == pytest.approx(
            record["validation"]["reconstruction"] - record["validation"]["average_kl"], abs=1e-4
        )


def test_the_step_is_taken_with_the_weight_of_its_phase():
    # The first epoch of a second cycle is one with that weight held, and not one with the full weight.
    options = {"warm_up": 4, "beta_schedule": "cyclical", "beta_cycles": 2, "beta_ramp": 1.0}
    state = go(epochs=2, **options).state
    third = [
        go(epochs=3, start=state, **o).state.parameters
        for o in (options, {"beta": 0.5, "warm_up": 0}, {"beta": 1.0, "warm_up": 0})
    ]
    leaves = [
        np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(parameters)])
        for parameters in third
    ]
    np.testing.assert_allclose(leaves[0], leaves[1], rtol=0, atol=1e-7)
    assert np.abs(leaves[0] - leaves[2]).max() > 1e-5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"epochs": 3, "warm_up": 12, "beta": 2.0},
            [
                "trained at beta = 0.5, not 2",
                "linear schedule, epoch 3 of 12",
                "it is 2 for good from epoch 12 on",
            ],
        ),
        (
            {"epochs": 3, "warm_up": 6, "beta_schedule": "cosine"},
            ["trained at beta = 0.5, not 1", "cosine schedule, epoch 3 of 6"],
        ),
        (
            {"epochs": 9, "warm_up": 32, "beta_schedule": "cyclical"},
            ["beta = 0.25, not 1", "cycle 2 of 4, rising", "for good from epoch 28 on"],
        ),
        (
            {"epochs": 14, "warm_up": 32, "beta_schedule": "cyclical"},
            ["the remaining cycles were not run", "cycle 2 of 4, held"],
        ),
    ],
)
def test_a_training_that_ends_before_its_schedule_says_in_which_phase(options, words):
    trained = go(**options)
    (warning,) = trained.outcome.warnings
    assert warning.startswith("the KL warm-up had not finished when training ended: ")
    assert all(word in warning for word in words)
    # With another beta than 1 none of its epochs was at the full weight for good, and the newest stands for the best; at beta = 1 the best may be any.
    best = (
        options["epochs"]
        if options.get("beta", 1.0) != 1
        else 1 + int(np.argmax([r["validation"]["bound"] for r in trained.history]))
    )
    assert trained.history[-1]["best_epoch"] == best


def test_an_interruption_within_the_schedule_says_so_too():
    settings = TrainingOptions(epochs=32, batch_size=20, beta_schedule="cyclical")
    asked = iter([False] * 4 + [True] * 10)
    found = train(
        TRUTH.model,
        X,
        X,
        bound=ELBO(),
        gradient=Pathwise(),
        options=settings,
        key=jr.key(0),
        stop_requested=lambda: next(asked),
    )
    assert (found.outcome.status, found.outcome.epoch) == ("interrupted", 5)
    assert "cycle 1 of 4, held" in found.outcome.warnings[0]


def test_a_training_that_ends_with_its_schedule_says_nothing():
    for options in (
        {"warm_up": 4},
        {"warm_up": 4, "beta_schedule": "cosine"},
        {"beta_schedule": "cyclical", "beta_cycles": 1},
    ):
        assert go(epochs=4, **options).outcome.warnings == ()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_patience_and_the_best_epoch_count_from_where_the_weight_is_full_for_good(schedule):
    # A model that is good already and is trained at a large rate only gets worse: the best epoch would be an early one.
    options = {
        "epochs": 60,
        "warm_up": 8,
        "beta_schedule": schedule,
        "beta_cycles": 2,
        "learning_rate": 0.3,
        "patience": 3,
        "beta": 6.0,
    }
    settled = TrainingOptions(**options).settled
    assert settled == (6 if schedule == "cyclical" else 8)
    trained = go(**options)
    bounds = [r["validation"]["bound"] for r in trained.history]
    assert int(np.argmax(bounds)) + 1 < settled
    late = bounds[settled - 1 :]
    assert trained.history[-1]["best_epoch"] == settled + int(np.argmax(late))
    assert trained.outcome.status == "stopped_early"
    assert trained.outcome.epoch == trained.history[-1]["best_epoch"] + 3
    assert trained.outcome.warnings == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"beta_schedule": "cosin"},
            r"unknown beta_schedule 'cosin' \(did you mean 'cosine'\?\); known: linear, cosine, cyclical",
        ),
        ({"beta_cycles": 0}, "beta_cycles must be at least 1; got 0"),
        (
            {"beta_ramp": 0.0},
            "beta_ramp must be above 0 and at most 1, a share of a cycle; got 0.0",
        ),
        (
            {"beta_ramp": 1.5},
            "beta_ramp must be above 0 and at most 1, a share of a cycle; got 1.5",
        ),
        ({"beta": float("inf")}, "beta must be finite; got inf"),
        (
            {"beta_schedule": "cyclical", "epochs": 10},
            "rises of at least 2 epochs; beta_ramp 0.5 of 4 cycles in a warm-up of 10 epochs are 1.25. Use fewer",
        ),
    ],
)
def test_what_makes_no_schedule_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingOptions(**options)
