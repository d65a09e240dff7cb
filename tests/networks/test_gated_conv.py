"""Convolutions against the sums they are, and the convolutional network of encoders."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from brute_convolution import convolution, convolutions_in, gated
from jensen.likelihoods import summarise
from jensen.models.vae import vae
from jensen.networks import Convolution, networks
from jensen.networks._convolution import convolve

SMALL = {"channels": (3, 4, 2), "kernels": (3, 2, 1), "strides": (1, 2, 1)}


def build(event_shape, **options):
    return networks.build(
        "gated_conv",
        options,
        {"in_size": int(np.prod(event_shape)), "event_shape": event_shape, "key": jr.key(0)},
    )


def moved(network):
    """Biases that are not zero."""
    return jax.tree.map(lambda leaf: leaf + 0.3 * jr.normal(jr.key(leaf.size), leaf.shape), network)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_convolution_is_its_sum_and_so_are_its_gradients(x64, kernel, stride):
    image, weight = jr.normal(jr.key(1), (6, 5, 2)), jr.normal(jr.key(2), (kernel, kernel, 2, 3))
    expected = convolution(image, weight, stride)
    np.testing.assert_allclose(convolve(image, weight, stride), expected, atol=1e-12)
    # It is linear in each argument: <g, conv(x, w)> = <grad_x, x> = <grad_w, w>.
    g = jr.normal(jr.key(3), expected.shape)
    of_image, of_weight = jax.grad(lambda x, w: jnp.sum(g * convolve(x, w, stride)), (0, 1))(
        image, weight
    )
    total = np.sum(np.asarray(g) * expected)
    assert float(jnp.sum(of_image * image)) == pytest.approx(total, abs=1e-11)
    assert float(jnp.sum(of_weight * weight)) == pytest.approx(total, abs=1e-11)
    # Forward derivatives, derivatives of each datum within a batch, and second derivatives are those of the sum as well.
    _, out_dot = jax.jvp(lambda x, w: convolve(x, w, stride), (image, weight), (image, weight))
    np.testing.assert_allclose(out_dot, 2 * expected, atol=1e-12)
    per_datum = jax.vmap(jax.grad(lambda w, x: jnp.sum(g * convolve(x, w, stride))), (None, 0))(
        weight, jnp.stack([image, 2 * image])
    )
    np.testing.assert_allclose(per_datum, [of_weight, 2 * of_weight], atol=1e-11)
    mixed = jax.jacfwd(
        lambda c: jax.grad(lambda w: jnp.sum(g * convolve(c * image, w, stride)))(weight)
    )(2.0)
    np.testing.assert_allclose(mixed, of_weight, atol=1e-11)


@pytest.mark.parametrize("event_shape", [(6, 5), (6, 5, 1), (5, 6, 3)])
def test_the_network_is_its_gated_layers_one_after_the_other(x64, event_shape):
    network = moved(build(event_shape, **SMALL))
    x = jr.normal(jr.key(4), event_shape)
    expected = gated(network.layers, np.asarray(x).reshape(*event_shape[:2], -1))
    np.testing.assert_allclose(network(x.ravel()), expected.ravel(), atol=1e-12)
    assert network.out_size == expected.size


def test_the_papers_layers_give_294_features_of_a_28x28_image():
    network = build((28, 28))
    assert network.out_size == 294
    assert [layer.weight.shape for layer in network.layers] == [
        (7, 7, 1, 64),
        (3, 3, 32, 64),
        (5, 5, 32, 128),
        (3, 3, 64, 128),
        (3, 3, 64, 12),
    ]
    assert [layer.stride for layer in network.layers] == [1, 2, 1, 2, 1]


def test_weights_are_drawn_with_variance_two_over_fan_in():
    weight = np.asarray(Convolution(16, 64, kernel=5, key=jr.key(5)).weight, np.float64)
    squares = weight**2 * (25 * 16 / 2)
    assert abs(squares.mean() - 1) < 5 * squares.std() / np.sqrt(squares.size)
    assert abs(weight.mean()) < 5 * weight.std() / np.sqrt(weight.size)
    assert abs((squares**2).mean() - 3) < 5 * (squares**2).std() / np.sqrt(
        squares.size
    )  # the fourth moment of a normal


def test_data_and_samples_merge_into_one_convolution_per_layer_and_one_for_each_gradient():
    network = build((8, 8), **SMALL)
    x = jnp.ones((5, 7, 64))

    def loss(network):
        return jax.vmap(jax.vmap(network))(x).sum()

    forward = convolutions_in(jax.make_jaxpr(loss)(network))
    assert [e.invars[0].aval.shape[0] for e in forward] == [
        35,
        35,
    ]  # the third layer's kernel is 1: a plain product
    both = convolutions_in(jax.make_jaxpr(jax.grad(loss))(network))
    assert len(both) == 2 + 2 + 1  # forward, weights, and the input of the second layer
    # In the layout for which XLA has a fast path in loops on CPUs: images NHWC, kernels HWIO.
    for e in both:
        d = e.params["dimension_numbers"]
        assert (d.lhs_spec, d.rhs_spec, d.out_spec) == ((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
        assert e.params["batch_group_count"] == e.params["feature_group_count"] == 1


@pytest.mark.parametrize(
    ("event_shape", "options", "message"),
    [
        ((8, 8), {"channels": (3, 4)}, "one entry per layer each; got 2, 5, 5"),
        (
            (8, 8),
            {"channels": (3,), "kernels": (3,), "strides": (0,)},
            "of at least 1; got 1 -> 6, 3, 0",
        ),
        (
            (8, 8),
            {"channels": (0,), "kernels": (3,), "strides": (1,)},
            "of at least 1; got 1 -> 0, 3, 1",
        ),
        (
            (64,),
            {},
            r"network gated_conv needs images.*channels last.*shape \[64\]. Use dense networks",
        ),
        ((2, 2, 2, 2), {}, r"shape \[2, 2, 2, 2\]"),
    ],
)
def test_refusals_name_the_value_and_the_remedy(event_shape, options, message):
    with pytest.raises(ValueError, match=message):
        build(event_shape, **options)


def test_a_latent_code_is_no_image_and_the_refusal_says_where_the_network_goes():
    options = {"event_shape": (8, 8), "latent_dim": 3, "key": jr.key(0)}
    with pytest.raises(
        ValueError,
        match=r"images of 64 numbers, and was asked to read 3 .*"
        r'encoder_network="gated_conv".*decoder="gated_conv"',
    ):
        vae(**options, network="gated_conv")
    model = vae(**options, encoder_network={"name": "gated_conv", **SMALL})
    assert model.encoder.network.out_size == 4 * 4 * 2


def test_the_encoder_shows_it_the_image_in_standard_units(x64):
    rows = 5 + 3 * np.random.default_rng(0).normal(size=(50, 6, 4))
    model = vae(
        (6, 4),
        latent_dim=2,
        likelihood="normal",
        encoder_network={"name": "gated_conv", **SMALL},
        data=rows,
        key=jr.key(6),
    )
    x = (rows[0] - rows.mean(0)) / summarise(rows).input_scale
    features = gated(model.encoder.network.layers, x[..., None]).ravel()
    expected = features @ np.asarray(model.encoder.head.weight)
    np.testing.assert_allclose(
        model.encoder(jnp.asarray(rows[0])).mean, expected[:2], atol=1e-5
    )  # the moments are stored as float32
    assert summarise(rows).input_scale == pytest.approx(
        np.sqrt((rows.std(0) ** 2).mean()), rel=1e-6
    )
    assert summarise((rows > 5).astype(np.uint8)).input_scale == 1
    assert summarise((10 * (rows > 5)).astype(np.uint8), levels=16).input_scale == 1
