"""Laws of every member of the decoders room: whatever the way from z, p(x|z) is a distribution over events of the right shape."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from jensen.decoders import decoders
from jensen.likelihoods import likelihoods, summarise
from jensen.networks.dense import Dense

SMALL = {
    "feedforward": {},
    "gated_conv": {"hidden": (5,), "channels": (3, 4), "kernels": (3, 2)},
    "pixel_cnn": {"num_layers": 3, "channels": 5},
}
every_decoder = pytest.mark.parametrize("name", decoders.names())


def network(in_size, *, key):
    return Dense(in_size, key=key, hidden=(6,))


def build(name, event_shape=(2, 3), *, likelihood=("bernoulli", {}), data=None):
    """A decoder as far from its start as training could take it: every trained parameter is moved by a normal draw."""
    head = likelihoods.build(*likelihood, {"event_shape": event_shape, "data": data})
    decoder = decoders.build(
        name,
        SMALL[name],
        {"latent_dim": 2, "likelihood": head, "network": network, "data": data, "key": jr.key(0)},
    )
    leaves, structure = jax.tree.flatten(eqx.filter(decoder, eqx.is_inexact_array))
    moved = [
        0.4 * jr.normal(key, leaf.shape)
        for key, leaf in zip(jr.split(jr.key(1), len(leaves)), leaves)
    ]
    return eqx.apply_updates(decoder, jax.tree.unflatten(structure, moved))


IMAGES = np.asarray(list(itertools.product([0, 1], repeat=6)), np.uint8).reshape(64, 2, 3)
Z = (0.7, -1.2)


@every_decoder
def test_probabilities_of_all_images_sum_to_one_and_samples_have_them(x64, name):
    p = build(name)(jnp.asarray(Z))
    probability = np.exp(np.asarray(jax.jit(jax.vmap(p.log_prob))(jnp.asarray(IMAGES))))
    assert probability.sum() == pytest.approx(1, abs=1e-12)
    n = 40_000
    samples = np.asarray(jax.jit(lambda key: p.sample(key, (n,)))(jr.key(2))).reshape(n, 6)
    counts = np.bincount(samples.astype(int) @ 2 ** np.arange(5, -1, -1), minlength=64)
    error = np.sqrt(n * probability * (1 - probability))
    assert (np.abs(counts - n * probability) < 5 * error + 1).all()
    assert ((counts - n * probability) ** 2 / (n * probability)).sum() < 63 + 5 * np.sqrt(
        2 * 63
    )  # chi-squared with 63 degrees of freedom


@every_decoder
def test_the_code_matters_and_the_mean_or_the_means_along_an_image_are_those_of_the_distribution(
    x64, name
):
    decoder = build(name)
    one, other = decoder(jnp.asarray(Z)), decoder(-jnp.asarray(Z))
    assert (
        abs(float(one.log_prob(jnp.asarray(IMAGES[21])) - other.log_prob(jnp.asarray(IMAGES[21]))))
        > 0.01
    )
    probability = np.exp(np.asarray(jax.jit(jax.vmap(one.log_prob))(jnp.asarray(IMAGES))))
    mean = (probability[:, None] * IMAGES.reshape(64, 6)).sum(0)
    if not decoder.autoregressive:
        np.testing.assert_allclose(np.asarray(one.mean).ravel(), mean, atol=1e-12)
        return
    assert not hasattr(one, "mean")
    along = np.asarray(jax.vmap(one.conditional_mean)(jnp.asarray(IMAGES))).reshape(64, 6)
    np.testing.assert_allclose(
        (probability[:, None] * along).sum(0), mean, atol=1e-12
    )  # E E[x_i | x_<i] = E x_i
    for i in range(6):  # p(x_i = 1 | x_<i) is a ratio of sums of the joint probabilities
        same = (IMAGES.reshape(64, 6)[:, None, :i] == IMAGES.reshape(64, 6)[None, :, :i]).all(-1)
        conditional = same @ (probability * IMAGES.reshape(64, 6)[:, i]) / (same @ probability)
        np.testing.assert_allclose(along[:, i], conditional, atol=1e-11)


@every_decoder
@pytest.mark.parametrize(
    "likelihood",
    [("bernoulli", {}), ("normal", {"scale": "shared"}), ("normal", {"scale": "datum"})],
)
@pytest.mark.parametrize("event_shape", [(3, 4), (4, 3, 2)])
def test_with_no_weights_before_them_the_last_biases_are_the_best_constant_guess(
    name, likelihood, event_shape
):
    rng = np.random.default_rng(0)
    rows = (
        rng.normal(3, 2, (60, *event_shape))
        if likelihood[0] == "normal"
        else (rng.random((60, *event_shape)) < rng.random(event_shape)).astype(np.uint8)
    )
    head = likelihoods.build(*likelihood, {"event_shape": event_shape, "data": summarise(rows)})
    context = {
        "latent_dim": 2,
        "likelihood": head,
        "network": network,
        "data": summarise(rows),
        "key": jr.key(3),
    }
    decoder = decoders.build(name, SMALL[name], context)
    decoder = eqx.tree_at(lambda d: d.head.weight, decoder, replace_fn=jnp.zeros_like)
    p = decoder(jnp.asarray(Z, jnp.float32))
    mean = p.conditional_mean(jnp.asarray(rows[0])) if decoder.autoregressive else p.mean
    np.testing.assert_allclose(
        mean,
        np.clip(rows.mean(0), 0.001, 0.999) if likelihood[0] == "bernoulli" else rows.mean(0),
        rtol=1e-4,
    )


def test_every_member_has_its_laws_tested():
    assert set(SMALL) == set(decoders.names())
