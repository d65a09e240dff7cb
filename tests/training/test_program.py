"""What one epoch does: batches, draws, weights of a short batch, one compilation, values at beta = 1."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import monitoring
from jax import random as jr

from jensen.bounds import ELBO
from jensen.gradients import ClosedFormKL, Pathwise
from jensen.models.vae import vae
from jensen.training import TrainingOptions, train
from jensen.training.program import (
    VALIDATION_BLOCK,
    Objective,
    batch_loss,
    batch_of,
    batches,
    draw_binary,
    epoch_keys,
)
from jensen.training.state import name_leaves
from jensen.weights import log_weights
from linear_gaussian import make


@pytest.mark.parametrize(("n", "batch_size"), [(47, 10), (50, 10), (7, 100), (101, 100), (1, 1)])
def test_an_epoch_visits_every_datum_exactly_once(n, batch_size):
    index, weight = batches(TrainingOptions(batch_size=batch_size), n, jr.key(0))
    weight = np.ones(index.shape) if weight is None else np.asarray(weight)
    assert index.shape == (-(-n // min(batch_size, n)), min(batch_size, n))
    assert (
        np.bincount(np.asarray(index).ravel(), weights=weight.ravel(), minlength=n).tolist()
        == [1] * n
    )
    assert set(np.unique(weight)) <= {0, 1}


def test_the_order_changes_with_the_epoch_and_is_a_function_of_key_and_epoch():
    orders = [
        batches(TrainingOptions(), 300, epoch_keys(jr.key(1), jnp.asarray(epoch))[0])[0]
        for epoch in (1, 2, 1)
    ]
    assert (np.asarray(orders[0]) != np.asarray(orders[1])).mean() > 0.9
    np.testing.assert_array_equal(orders[0], orders[2])


def test_binary_draws_have_the_means_asked_for_and_are_exact_at_the_ends():
    for levels in (16, 255):
        values = np.array([0, 1, levels // 3, levels - 1, levels], np.uint8)
        n = 200_000
        draws = np.asarray(
            jax.jit(draw_binary, static_argnums=2)(
                jr.key(2), jnp.asarray(np.tile(values, (n, 1))), levels
            )
        )
        p = values / levels
        assert draws.dtype == np.uint8
        assert not draws[:, 0].any() and draws[:, -1].all()
        # Probabilities are multiples of 2^-16.
        assert (np.abs(draws.mean(0) - p) <= 5 * np.sqrt(p * (1 - p) / n) + 2.0**-17).all()


def objective_of(model, *, num_samples=3, levels=None, gradient=None):
    parameters, static = eqx.partition(model, eqx.is_inexact_array)
    options = TrainingOptions(num_samples=num_samples)
    return parameters, Objective(
        static, ELBO(), gradient or Pathwise(), optax.adam(1e-3), options, levels
    )


@pytest.fixture
def linear(x64):
    truth = make(dimension=4, latent=2, shift=0.3, stretch=1.3)
    return truth, jnp.asarray(truth.data(13, seed=1))


def test_a_short_batch_has_the_mean_of_its_own_data(linear):
    truth, x = linear
    parameters, objective = objective_of(truth.model)
    loss = jax.jit(
        jax.value_and_grad(
            lambda p, index, weight: batch_loss(
                objective, p, x, batch_of(index, weight, jr.key(3)), jnp.asarray(1.0)
            ),
            has_aux=True,
        )
    )
    rows = jnp.array([5, 2, 9])
    (short, means), gradient = loss(parameters, rows, None)
    padded = jnp.array([5, 2, 9, 0, 0])
    (same, same_means), same_gradient = loss(parameters, padded, jnp.array([1.0, 1, 1, 0, 0]))
    assert (
        float(short)
        == pytest.approx(float(same), abs=1e-12)
        == pytest.approx(-float(means[0]), abs=1e-12)
    )
    np.testing.assert_allclose(means, same_means, atol=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), gradient, same_gradient)


@pytest.mark.parametrize("levels", [None, 16])
def test_a_datums_draws_do_not_depend_on_its_batch(x64, levels):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.integers(0, 17 if levels else 2, (9, 4)).astype(np.uint8))
    model = vae((4,), latent_dim=2, network={"name": "dense", "hidden": (3,)}, key=jr.key(0))
    parameters, objective = objective_of(model, levels=levels)
    means = jax.jit(
        lambda index: batch_loss(
            objective, parameters, x, batch_of(index, None, jr.key(4)), jnp.asarray(1.0)
        )[1]
    )
    one_batch = means(jnp.arange(9))
    alone = [means(jnp.array([i])) for i in (8, 3, 0, 1, 2, 4, 5, 6, 7)]
    # The bound of the whole batch is the mean of the bounds of its data, each with its own draws.
    np.testing.assert_allclose(one_batch, np.mean(alone, axis=0), atol=1e-10)


def test_reported_values_are_at_beta_one_whatever_beta_trains(linear):
    truth, x = linear
    values = VALIDATION_BLOCK + 3
    validation = np.concatenate([np.asarray(x)] * (values // 13 + 1))[:values]
    for gradient in (Pathwise(), ClosedFormKL()):
        # At a learning rate of 1e-12 the model stays where it is, so that the closed forms hold after training.
        options = TrainingOptions(
            epochs=1, batch_size=5, num_samples=200, learning_rate=1e-12, beta=4.0
        )
        record = train(
            truth.model,
            np.asarray(x),
            validation,
            bound=ELBO(),
            gradient=gradient,
            options=options,
            key=jr.key(5),
        ).history[0]
        assert record["beta"] == 4.0
        for split, rows in (("train", np.asarray(x)), ("validation", validation)):
            found = record[split]
            assert found["bound"] == pytest.approx(
                found["reconstruction"] - found["average_kl"], abs=1e-9
            )
            # The error from the spread of log w itself; its two parts are anticorrelated at most.
            log_w = np.asarray(
                eqx.filter_jit(log_weights)(
                    truth.model, rows[:13], key=jr.key(6), num_samples=500
                ).tempered()
            )
            slack = 5 * np.sqrt(log_w.var(0).mean() / (200 * len(rows)))
            assert abs(found["bound"] - truth.elbo(rows).mean()) < slack
            assert abs(found["reconstruction"] - truth.reconstruction(rows).mean()) < 2 * slack
            assert abs(found["average_kl"] - truth.average_kl(rows).mean()) < 2 * slack


def test_the_epochs_means_are_those_over_the_data_whatever_the_batch_size(linear):
    truth, x = linear[0], np.asarray(linear[1])
    found = {}
    for batch_size in (13, 5, 4):  # the last batches have 13, 3 and 1 data
        options = TrainingOptions(
            epochs=1, batch_size=batch_size, num_samples=2, learning_rate=1e-14
        )
        found[batch_size] = train(
            truth.model,
            np.asarray(x),
            np.asarray(x[:0]),
            bound=ELBO(),
            gradient=Pathwise(),
            options=options,
            key=jr.key(5),
        ).history[0]["train"]
    for batch_size in (5, 4):
        assert found[batch_size] == pytest.approx(found[13], abs=1e-10)


def test_grey_values_are_drawn_anew_for_every_datum_and_epoch(x64):
    n, logit = 400, 3.0
    x = jnp.full((n, 1), 8, jnp.uint8)
    model = vae((1,), latent_dim=1, network={"name": "dense", "hidden": (2,)}, key=jr.key(0))
    head = model.decoder.head
    model = eqx.tree_at(
        lambda m: (m.decoder.head.weight, m.decoder.head.bias),
        model,
        (jnp.zeros_like(head.weight), jnp.full(1, logit)),
    )
    parameters, objective = objective_of(model, num_samples=1, levels=16)
    means = [
        float(
            batch_loss(
                objective, parameters, x, batch_of(jnp.arange(n), None, jr.key(k)), jnp.asarray(1.0)
            )[1][1]
        )
        for k in (4, 5)
    ]
    # log p(x) = x l - softplus(l), with x = 0 or 1 with probability 1/2.
    assert all(
        abs(mean - (0.5 * logit - np.logaddexp(0, logit))) < 5 * logit * 0.5 / np.sqrt(n)
        for mean in means
    )
    assert means[0] != means[1]


def test_beta_makes_the_trained_kl_smaller():
    x = np.random.default_rng(3).integers(0, 2, (40, 1)).repeat(6, axis=1).astype(np.uint8)
    model = vae(
        (6,), latent_dim=1, network={"name": "dense", "hidden": (8,)}, data=x, key=jr.key(7)
    )
    kl = {}
    for beta in (1.0, 20.0):
        options = TrainingOptions(
            epochs=200, batch_size=40, num_samples=2, learning_rate=1e-2, beta=beta, patience=0
        )
        kl[beta] = train(
            model, x, x, bound=ELBO(), gradient=Pathwise(), options=options, key=jr.key(8)
        ).history[-1]["validation"]["average_kl"]
    # A coin in six copies: log 2 nats are needed. At beta = 20 the 4.2 nats gained are not worth 20 log 2.
    assert kl[1.0] > 0.5
    assert kl[20.0] < 0.1


def test_training_compiles_its_epoch_once_and_nothing_afterwards():
    x = np.random.default_rng(4).integers(0, 2, (23, 4)).astype(np.uint8)
    compiled, after = [], []

    def listen(event, seconds, **details):
        if event.endswith("backend_compile_duration"):
            compiled.append(details.get("fun_name", ""))

    model = vae((4,), latent_dim=2, network={"name": "dense", "hidden": (3,)}, key=jr.key(9))
    monitoring.register_event_duration_secs_listener(listen)
    try:
        options = TrainingOptions(epochs=5, batch_size=10)
        train(
            model,
            x,
            x[:7],
            bound=ELBO(),
            gradient=Pathwise(),
            options=options,
            key=jr.key(10),
            on_epoch=lambda _: after.append(len(compiled)),
        )
    finally:
        monitoring.unregister_event_duration_listener(listen)
    assert sum("run" in name for name in compiled) == 1
    assert len(after) == 5 and after[1:] == after[:1] * 4


def test_parameters_are_named_by_where_they_are():
    model = vae((4,), latent_dim=2, network={"name": "dense", "hidden": (3,)}, key=jr.key(9))
    names = name_leaves(eqx.filter(model, eqx.is_inexact_array))
    assert names[".decoder.head.bias"] is model.decoder.head.bias
    assert names[".encoder.network.layers[0].weight"] is model.encoder.network.layers[0].weight
