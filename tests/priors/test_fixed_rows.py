"""Priors at training rows: the rows stay what they are, travel with the model, and all of them together are the aggregated posterior."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from scipy.special import logsumexp
from scipy.stats import norm

import jensen
from jensen._numerics import mixture_log_density
from jensen._parameters import partition
from jensen.likelihoods import summarise
from jensen.model import Model
from jensen.priors import _pseudo_inputs, priors
from linear_gaussian import LinearEncoder, make

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 17, (30, 4)).astype(np.uint8)
ENCODER = LinearEncoder(RNG.normal(size=(2, 4)), np.zeros(2), np.log([0.4, 0.7]))


def build(name, data, **options):
    return priors.build(name, options, {"data": data, "key": jr.key(1)})


def truth(rows, z):
    loc = rows @ np.asarray(ENCODER.weight).T
    return logsumexp(norm.logpdf(z[:, None], loc, [0.4, 0.7]).sum(-1) - np.log(len(rows)), axis=1)


def test_vamp_data_holds_different_rows_of_the_data_chosen_by_the_key():
    data = summarise(np.arange(120, dtype=np.float32).reshape(30, 4))
    first, second = (
        np.asarray(
            priors.build("vamp_data", {"num_components": 12}, {"data": data, "key": key}).rows
        )
        for key in jr.split(jr.key(0))
    )
    for rows in (first, second):
        np.testing.assert_array_equal(rows, data.rows[(rows[:, 0] / 4).astype(int)])
        assert len(np.unique(rows[:, 0])) == 12
    assert set(first[:, 0]) != set(second[:, 0])
    everything = np.asarray(build("vamp_data", data, num_components=30).rows)
    np.testing.assert_array_equal(everything[everything[:, 0].argsort()], data.rows)


def test_bytes_stay_bytes_and_grey_levels_stand_for_their_means(x64):
    z = 3 * RNG.normal(size=(20, 2))
    for levels in (None, 16):
        prior = build("aggregated", summarise(GREY, levels=levels))
        assert prior.rows.dtype == jnp.uint8
        np.testing.assert_allclose(
            prior(ENCODER).log_prob(jnp.asarray(z)), truth(GREY / (levels or 1), z), rtol=1e-12
        )


def test_all_rows_with_equal_weights_are_the_aggregated_posterior_of_the_surgery(x64):
    world = make(shift=0.3, stretch=1.3)
    x = world.data(50, seed=1)
    z = jnp.asarray(2 * RNG.normal(size=(40, 2)))
    whole = build("vamp_data", summarise(x), num_components=50)(world.model.encoder).log_prob(z)
    aggregated = build("aggregated", summarise(x))(world.model.encoder).log_prob(z)
    np.testing.assert_allclose(whole, aggregated, rtol=1e-12)
    # The log-sum-exp of the surgery is float32 on differences.
    np.testing.assert_allclose(
        aggregated, mixture_log_density(np.asarray(z), *world.q(x)), rtol=1e-6
    )
    model = Model(build("aggregated", summarise(x)), world.model.encoder, world.model.decoder)
    acc = jensen.account(model, x, key=jr.key(0), num_samples=20)
    assert abs(acc.marginal_kl.value) < 1e-6
    assert np.abs(acc.marginal_kl.per_datum).max() < 1e-5
    assert acc.index_information.value > 0.5


def test_encoding_in_blocks_changes_neither_the_density_nor_its_gradient(x64, monkeypatch):
    data, z = summarise(GREY, levels=16), jnp.asarray(3 * RNG.normal(size=(20, 2)))

    def value(encoder):
        return build("aggregated", data)(encoder).log_prob(z).sum()

    found = []
    for block in (7, 30):
        monkeypatch.setattr(_pseudo_inputs, "ENCODE_BLOCK", block)
        found.append(jax.value_and_grad(value)(ENCODER))
    assert float(found[1][0]) == pytest.approx(truth(GREY / 16, np.asarray(z)).sum(), rel=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), *found)
    assert np.abs(found[0][1].weight).min() > 1e-3


def test_memory_grows_with_the_rows_as_bytes_not_with_points_times_rows():
    def needed(rows):
        facts = {"rows": rows, "dtype": "uint8", "lower": 0.0, "upper": 1.0, "levels": None}
        model = jensen.vae(
            (28, 28),
            latent_dim=8,
            network={"name": "dense", "hidden": (64,)},
            data=facts,
            prior="aggregated",
            key=jr.key(0),
        )
        parameters, constants, static = partition(model)

        def total(parameters, constants, z):
            whole = eqx.combine(parameters, constants, static)
            return whole.prior(whole.encoder).log_prob(z).sum()

        z = jnp.zeros((512, 8))
        return np.array(
            [
                jax.jit(f)
                .lower(parameters, constants, z)
                .compile()
                .memory_analysis()
                .temp_size_in_bytes
                for f in (total, jax.grad(total))
            ]
        )

    # A row is 784 bytes. As floats it would be 3136, and its pairs with the points 2048 for each array of them.
    assert (needed(50_000) - needed(25_000) < 25_000 * np.array([1000, 1500])).all()


@pytest.mark.parametrize(
    ("prior", "weights"),
    [
        ({"name": "vamp_data", "num_components": 9, "learn_weights": True}, True),
        ({"name": "vamp_data", "num_components": 9}, False),
        ("aggregated", None),
    ],
)
@pytest.mark.parametrize("kind", ["bytes", "grey", "real"])
def test_a_run_trains_the_model_around_its_rows_and_gives_them_back(tmp_path, prior, weights, kind):
    rows = {
        "bytes": (GREY > 8).astype(np.uint8),
        "grey": GREY,
        "real": RNG.normal(size=(30, 4)).astype(np.float32),
    }[kind]
    other = (GREY[:5] > 8).astype(np.uint8) if kind == "grey" else rows[:5]
    data = jensen.Dataset("rows", rows, other, other, levels=16 if kind == "grey" else None)
    likelihood = "normal" if kind == "real" else "bernoulli"
    model = jensen.vae(
        (4,),
        latent_dim=2,
        network={"name": "dense", "hidden": (3,)},
        likelihood=likelihood,
        prior=prior,
        data=data,
        key=jr.key(0),
    )
    fit = jensen.fit(
        model, data, epochs=3, batch_size=10, key=jr.key(1), out=tmp_path / "run", progress=False
    )
    np.testing.assert_array_equal(fit.last.prior.rows, model.prior.rows)
    assert (np.asarray(fit.last.encoder.head.weight) != np.asarray(model.encoder.head.weight)).any()
    if weights:
        assert np.asarray(fit.last.prior.logits).any()
    loaded = jensen.load(tmp_path / "run").model
    assert jax.tree.structure(loaded) == jax.tree.structure(fit.model)
    assert all(
        np.array_equal(a, b) and a.dtype == b.dtype
        for a, b in zip(jax.tree.leaves(loaded), jax.tree.leaves(fit.model), strict=True)
    )


def test_no_rows_no_prior():
    for data, at_hand in ((None, 0), (replace(summarise(GREY), rows=GREY[:0]), 0)):
        with pytest.raises(
            ValueError,
            match=f"num_components=500 training rows; {at_hand} are available. Pass data=",
        ):
            build("vamp_data", data)
        with pytest.raises(
            ValueError,
            match=r"prior aggregated needs the training rows; none are available. Pass data=",
        ):
            build("aggregated", data)
