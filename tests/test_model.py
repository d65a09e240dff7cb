"""Models from names: what is built is what was asked for, can be built again, and wrong requests are refused with a remedy."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

from jensen.datasets import Dataset
from jensen.model import Recipe
from jensen.models import build_model, resolve_choice
from jensen.models.vae import vae
from jensen.priors import priors
from jensen.weights import log_weights
from user_code import PRIOR

SMALL = {"latent_dim": 2, "network": {"name": "dense", "hidden": (4,)}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_dim": 0}, "latent_dim must be at least 1; got 0"),
        ({"latent_dim": -3}, "latent_dim must be at least 1; got -3"),
        ({"event_shape": ()}, r"at least one axis.*got \(\). For single numbers use \(1,\)"),
        ({"event_shape": (4, 0)}, r"length 1 or more; got \(4, 0\)"),
        ({"prior": "vmap"}, r"unknown prior 'vmap' \(did you mean 'vamp'\?\)"),
        (
            {"likelihood": "bernouli"},
            r"unknown likelihood 'bernouli' \(did you mean 'bernoulli'\?\)",
        ),
        ({"encoder": "convolutional"}, "unknown encoder 'convolutional'.*known: .*diagonal_normal"),
        (
            {"prior": {"name": "vamp", "components": 3}},
            r"prior 'vamp' has no option 'components' \(did you mean 'num_components'\?\)",
        ),
        (
            {"prior": {"num_components": 3}},
            "a prior given as a mapping needs a 'name'.*Known: aggregated, bernoulli, categorical, flow, mixture, ",
        ),
        (
            {"prior": {"name": "mixture", "num_components": 0}},
            "num_components must be at least 1; got 0",
        ),
        (
            {"likelihood": {"name": "normal", "scale": "shard"}},
            r"scale must be one of shared, element, datum; got 'shard' \(did you mean 'shared'\?\)",
        ),
        (
            {"network": {"name": "dense", "activation": "rel"}},
            r"activation must be one of relu, .*; got 'rel' \(did you mean 'relu'\?\)",
        ),
        (
            {"network": {"name": "dense", "hidden": (5, 0)}},
            "every layer needs a width of at least 1; got 5 -> 0",
        ),
        (
            {"network": {"name": "gated_dense", "hidden": (0,)}},
            "every layer needs a width of at least 1",
        ),
        (
            {"encoder": {"name": "diagonal_normal", "max_log_scale": -1.0}},
            "max_log_scale must be positive; got -1.0",
        ),
        (
            {"decoder": "pixel_cnn", "event_shape": (4, 4), "decoder_network": "dense"},
            "decoder_network has nothing to do: the decoder 'pixel_cnn' takes no",
        ),
        ({"decoder_network": "dens"}, r"unknown network 'dens' \(did you mean 'dense'\?\)"),
        (
            {"data": np.zeros((7, 3), np.uint8)},
            r"event_shape \(4,\) disagrees with the data's \(3,\)",
        ),
    ],
)
def test_wrong_requests_are_refused_with_value_and_remedy(options, message):
    arguments = SMALL | {"event_shape": (4,), "key": jr.key(0)} | options
    with pytest.raises(ValueError, match=message):
        vae(arguments.pop("event_shape"), **arguments)


@pytest.mark.parametrize(
    "prior",
    [
        "standard_normal",
        {"name": "mixture", "num_components": 3},
        {"name": "vamp", "num_components": 3, "learn_weights": True},
    ],
)
@pytest.mark.parametrize("likelihood", ["bernoulli", {"name": "normal", "scale": "datum"}])
@pytest.mark.parametrize("network", ["dense", "gated_dense"])
def test_the_recipe_builds_the_same_model_again(prior, likelihood, network):
    model = vae(
        (2, 2),
        latent_dim=3,
        prior=prior,
        likelihood=likelihood,
        network={"name": network, "hidden": (5, 4)},
        key=jr.key(1),
    )
    again = build_model(model.recipe.values, data=None, key=jr.key(1))
    assert jax.tree.structure(model) == jax.tree.structure(again)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(jax.tree.leaves(model), jax.tree.leaves(again), strict=True)
    )
    other = build_model(model.recipe.values | {"latent_dim": 4}, data=None, key=jr.key(1))
    assert model.recipe == again.recipe != other.recipe
    assert hash(model.recipe) == hash(again.recipe)


def test_encoder_and_decoder_may_have_networks_of_their_own():
    own = {
        "encoder_network": {"name": "gated_dense", "hidden": (3,)},
        "decoder_network": {"name": "dense", "hidden": (6, 7)},
    }
    for names in (
        ("encoder_network",),
        ("decoder_network",),
        ("encoder_network", "decoder_network"),
    ):
        model = vae((4,), **SMALL, **{n: own[n] for n in names}, key=jr.key(1))
        assert model.encoder.network.out_size == (3 if "encoder_network" in names else 4)
        assert model.decoder.network.out_size == (7 if "decoder_network" in names else 4)
        assert {n for n in model.recipe.values if n.endswith("_network")} == set(names)
        again = build_model(model.recipe.values, key=jr.key(1))
        assert jax.tree.structure(model) == jax.tree.structure(again)
        assert all(
            np.array_equal(a, b)
            for a, b in zip(jax.tree.leaves(model), jax.tree.leaves(again), strict=True)
        )


def test_the_recipe_holds_every_option_as_plain_values():
    values = vae((4,), **SMALL, prior="vamp", key=jr.key(0)).recipe.values
    start = {
        "initialise": "random",
        "initial_mean": None,
        "initial_spread": None,
        "onto_range": "sigmoid",
    }
    assert (
        values["prior"] == {"name": "vamp", "num_components": 500, "learn_weights": False} | start
    )
    assert values["network"] == {"name": "dense", "hidden": [4], "activation": "relu"}
    assert (values["event_shape"], values["latent_dim"]) == ([4], 2)
    assert Recipe(values) != values
    assert resolve_choice(priors, {"name": "vamp", "num_components": 2})[1]["num_components"] == 2


def test_a_prior_from_a_users_file_enters_the_evidence(tmp_path):
    path = tmp_path / "shifted.py"
    path.write_text(PRIOR)
    x = np.random.default_rng(0).integers(0, 2, (3, 4)).astype(np.uint8)
    plain, shifted = (
        vae((4,), **SMALL, prior=p, key=jr.key(2))
        for p in ("standard_normal", {"name": str(path), "by": 2.0})
    )
    a, b = (log_weights(m, x, key=jr.key(3), num_samples=6) for m in (plain, shifted))
    np.testing.assert_array_equal(
        a.log_likelihood, b.log_likelihood
    )  # the prior's key is not shared with the other parts

    # z comes from the encoder: log N(z; 2, I) - log N(z; 0, I) = 2 sum z - 4.
    def draws(row, n):
        return jax.vmap(
            lambda s: plain.encoder(row).sample(jr.fold_in(jr.fold_in(jr.key(3), n), s))
        )(jnp.arange(6))

    z = jax.vmap(draws)(jnp.asarray(x), jnp.arange(3))
    np.testing.assert_allclose(
        b.log_prior - a.log_prior, 2 * np.asarray(z).sum(-1).T - 4, atol=1e-5
    )
    assert shifted.recipe.values["prior"] == {"name": str(path), "by": 2.0}


def test_data_as_array_data_set_or_grey_levels_set_the_first_biases():
    rng = np.random.default_rng(1)
    rows = rng.integers(0, 2, (60, 4)).astype(np.uint8)
    grey = rng.integers(0, 17, (60, 4)).astype(np.uint8)
    binary = vae((4,), **SMALL, data=rows, key=jr.key(4))
    as_set = vae((4,), **SMALL, data=Dataset("a", rows, rows[:0], rows), key=jr.key(4))
    drawn = vae(
        (4,), **SMALL, data=Dataset("b", grey, rows[:5], rows[:5], levels=16), key=jr.key(4)
    )
    logit = lambda p: np.log(p / (1 - p))  # noqa: E731
    np.testing.assert_allclose(binary.decoder.head.bias, logit(rows.mean(0)), rtol=1e-5)
    np.testing.assert_array_equal(binary.decoder.head.bias, as_set.decoder.head.bias)
    np.testing.assert_allclose(drawn.decoder.head.bias, logit(grey.mean(0) / 16), rtol=1e-5)


def test_the_encoder_sees_real_data_in_standard_units():
    rows = (1e4 + 300 * np.random.default_rng(2).normal(size=(80, 4))).astype(np.float32)
    model = vae(
        (4,),
        latent_dim=2,
        likelihood="normal",
        network={"name": "dense", "hidden": ()},
        data=rows,
        key=jr.key(5),
    )
    q = jax.vmap(model.encoder)(jnp.asarray(rows))
    standardised = (rows - rows.mean(0, dtype=np.float64)) / np.sqrt(
        rows.var(0, dtype=np.float64).mean()
    )
    expected = standardised @ np.asarray(model.encoder.head.weight)
    # 1e4 in float32 is good to 5e-4, that is 2e-6 of a standard deviation.
    np.testing.assert_allclose(q.base_dist.loc, expected[:, :2], atol=5e-5)
    assert 0.1 < float(np.std(np.asarray(q.base_dist.loc))) < 10


def test_encoder_scales_are_bounded_as_asked():
    model = vae(
        (4,), **SMALL, encoder={"name": "diagonal_normal", "max_log_scale": 2.0}, key=jr.key(6)
    )
    far = eqx.tree_at(lambda m: m.encoder.head.bias, model, jnp.array([0.0, 0.0, 500.0, -500.0]))
    np.testing.assert_allclose(
        far.encoder(jnp.zeros(4)).base_dist.scale, np.exp([2.0, -2.0]), rtol=1e-6
    )
