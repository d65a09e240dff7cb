"""The convolutional decoder against its formula in float64, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from brute_convolution import gated
from jensen.decoders import decoders
from jensen.likelihoods import likelihoods


def build(event_shape, likelihood=("bernoulli", {}), **options):
    head = likelihoods.build(*likelihood, {"event_shape": event_shape, "data": None})
    return decoders.build(
        "gated_conv", options, {"latent_dim": 2, "likelihood": head, "data": None, "key": jr.key(0)}
    )


@pytest.mark.parametrize(
    ("event_shape", "scale", "groups"),
    [((4, 3), "datum", 2), ((3, 4, 2), "datum", 2), ((3, 4, 2), "shared", 1)],
)
def test_outputs_are_dense_layers_convolutions_and_groups_of_parameters_one_after_the_other(
    x64, event_shape, scale, groups
):
    decoder = build(
        event_shape, ("normal", {"scale": scale}), hidden=(5,), channels=(3, 4), kernels=(3, 2)
    )
    decoder = jax.tree.map(
        lambda leaf: leaf + 0.3 * jr.normal(jr.key(leaf.size), leaf.shape), decoder
    )
    z = jnp.array([0.3, -0.8])
    height, width, *depth = event_shape
    image = np.asarray(decoder.dense(z)).reshape(height, width, 1)
    features = gated(decoder.convolutions.layers, image)
    depth = depth[0] if depth else 1
    expected = np.zeros((groups, height, width, depth))
    for g, r, c, d in np.ndindex(*expected.shape):
        expected[g, r, c, d] = (
            features[r, c] @ np.asarray(decoder.head.weight)[:, g * depth + d]
            + decoder.head.bias[g, r, c, d]
        )
    base = decoder(z).base_dist
    unit, mean = np.asarray(decoder.likelihood.data_scale), np.asarray(decoder.likelihood.data_mean)
    np.testing.assert_allclose(base.loc.ravel(), mean + unit * expected[0].ravel(), atol=1e-12)
    if groups == 2:
        np.testing.assert_allclose(
            base.scale.ravel(), unit * (1e-3 + np.exp(expected[1].ravel())), rtol=1e-12
        )


def test_the_papers_decoder_by_default():
    decoder = build((28, 28))
    assert [layer.weight.shape for layer in decoder.dense.layers] == [(2, 600), (300, 2 * 784)]
    assert [layer.weight.shape for layer in decoder.convolutions.layers] == [(3, 3, 1, 128)] + 3 * [
        (3, 3, 64, 128)
    ]
    assert decoder.head.weight.shape == (64, 1)


@pytest.mark.parametrize(
    ("event_shape", "options", "message"),
    [
        (
            (8, 8),
            {"channels": (3, 4)},
            "channels and kernels need one entry per layer each, at least one; got 2 and 4",
        ),
        ((8, 8), {"channels": (), "kernels": ()}, "at least one; got 0 and 0"),
        ((64,), {}, r"decoder gated_conv needs images.*shape \[64\].*feedforward"),
    ],
)
def test_refusals_name_the_value_and_the_remedy(event_shape, options, message):
    with pytest.raises(ValueError, match=message):
        build(event_shape, **options)


def test_a_likelihood_without_a_fixed_number_of_outputs_per_element_is_refused():
    head = likelihoods.build("bernoulli", {}, {"event_shape": (4, 4), "data": None})
    object.__setattr__(head, "num_outputs", 20)
    with pytest.raises(
        ValueError,
        match=r"the same number of outputs; the likelihood Bernoulli needs 20 for events of shape \[4, 4\]",
    ):
        decoders.build(
            "gated_conv", {}, {"latent_dim": 2, "likelihood": head, "data": None, "key": jr.key(0)}
        )
