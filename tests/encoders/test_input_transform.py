"""What the encoder's network is shown: centred and scaled data, or the same of log(1 + x)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from jensen.encoders import encoders
from jensen.likelihoods import summarise
from jensen.networks import AbstractNetwork

RNG = np.random.default_rng(0)
COUNTS = RNG.negative_binomial(0.5, [0.3, 0.01, 0.001], size=(400, 3)).astype(np.float32)


class Shown(AbstractNetwork):
    """Hands its input on, so that a head of known weights shows it."""

    out_size: int = 3

    def __call__(self, x):
        return x


def build(rows, levels=None, **options):
    context = {
        "event_shape": (3,),
        "latent_dim": 2,
        "network": lambda size, key: Shown(),
        "data": summarise(rows, levels=levels),
        "key": jr.key(0),
    }
    return encoders.build("diagonal_normal", options, context)


def test_log1p_inputs_are_centred_of_unit_scale_and_what_the_posterior_sees():
    encoder = build(COUNTS, input_transform="log1p")
    seen = (np.log1p(COUNTS) - np.asarray(encoder.data_mean)) / float(encoder.data_scale)
    np.testing.assert_allclose(seen.mean(0), 0, atol=1e-5)
    assert np.mean(seen.std(0) ** 2) == pytest.approx(1, rel=1e-4)
    x = COUNTS[7]
    loc = seen[7] @ np.asarray(encoder.head.weight)[:, :2]
    np.testing.assert_allclose(encoder(jnp.asarray(x)).mean, loc, rtol=1e-4, atol=1e-5)
    plain = build(COUNTS)
    loc = (
        (x - COUNTS.mean(0))
        / np.sqrt(np.mean(COUNTS.std(0) ** 2))
        @ np.asarray(plain.head.weight)[:, :2]
    )
    np.testing.assert_allclose(plain(jnp.asarray(x)).mean, loc, rtol=1e-4, atol=1e-5)


def test_log1p_is_smooth_below_zero_where_pseudo_inputs_may_wander():
    encoder = build(COUNTS, input_transform="log1p")
    slopes = jax.jacobian(lambda x: encoder(x).mean)(jnp.array([-5.0, -0.5, 0.5]))
    expected = (
        np.asarray(encoder.head.weight)[:, :2].T
        / np.array([6.0, 1.5, 1.5])
        / float(encoder.data_scale)
    )
    np.testing.assert_allclose(slopes, expected, rtol=1e-4)


def test_log1p_of_bernoulli_means_is_that_of_their_draws():
    grey = np.array([[0, 4, 16], [16, 4, 16]], np.uint8)
    encoder = build(grey, levels=16, input_transform="log1p")
    np.testing.assert_allclose(encoder.data_mean, np.log(2) * np.array([0.5, 0.25, 1.0]), rtol=1e-6)


def test_log1p_of_negative_data_is_refused_with_the_remedy():
    with pytest.raises(
        ValueError,
        match=r"log1p is for values from 0 up; the data's smallest is -3.*encoder\.input_transform=none",
    ):
        build(COUNTS - 3, input_transform="log1p")
