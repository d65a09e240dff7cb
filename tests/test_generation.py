"""Samples from a model: of an autoregressive decoder, the means along the samples, in blocks that change nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jensen
from jensen import generation
from jensen.generation import mean_along, posterior_codes, prior_samples
from jensen.reports._probes import decode, reconstruct

PIXEL = {"name": "pixel_cnn", "num_layers": 2, "channels": 4}
DENSE = {"name": "dense", "hidden": (5,)}


@pytest.fixture(scope="module")
def model():
    return jensen.vae((2, 3), latent_dim=2, decoder=PIXEL, network=DENSE, key=jax.random.key(0))


def test_means_are_those_of_each_pixel_given_z_and_the_sample_before_it(model, monkeypatch):
    done = []
    found = prior_samples(model, 50, key=jax.random.key(1), on_progress=lambda *a: done.append(a))
    assert done == [("samples", 50, 50)]
    again = jax.vmap(lambda z, x: mean_along(model, model.decoder(z), x))(
        jnp.asarray(found["z"]), jnp.asarray(found["x"])
    )
    np.testing.assert_allclose(found["mean"], again, atol=1e-6)
    # x_i is 1 with the probability that the mean says: the sum of x - mean over 300 pixels is a martingale of this variance.
    error = np.sqrt((found["mean"] * (1 - found["mean"])).sum())
    assert abs((found["x"] - found["mean"]).sum()) < 5 * error
    monkeypatch.setattr(generation, "AUTOREGRESSIVE_BLOCK", 16)
    done.clear()
    blocks = prior_samples(model, 50, key=jax.random.key(1), on_progress=lambda *a: done.append(a))
    assert done == [("samples", n, 50) for n in (16, 32, 48, 50)]
    np.testing.assert_array_equal(blocks["x"], found["x"])


def test_the_report_decodes_along_the_data_or_along_draws_with_common_noise(model):
    codes = np.asarray([[0.3, -0.2], [0.3, -0.2], [1.5, 0.4]])
    x = np.random.default_rng(0).integers(0, 2, (3, 2, 3)).astype(np.uint8)
    expected = [
        model.decoder(model.encoder(row).mean).conditional_mean(row) for row in jnp.asarray(x)
    ]
    np.testing.assert_allclose(reconstruct(model, x), expected, atol=1e-6)
    drawn = decode(model, codes)
    np.testing.assert_array_equal(drawn[0], drawn[1])
    plain = jensen.vae((2, 3), latent_dim=2, network=DENSE, key=jax.random.key(0))
    np.testing.assert_allclose(
        decode(plain, codes)[2], plain.decoder(jnp.asarray(codes[2], jnp.float32)).mean, atol=1e-6
    )


@pytest.mark.parametrize(
    ("name", "options"), [("bernoulli", {}), ("categorical", {"num_classes": 3})]
)
def test_of_discrete_codes_the_probabilities_and_the_most_probable_code_are_kept_and_reconstructed_from(
    name, options
):
    model = jensen.vae(
        (2, 3),
        latent_dim=4,
        prior=name,
        encoder={"name": name, **options},
        network=DENSE,
        key=jax.random.key(0),
    )
    x = np.random.default_rng(0).integers(0, 2, (7, 2, 3)).astype(np.uint8)
    found = posterior_codes(model, x)
    logits = np.asarray(jax.vmap(lambda row: model.encoder(row).logits)(jnp.asarray(x)))
    if name == "bernoulli":
        probability, code = 1 / (1 + np.exp(-logits)), logits > 0
    else:
        probability = (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)).reshape(7, 12)
        code = np.eye(3)[logits.argmax(-1)].reshape(7, 12)
    np.testing.assert_allclose(found["mean"], probability, rtol=1e-5)
    np.testing.assert_array_equal(found["code"], code)
    expected = [model.decoder(jnp.asarray(row, jnp.float32)).mean for row in code]
    np.testing.assert_allclose(reconstruct(model, x), expected, rtol=1e-5)
    z = prior_samples(model, 300, key=jax.random.key(1))["z"]
    assert set(np.unique(z)) == {0.0, 1.0}
    share = 1 / 2 if name == "bernoulli" else 1 / 3
    assert abs(z.mean() - share) < 5 * np.sqrt(share * (1 - share) / z.size)
