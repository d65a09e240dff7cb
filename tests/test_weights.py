"""The log-weights against a model with known evidence, and their independence of how they are grouped."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from jensen.models.vae import vae
from jensen.weights import (
    LARGEST,
    datum_log_weights,
    draw,
    draw_levels,
    log_weights,
    pairs_at_a_time,
    weigh,
)
from linear_gaussian import make

compiled = eqx.filter_jit(log_weights)


@pytest.mark.parametrize("options", [{}, {"orthogonal": True}, {"shift": 0.3, "stretch": 1.4}])
def test_the_oracle_closes_log_evidence_is_elbo_plus_gap(options):
    truth = make(**options)
    x = truth.data(20, seed=1)
    assert np.abs(truth.log_evidence(x) - truth.elbo(x) - truth.gap(x)).max() < 1e-10
    assert (truth.gap(x) > 1e-3).all() == (options != {"orthogonal": True})


def test_exact_posterior_gives_the_log_evidence_in_every_sample(x64):
    truth = make(orthogonal=True)
    x = truth.data(9, seed=2)
    log_w = np.asarray(compiled(truth.model, x, key=jr.key(0), num_samples=50).tempered())
    assert log_w.shape == (50, 9)
    assert np.abs(log_w - truth.log_evidence(x)).max() < 1e-10


def test_conjugate_linear_regression_gives_the_log_evidence_in_every_sample(x64):
    # Case 1: the regression weights are z and the responses are x; the design's columns are orthogonal, so the posterior is diagonal.
    truth = make(dimension=40, latent=4, s2=2.0, orthogonal=True)
    y = truth.data(3, seed=3)
    log_w = np.asarray(compiled(truth.model, y, key=jr.key(1), num_samples=200).tempered())
    assert np.abs(log_w - truth.log_evidence(y)).max() < 1e-10
    assert log_w.std(axis=0).max() < 1e-10


def test_the_parts_estimate_reconstruction_and_average_kl(x64):
    truth = make(shift=0.2, stretch=1.3)
    x = truth.data(6, seed=4)
    weights = compiled(truth.model, x, key=jr.key(2), num_samples=4000)
    for samples, exact in [
        (weights.log_likelihood, truth.reconstruction(x)),
        (weights.log_posterior - weights.log_prior, truth.average_kl(x)),
        (weights.tempered(), truth.elbo(x)),
        (weights.tempered(4.0), truth.reconstruction(x) - 4 * truth.average_kl(x)),
        (weights.tempered(0.0), truth.reconstruction(x)),
    ]:
        values = np.asarray(samples)
        assert (np.abs(values.mean(0) - exact) < 5 * values.std(0) / np.sqrt(len(values))).all()


def test_importance_sampling_with_a_wide_posterior_finds_the_evidence(x64):
    truth = make(stretch=1.3)
    x = truth.data(4, seed=5)
    ratio = np.exp(
        np.asarray(compiled(truth.model, x, key=jr.key(3), num_samples=20_000).tempered())
        - truth.log_evidence(x)
    )
    assert (np.abs(ratio.mean(0) - 1) < 5 * ratio.std(0) / np.sqrt(len(ratio))).all()
    assert (ratio.std(0) > 0.1).all()


@pytest.fixture(scope="module")
def small_vae():
    x = np.random.default_rng(0).integers(0, 2, (11, 3, 2)).astype(np.uint8)
    return vae(
        (3, 2),
        latent_dim=3,
        prior={"name": "vamp", "num_components": 4},
        network={"name": "dense", "hidden": (7,)},
        key=jr.key(0),
    ), x


def test_a_datums_weights_do_not_depend_on_its_batch(small_vae):
    model, x = small_vae
    key, num_samples = jr.key(4), 5
    together = compiled(model, x, key=key, num_samples=num_samples)
    # Rounding of float32 products of another shape, relative to the terms' size of about 10 nats.
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)  # noqa: E731
    for n in range(len(x)):
        jax.tree.map(
            close,
            compiled(model, x[n : n + 1], key=key, num_samples=num_samples, index=jnp.array([n])),
            jax.tree.map(lambda v: v[:, n : n + 1], together),  # noqa: B023
        )
    order = np.random.default_rng(1).permutation(len(x))
    jax.tree.map(
        close,
        compiled(model, x[order], key=key, num_samples=num_samples, index=jnp.asarray(order)),
        jax.tree.map(lambda v: v[:, order], together),
    )
    assert (
        np.abs(
            np.asarray(together.tempered())[0, 0]
            - np.asarray(
                compiled(
                    model, x[:1], key=key, num_samples=num_samples, index=jnp.array([1])
                ).tempered()
            )[0, 0]
        )
        > 1e-3
    )


def test_more_samples_begin_with_the_fewer(small_vae):
    model, x = small_vae
    few, many = (
        np.asarray(compiled(model, x, key=jr.key(5), num_samples=k).tempered()) for k in (3, 8)
    )
    np.testing.assert_allclose(few, many[:3], rtol=0, atol=2e-5)
    assert len(np.unique(many[:, 0])) == 8
    prior = model.prior(model.encoder)
    key = jr.fold_in(jr.key(5), 2)
    blocked = eqx.filter_jit(datum_log_weights)(
        model, prior, jnp.asarray(x[2]), key, 8, block=3
    ).tempered()
    np.testing.assert_allclose(blocked, many[:, 2], rtol=0, atol=2e-5)


def test_the_exact_number_of_samples_is_drawn_whatever_the_batch_size(small_vae):
    model, x = small_vae
    log_w = np.asarray(compiled(model, x, key=jr.key(6), num_samples=13).tempered())
    assert log_w.shape == (13, 11)
    assert len(np.unique(log_w)) == log_w.size
    with pytest.raises(ValueError, match="num_samples must be at least 1; got 0"):
        log_weights(model, x, key=jr.key(6), num_samples=0)


def test_fewer_pairs_are_decoded_at_a_time_where_a_decoder_makes_large_arrays():
    x = np.zeros((28, 28), np.uint8)
    wide = {"name": "gated_conv", "hidden": (3,), "channels": (32, 32), "kernels": (3, 3)}
    dense, convolutional, autoregressive = (
        vae(
            (28, 28),
            latent_dim=2,
            network={"name": "dense", "hidden": (5,)},
            decoder=d,
            key=jr.key(0),
        )
        for d in ("feedforward", wide, {"name": "pixel_cnn", "num_layers": 2, "channels": 32})
    )
    assert pairs_at_a_time(dense, x, 2048) == 2048
    assert pairs_at_a_time(convolutional, x, 2048) == LARGEST["cpu"] // (
        28 * 28 * 64
    )  # values and gates
    assert pairs_at_a_time(autoregressive, x, 2048) == LARGEST["cpu"] // (28 * 28 * 32)
    assert pairs_at_a_time(convolutional, x, 7) == 7


def test_a_draw_has_its_code_and_the_parts_of_its_log_weight(x64):
    truth = make(orthogonal=True)
    model, x = truth.model, jnp.asarray(truth.data(1, seed=4)[0])
    prior, posterior, key = model.prior(model.encoder), model.encoder(x), jr.key(7)
    drawn = draw(model, prior, posterior, x, key)
    np.testing.assert_array_equal(drawn.z, posterior.sample(key))
    assert drawn.weights.log_prior == prior.log_prob(drawn.z)
    assert drawn.weights.log_posterior == posterior.log_prob(drawn.z)
    # The exact posterior: every log-weight is log p(x).
    evidence = truth.log_evidence(np.asarray(x)[None])[0]
    assert drawn.weights.log_w == pytest.approx(evidence, abs=1e-10)
    assert drawn.weights.tempered() == pytest.approx(evidence, abs=1e-10)
    # Without a distribution that z was drawn from, the log-weight is log p(x, z).
    joint = weigh(model, prior, x, drawn.z)
    assert joint.log_w == joint.log_joint == drawn.weights.log_joint
    levels = draw_levels(model, prior, posterior, x, key)
    np.testing.assert_array_equal(levels.z, drawn.z)
    assert levels.log_likelihood == drawn.weights.log_likelihood
    assert levels.log_priors.shape == (1,) and levels.log_priors[0] == drawn.weights.log_prior


def test_the_draws_of_surgery_are_those_of_importance_sampling(small_vae):
    from jensen.anatomy.elbo_surgery import posterior_draws

    model, x = small_vae
    draws = posterior_draws(model, x, jr.key(8), 3)
    parts = compiled(model, x, key=jr.key(8), num_samples=3)
    np.testing.assert_allclose(draws.log_likelihood, parts.log_likelihood.T, rtol=1e-5)
    np.testing.assert_allclose(draws.log_priors.sum(axis=-1), parts.log_prior.T, rtol=1e-5)
    np.testing.assert_allclose(draws.log_posteriors.sum(axis=-1), parts.log_posterior.T, rtol=1e-4)
