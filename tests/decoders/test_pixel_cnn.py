"""The autoregressive decoder: no pixel sees itself or one after it, and sampling pixel by pixel is the density's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from brute_convolution import convolution, convolutions_in
from jensen.decoders import decoders
from jensen.likelihoods import likelihoods, summarise

Z = np.array([0.7, -1.2])
HEADS = [
    ("bernoulli", {}),
    ("normal", {"scale": "shared"}),
    ("normal", {"scale": "element"}),
    ("normal", {"scale": "datum"}),
]
every_head = pytest.mark.parametrize(
    "likelihood", HEADS, ids=lambda h: "-".join([h[0], *h[1].values()])
)


def build(event_shape, likelihood=("bernoulli", {}), *, data=None, moved=0.4, **options):
    head = likelihoods.build(*likelihood, {"event_shape": event_shape, "data": data})
    options = {"num_layers": 3, "channels": 5} | options
    decoder = decoders.build(
        "pixel_cnn", options, {"latent_dim": 2, "likelihood": head, "data": data, "key": jr.key(0)}
    )
    # Masked taps are moved as well: they must not count.
    parts = {
        name: getattr(decoder, name) for name in ("dense", "weight_z", "weights", "biases", "head")
    }
    for name, part in parts.items():
        object.__setattr__(
            decoder,
            name,
            jax.tree.map(
                lambda leaf: leaf + moved * jr.normal(jr.key(leaf.size), leaf.shape), part
            ),
        )
    return decoder


def before(j, i):
    """Whether pixel j comes before pixel i, both (row, column), in raster order."""
    return j < i


def masked(weight, own):
    weight = np.array(weight)
    middle = len(weight) // 2
    for tap in np.ndindex(weight.shape[:2]):
        if not (before(tap, (middle, middle)) or (own and tap == (middle, middle))):
            weight[tap] = 0
    return weight


def oracle(decoder, x, z):
    """The outputs [groups, H, W, C] by sums over taps, float64."""
    height, width, _ = decoder.data_mean.shape
    seen = (np.asarray(x).reshape(decoder.data_mean.shape) - np.asarray(decoder.data_mean)) / float(
        decoder.data_scale
    )
    from_z = convolution(np.asarray(decoder.dense(z)).reshape(height, width, 1), decoder.weight_z)
    features = np.maximum(
        convolution(seen, masked(decoder.weights[0], False)) + decoder.biases[0] + from_z, 0
    )
    for weight, bias in zip(decoder.weights[1:], decoder.biases[1:], strict=True):
        features = np.maximum(convolution(features, masked(weight, True)) + bias, 0)
    per_pixel = (features @ np.asarray(decoder.head.weight)).reshape(
        height, width, decoder.head.bias.shape[0], -1
    )
    return np.moveaxis(per_pixel, 2, 0) + decoder.head.bias


@pytest.mark.parametrize(("event_shape", "kernel"), [((4, 5), 3), ((5, 4, 2), 3), ((4, 5), 5)])
def test_no_pixel_sees_itself_or_a_later_one_and_each_sees_the_one_before(x64, event_shape, kernel):
    decoder = build(event_shape, ("normal", {"scale": "datum"}), kernel=kernel, channels=12)
    shape = decoder.head.bias.shape  # [2, H, W, C]
    outputs = jax.jit(lambda x: decoder(jnp.asarray(Z)).outputs(x).reshape(shape))
    x = np.random.default_rng(0).normal(size=event_shape)
    base = np.asarray(outputs(x))
    np.testing.assert_allclose(base, oracle(decoder, x, jnp.asarray(Z)), atol=1e-12)
    pixels = list(np.ndindex(event_shape[:2]))
    for number, j in enumerate(pixels):
        changed = x.copy()
        changed[j] += 0.1
        found = np.asarray(outputs(changed))
        for i in pixels[: number + 1]:
            assert (found[:, *i] == base[:, *i]).all(), (j, i)
        if number + 1 < len(pixels) and j[1] + 1 < event_shape[1]:
            assert (found[:, *pixels[number + 1]] != base[:, *pixels[number + 1]]).any(), j


@every_head
def test_log_prob_is_the_sum_of_conditionals_given_the_pixels_before(x64, likelihood):
    decoder = build((3, 4), likelihood)
    p = decoder(jnp.asarray(Z))
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 4)) if likelihood[0] == "normal" else rng.integers(0, 2, (3, 4))
    conditionals, outputs = 0.0, jax.jit(lambda x: p.outputs(x))
    for i in range(12):
        unknown = x.ravel().copy()
        unknown[i:] = rng.integers(
            0, 2, 12 - i
        )  # whatever stands at the pixels that are not yet drawn
        q = decoder.likelihood(outputs(unknown.reshape(3, 4)))
        if likelihood[0] == "normal":
            conditionals += float(q.base_dist.log_prob(x).ravel()[i])
        else:
            m = float(q.mean.ravel()[i])
            conditionals += np.log(m if x.ravel()[i] else 1 - m)
    assert float(p.log_prob(jnp.asarray(x))) == pytest.approx(conditionals, abs=1e-12)


@every_head
@pytest.mark.parametrize("event_shape", [(3, 4), (4, 3, 2)])
def test_a_sample_is_what_the_conditionals_along_it_draw_with_its_key(x64, likelihood, event_shape):
    """Pixel by pixel from kept features, and all at once from the finished image, are the same computation."""
    rng = np.random.default_rng(2)
    rows = (
        rng.normal(3, 2, (40, *event_shape))
        if likelihood[0] == "normal"
        else rng.integers(0, 2, (40, *event_shape)).astype(np.uint8)
    )
    p = build(
        event_shape,
        likelihood,
        data=summarise(rows),
        kernel=5 if len(event_shape) == 2 else 3,
        moved=0.1,
    )(jnp.asarray(Z))
    samples = jax.jit(lambda key: p.sample(key, (2, 3)))(jr.key(3))
    assert samples.shape == (2, 3, *event_shape)
    again = jax.vmap(lambda x, key: p._conditionals(x).sample(key))(
        samples.reshape(6, *event_shape), jr.split(jr.key(3), 6)
    )
    np.testing.assert_allclose(samples.reshape(again.shape), again, rtol=1e-10)
    assert len(np.unique(np.asarray(samples).reshape(6, -1), axis=0)) == 6
    np.testing.assert_allclose(
        jax.jit(lambda key: p.sample(key))(jr.split(jr.key(3), 6)[4]), samples[1, 1], rtol=1e-12
    )


def test_every_pixel_sees_all_of_the_image_of_z_that_its_kernel_covers(x64):
    decoder = build((5, 5), num_layers=1)
    image = jnp.asarray(np.random.default_rng(3).normal(size=(5, 5, 1)))
    x = jnp.zeros((5, 5))
    jacobian = jax.jacobian(
        lambda image: (
            type(decoder(jnp.asarray(Z)))(decoder, _from_z(decoder, image)).outputs(x).reshape(5, 5)
        )
    )(image)[..., 0]
    reached = np.argwhere(np.asarray(jacobian)[2, 2] != 0)
    assert reached.tolist() == [[r, c] for r in (1, 2, 3) for c in (1, 2, 3)]


def _from_z(decoder, image):
    return jax.lax.conv_general_dilated(
        image[None], decoder.weight_z, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )[0]


def test_for_many_codes_of_one_datum_its_own_convolution_is_done_once():
    decoder = build((4, 4))
    program = jax.make_jaxpr(jax.vmap(lambda z: decoder(z).log_prob(jnp.ones((4, 4)))))(
        jnp.ones((9, 2))
    )
    batches = [e.invars[0].aval.shape[0] for e in convolutions_in(program)]
    assert sorted(batches) == [1, 9, 9, 9]  # x; z; the two further layers


def test_the_published_size_by_default_and_weights_drawn_for_the_taps_there_are():
    head = likelihoods.build("bernoulli", {}, {"event_shape": (28, 28), "data": None})
    decoder = decoders.build(
        "pixel_cnn", {}, {"latent_dim": 4, "likelihood": head, "data": None, "key": jr.key(4)}
    )
    assert [w.shape for w in decoder.weights] == [(3, 3, 1, 64)] + 7 * [(3, 3, 64, 64)]
    assert decoder.dense.layers[0].weight.shape == (4, 2 * 784)
    weight = np.asarray(decoder.weights[1], np.float64).reshape(9, 64, 64)
    assert not weight[5:].any()
    squares = weight[:5].ravel() ** 2 * (5 * 64 / 2)
    assert abs(squares.mean() - 1) < 5 * squares.std() / np.sqrt(squares.size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"kernel": 4},
            "kernel must be odd and at least 3; got 4. An even kernel has no middle tap",
        ),
        ({"kernel": 1}, "at least 3; got 1.*sees no pixel before its own. Use 3 or 5"),
        ({"num_layers": 0}, "num_layers and channels must be at least 1; got 0 and 5"),
        ({"channels": 0}, "got 3 and 0"),
    ],
)
def test_refusals_name_the_value_and_the_reason(options, message):
    with pytest.raises(ValueError, match=message):
        build((4, 4), **options)
    with pytest.raises(ValueError, match=r"decoder pixel_cnn needs images.*shape \[16\]"):
        build((16,))
