"""The optimisers against steps computed by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jensen.training import TrainingOptions
from jensen.training.optimisers import make_optimiser, normalise_each

RATE = 5e-4
RNG = np.random.default_rng(0)
GRADIENTS = [
    {"w": RNG.normal(size=(3, 4)) * 10.0**k, "b": RNG.normal(size=4), "held": np.zeros(2)}
    for k in (-3, 5, 0, 2)
]


def by_hand(gradients, normalise, epsilon=1e-8):
    """The steps of Kingma & Ba 2015, algorithm 1, in NumPy, each tensor's gradient divided by its norm + 1e-7 first if `normalise`."""
    m, v, steps = 0.0, 0.0, []
    for t, gradient in enumerate(gradients, start=1):
        norm = np.sqrt(np.sum(gradient * gradient)) + 1e-7
        g = gradient / norm if normalise else gradient
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        steps.append(-RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + epsilon))
    return steps


@pytest.mark.parametrize("name", ["adam", "adam_norm_grad"])
def test_steps_are_those_computed_by_hand(x64, name):
    optimiser = make_optimiser(name, RATE)
    state = optimiser.init(jax.tree.map(jnp.zeros_like, GRADIENTS[0]))
    expected = {
        leaf: by_hand([g[leaf] for g in GRADIENTS], name == "adam_norm_grad")
        for leaf in GRADIENTS[0]
    }
    for t, gradient in enumerate(GRADIENTS):
        updates, state = optimiser.update(jax.tree.map(jnp.asarray, gradient), state)
        for leaf, update in updates.items():
            np.testing.assert_allclose(update, expected[leaf][t], rtol=1e-10, atol=1e-18)


def test_the_norm_is_right_where_squares_overflow_or_vanish():
    for size in (1e25, 1e-25):
        found = normalise_each().update(
            {"w": jnp.asarray([3 * size, 4 * size], jnp.float32)}, None
        )[0]["w"]
        np.testing.assert_allclose(found, np.array([3, 4]) * size / (5 * size + 1e-7), rtol=1e-6)


def test_what_is_trained_with_is_what_the_options_say(x64):
    """One batch, one epoch: the parameters have moved by the hand-computed step of the gradient there."""
    import equinox as eqx

    from jensen.bounds import ELBO
    from jensen.gradients import Pathwise
    from jensen.training import train
    from jensen.training.program import Objective, batch_loss, batch_of, batches, epoch_keys
    from linear_gaussian import make

    world = make(dimension=3, latent=2, shift=0.3, stretch=1.3)
    data, key = np.asarray(world.data(7, seed=1)), jax.random.key(3)
    moved = {}
    cases: list[tuple[str, dict, float]] = [
        ("adam", {"cool_down": 1}, 0.5),  # the last epoch of a cool-down of one
        ("adam", {"rate_stages": 2}, 0.1),  # the middle of the only epoch lies in the last stage
        ("adam", {"adam_epsilon": 1e-2}, 1.0),
        ("adam", {}, 1.0),
        ("adam_norm_grad", {}, 1.0),
    ]
    options = TrainingOptions(epochs=1, batch_size=7, learning_rate=RATE, warm_up=0)
    before, static = eqx.partition(world.model, eqx.is_inexact_array)
    objective = Objective(static, ELBO(), Pathwise(), make_optimiser("adam", RATE), options, None)
    order, draws = epoch_keys(jax.random.split(key)[0], jnp.asarray(1))
    batch = jax.tree.map(lambda leaf: leaf[0], batch_of(*batches(options, 7, order), draws))
    gradient = jax.jit(
        jax.grad(lambda p: batch_loss(objective, p, jnp.asarray(data), batch, jnp.asarray(1.0))[0])
    )(before)
    g = np.asarray(gradient.encoder.weight)
    for name, changes, share in cases:
        options = TrainingOptions(
            epochs=1, batch_size=7, learning_rate=RATE, warm_up=0, optimiser=name, **changes
        )
        trained = train(
            world.model, data, data[:0], bound=ELBO(), gradient=Pathwise(), options=options, key=key
        )
        moved[name] = trained.state.parameters.encoder.weight - before.encoder.weight
        np.testing.assert_allclose(
            moved[name],
            share * by_hand([g], name == "adam_norm_grad", options.adam_epsilon)[0],
            rtol=1e-9,
        )
    assert not np.array_equal(
        moved["adam"], moved["adam_norm_grad"]
    )  # the floors 1e-7 and 1e-8 tell them apart in the first step


def test_the_learning_rate_falls_over_the_last_epochs():
    options = TrainingOptions(epochs=10, cool_down=3)
    np.testing.assert_allclose([options.rate_at(e) for e in range(6, 11)], [1, 1, 0.75, 0.5, 0.25])
    np.testing.assert_array_equal([TrainingOptions(epochs=10).rate_at(e) for e in range(1, 11)], 1)
    with pytest.raises(ValueError, match="cool_down must be at least 0; got -1"):
        TrainingOptions(cool_down=-1)


def test_the_rate_falls_in_the_stages_of_burda_and_others():
    options = TrainingOptions(epochs=3280, learning_rate=1e-3, rate_stages=8)
    paper = [
        rate
        for i in range(1, 9)
        for rate in [1e-4 * round(10 ** (1 - (i - 1) / 7), 1)] * 3 ** (i - 1)
    ]
    assert len(paper) == 3280
    np.testing.assert_allclose(
        1e-3 * np.asarray(jax.jit(jax.vmap(options.rate_at))(jnp.arange(1, 3281))), paper, rtol=1e-6
    )
    # A tenth: each stage has a tenth of its epochs, but for rounding at its ends.
    tenth = TrainingOptions(epochs=328, rate_stages=8)
    found = np.asarray(jax.vmap(tenth.rate_at)(jnp.arange(1, 329)))
    for rate in sorted(set(paper)):
        assert abs(np.isclose(found, 1e3 * rate).sum() - paper.count(rate) / 10) <= 1
    np.testing.assert_allclose(
        [TrainingOptions(epochs=4, rate_stages=2).rate_at(e) for e in range(1, 5)],
        [1, 0.1, 0.1, 0.1],
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rate_stages": 1}, "rate_stages must be 0 or at least 2.*got rate_stages=1, cool_down=0"),
        (
            {"rate_stages": 8, "cool_down": 3},
            "cannot be combined with a cool_down.*got rate_stages=8, cool_down=3",
        ),
        ({"rate_stages": -1}, "rate_stages must be at least 0; got -1"),
        ({"adam_epsilon": 0.0}, "adam_epsilon must be positive and finite; got 0.0"),
    ],
)
def test_rates_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        TrainingOptions(**wrong)
