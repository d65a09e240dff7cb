"""How a training ends: patience after the warm-up, warnings, and divergence that is located."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from jensen._types import Array, Distribution
from jensen.bounds import ELBO, bounds
from jensen.decoders import AbstractDecoder
from jensen.distributions import diagonal_normal
from jensen.gradients import Pathwise
from jensen.model import Model
from jensen.priors import StandardNormal
from jensen.training import TrainingOptions, train
from jensen.training.optimisers import make_optimiser
from jensen.training.program import Objective, batches, epoch_keys
from linear_gaussian import LinearEncoder

LIMIT = 100.0


class Fragile(AbstractDecoder):
    """Good for every z below LIMIT, broken above it: in the value ('value') or in the derivative only ('gradient')."""

    weight: Array
    fault: str = eqx.field(static=True)

    def __call__(self, z: Array) -> Distribution:
        loc = self.weight * z[0] * jnp.ones(1)
        if self.fault == "value":
            loc = jnp.where(z[0] > LIMIT, jnp.nan, loc)
        if self.fault == "gradient":
            loc = (
                loc + jnp.sqrt(jnp.maximum(LIMIT - z[0], 0.0)) * 1e-3
            )  # at the kink the derivative is 0 times infinity
        return diagonal_normal(loc, jnp.ones(1))


def fragile(fault):
    return Model(
        StandardNormal(1),
        LinearEncoder(jnp.ones((1, 1)), jnp.zeros(1), jnp.zeros(1)),
        Fragile(jnp.ones(()), fault),
    )


def go(model, data, validation=None, start=None, **options):
    settings = {"epochs": 4, "batch_size": 5, "learning_rate": 1e-4} | options
    validation = data[:0] if validation is None else validation
    hooks = (
        {"stop_requested": settings.pop("stop_requested")} if "stop_requested" in settings else {}
    )
    return train(
        model,
        data,
        validation,
        bound=ELBO(),
        gradient=Pathwise(),
        options=TrainingOptions(**settings),
        key=jr.key(0),
        start=start,
        **hooks,
    )


GOOD = np.random.default_rng(0).normal(size=(23, 1)).astype(np.float32)
CHOSEN = 11
BAD = np.where(np.arange(23)[:, None] == CHOSEN, 1000.0, GOOD).astype(np.float32)


def batch_of(datum, epoch):
    """(the number of the batch in which the datum falls, how many there are), counted from 1."""
    index, weight = batches(
        TrainingOptions(batch_size=5), 23, epoch_keys(jr.split(jr.key(0))[0], jnp.asarray(epoch))[0]
    )
    return int(np.argwhere((np.asarray(index) == datum) & (np.asarray(weight) > 0))[0, 0]) + 1, len(
        index
    )


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            "value",
            "The reconstruction in epoch {epoch}, batch {t} of {of}, was not finite: log p(x|z) of training datum 11 is nan.",
        ),
        (
            "gradient",
            "The gradient in epoch {epoch}, batch {t} of {of}, was not finite for .encoder.weight, .encoder.bias, .encoder.log_scale",
        ),
    ],
)
@pytest.mark.parametrize("good_epochs", [0, 2])
def test_a_divergence_names_term_epoch_and_batch_and_keeps_the_last_good_state(
    fault, words, good_epochs
):
    start = go(fragile(fault), GOOD, epochs=good_epochs).state if good_epochs else None
    trained = go(fragile(fault), BAD, start=start)
    epoch = good_epochs + 1
    t, of = batch_of(CHOSEN, epoch)
    assert (trained.outcome.status, trained.outcome.epoch, trained.history) == (
        "diverged",
        good_epochs,
        [],
    )
    assert words.format(epoch=epoch, t=t, of=of) in trained.outcome.message
    assert (
        f"The last good state is that of epoch {good_epochs}; try a smaller --learning-rate"
        in trained.outcome.message
    )
    good = start.parameters if good_epochs else eqx.filter(fragile(fault), eqx.is_inexact_array)
    assert all(
        np.array_equal(a, b) and np.isfinite(a).all()
        for a, b in zip(
            jax.tree.leaves(trained.state.parameters), jax.tree.leaves(good), strict=True
        )
    )


def test_a_validation_bound_that_is_not_finite_is_told_from_training():
    trained = go(fragile("value"), GOOD, BAD)
    assert trained.outcome.status == "diverged"
    assert (
        "The validation bound after epoch 1 was not finite although every training step was"
        in trained.outcome.message
    )


def test_the_best_epoch_goes_by_the_bound_or_by_the_elbo_and_never_by_a_bound_from_above():
    means = jnp.array([-3.0, -5.0, 2.0])
    model, adam = fragile("value"), make_optimiser("adam", 1e-3)
    objective = lambda name, by: Objective(  # noqa: E731
        model, bounds.build(name, {}, {}), Pathwise(), adam, TrainingOptions(select_by=by), None
    )
    assert float(objective("iwae", "bound").criterion(means)) == -3
    assert float(objective("iwae", "elbo").criterion(means)) == -7
    assert float(objective("cubo", "bound").criterion(means)) == -7
    with pytest.raises(ValueError, match="select_by must be 'bound' or 'elbo'; got 'loss'"):
        TrainingOptions(select_by="loss")


def test_without_a_bad_datum_the_same_training_completes():
    for fault in ("value", "gradient"):
        trained = go(fragile(fault), GOOD, GOOD)
        assert (trained.outcome.status, trained.outcome.epoch, trained.outcome.warnings) == (
            "completed",
            4,
            (),
        )


class Steep(AbstractDecoder):
    """Nearly flat below LIMIT; above it, a kink so steep that in float32 the gradient is finite and its square is not."""

    weight: Array

    def __call__(self, z: Array) -> Distribution:
        steep = (
            1e25
            * jnp.maximum(jax.lax.stop_gradient(z[0]) - LIMIT, 0.0)
            * (self.weight - jax.lax.stop_gradient(self.weight))
        )
        return diagonal_normal(z[:1] * 0 + steep, jnp.full(1, 1e3))


@pytest.mark.parametrize("good_epochs", [0, 2])
def test_a_second_moment_that_overflows_is_a_divergence_and_named(good_epochs):
    # Every bound, parameter and gradient stays finite; Adam alone would freeze the weight, and go on.
    model = Model(
        StandardNormal(1),
        LinearEncoder(jnp.ones((1, 1)), jnp.zeros(1), jnp.zeros(1)),
        Steep(jnp.ones(())),
    )
    start = go(model, GOOD, epochs=good_epochs).state if good_epochs else None
    trained = go(model, BAD, start=start)
    t, of = batch_of(CHOSEN, good_epochs + 1)
    assert (trained.outcome.status, trained.outcome.epoch) == ("diverged", good_epochs)
    assert (
        f"Adam's moments of .decoder.weight overflowed in epoch {good_epochs + 1}, batch {t} of {of}"
        in trained.outcome.message
    )
    assert "the gradient there was finite but its square was not" in trained.outcome.message
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(trained.state.optimiser))


def stop_by_the_rule(bounds, patience, warm_up):
    """The first epoch that ends with `patience` epochs, all after the warm-up, without a better bound than all before."""
    best, best_epoch = -np.inf, 0
    for epoch, bound in enumerate(bounds, start=1):
        if bound > best:
            best, best_epoch = bound, epoch
        if epoch - max(best_epoch, warm_up) >= patience:
            return epoch
    return None


def test_patience_starts_after_the_warm_up():
    # Validation data unlike the training data: their bound falls for three epochs before it rises.
    far, settings = GOOD + 1, {"epochs": 40, "learning_rate": 0.05, "patience": 3}
    for warm_up in (0, 9):
        trained = go(fragile("none"), far, -far, warm_up=warm_up, **settings)
        bounds = [r["validation"]["bound"] for r in trained.history]
        assert trained.outcome.status == "stopped_early"
        assert trained.outcome.epoch == len(bounds) == stop_by_the_rule(bounds, 3, warm_up)
        assert (
            f"no better validation bound for 3 epochs; the best was epoch {int(np.argmax(bounds)) + 1}"
            in trained.outcome.message
        )
    assert (
        stop_by_the_rule(bounds, 3, 0) == 4
    )  # where it would have stopped if the warm-up had counted
    assert trained.outcome.epoch >= 12
    assert [r["beta"] for r in trained.history] == pytest.approx(
        [min(1, e / 9) for e in range(1, trained.outcome.epoch + 1)]
    )


def test_a_stop_requested_during_the_last_epoch_leaves_a_complete_training():
    asked = []

    def ask_at(last):
        asked.clear()
        return lambda: asked.append(1) or len(asked) == last

    trained = go(fragile("none"), GOOD, epochs=4, stop_requested=ask_at(4))
    assert (trained.outcome.status, trained.outcome.epoch, len(asked)) == ("completed", 4, 4)
    trained = go(fragile("none"), GOOD, epochs=4, stop_requested=ask_at(3))
    assert (trained.outcome.status, trained.outcome.epoch) == ("interrupted", 3)
    assert "stopped on request after epoch 3" in trained.outcome.message
    # Patience that ends with the same epoch has ended the training, too.
    far, settings = GOOD + 1, {"epochs": 40, "learning_rate": 0.05, "patience": 3, "warm_up": 0}
    patient = go(fragile("none"), far, -far, **settings).outcome
    assert (
        go(fragile("none"), far, -far, stop_requested=ask_at(patient.epoch), **settings).outcome
        == patient
    )


def test_patience_of_zero_never_stops():
    far = GOOD + 5
    assert (
        go(fragile("none"), far, -far, epochs=12, learning_rate=0.05, patience=0).outcome.status
        == "completed"
    )


def test_a_warm_up_that_did_not_finish_is_a_warning_with_the_beta_reached():
    trained = go(fragile("none"), GOOD, epochs=3, warm_up=12, beta=2.0)
    assert trained.outcome.status == "completed"
    (warning,) = trained.outcome.warnings
    assert "warm-up had not finished" in warning and "trained at beta = 0.5, not 2" in warning
    assert go(fragile("none"), GOOD, epochs=3, warm_up=3).outcome.warnings == ()


def test_without_validation_data_the_training_bound_chooses_the_best():
    trained = go(fragile("none"), GOOD, epochs=5, learning_rate=0.02)
    bounds = [r["train"]["bound"] for r in trained.history]
    assert [r["validation"] for r in trained.history] == [None] * 5
    assert int(trained.state.best_epoch) == int(np.argmax(bounds)) + 1
    assert float(trained.state.best_bound) == pytest.approx(max(bounds), abs=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1; got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1; got 0"),
        ({"num_samples": 0}, "num_samples must be at least 1; got 0"),
        ({"beta": -1.0}, "beta must be at least 0; got -1.0"),
        ({"beta": float("nan")}, "beta must be at least 0; got nan"),
        ({"patience": -1}, "patience must be at least 0; got -1"),
        (
            {"learning_rate": 0.0},
            r"learning_rate must be positive and finite; got 0.0. 0.001 is a good start",
        ),
        (
            {"optimiser": "adma"},
            "unknown optimiser 'adma' \\(did you mean 'adam'\\?\\); known: adam, adam_norm_grad",
        ),
        ({"learning_rate": float("inf")}, "learning_rate must be positive and finite; got inf"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingOptions(**options)


def test_beta_rises_linearly_and_stays():
    options = dataclasses.replace(TrainingOptions(), beta=4.0, warm_up=5)
    assert [float(options.beta_at(e)) for e in (1, 2, 5, 6, 100)] == pytest.approx(
        [0.8, 1.6, 4, 4, 4]
    )
    assert [TrainingOptions(epochs=e).warm_up for e in (3, 50, 500)] == [
        0,
        10,
        20,
    ]  # a fifth of the epochs, at most 20
    assert float(TrainingOptions(beta=0.5, warm_up=0).beta_at(1)) == 0.5
