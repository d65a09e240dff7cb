"""A new prior on a frozen encoder: what is won is marginal KL, the optimum is known, and nothing else moves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

import jensen
from jensen.model import Model
from jensen.priors import Mixture, StandardNormal
from linear_gaussian import make

OPTIONS = {"key": jr.key(0), "progress": False}


def assert_only_the_prior_differs(after, before):
    for part in ("encoder", "decoder"):
        ours, theirs = getattr(after, part), getattr(before, part)
        assert jax.tree.structure(ours) == jax.tree.structure(theirs)
        assert all(
            np.array_equal(a, b)
            for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
        )


def test_one_normal_becomes_the_moment_match_of_the_aggregated_posterior():
    world = make(shift=0.7, stretch=1.5)
    x = world.data(400, seed=1).astype(np.float32)
    data = jensen.Dataset("linear", x, x[:0], x[:1])
    model = jax.tree.map(lambda a: a.astype(jnp.float32), world.model)
    prior = Mixture(2, key=jr.key(1), num_components=1)
    options = OPTIONS | {"batch_size": 400, "num_samples": 100}
    first = jensen.refit_prior(model, prior, data, epochs=150, learning_rate=0.05, **options)
    fit = jensen.refit_prior(
        first.model, first.model.prior, data, epochs=60, learning_rate=0.003, **options
    )
    loc, scale = world.q(x)
    mean, variance = loc.mean(0), (loc**2 + scale**2).mean(0) - loc.mean(0) ** 2
    # A gradient step of 40,000 draws errs by 1/200 of a standard deviation; Adam at .003 averages over hundreds of them.
    np.testing.assert_allclose(fit.last.prior.loc[0], mean, atol=0.01 * np.sqrt(variance).min())
    np.testing.assert_allclose(np.exp(2 * fit.last.prior.log_scale[0]), variance, rtol=0.02)
    # At the optimum, E log p(z) is minus the entropy of the matched normal; it is quadratic in the error.
    bound = (
        -0.5 * np.log(2 * np.pi * np.e * variance).sum()
        + np.log(scale * np.sqrt(2 * np.pi * np.e)).sum(1).mean()
    )
    assert abs(fit.history[-1]["train"]["bound"] - bound) < 5 * 0.01
    assert np.abs(np.asarray(prior.loc[0]) - mean).max() > 0.3
    assert_only_the_prior_differs(fit.model, model)
    assert fit.model.recipe is None


def binary(rows=300):
    rng = np.random.default_rng(0)
    return (rng.random((rows, 6)) < np.where(rng.random((rows, 1)) > 0.5, 0.9, 0.1)).astype(
        np.uint8
    )


def small_model(data):
    """With little weight on the KL, so that its codes are far from N(0, I)."""
    model = jensen.vae(
        (6,), latent_dim=2, network={"name": "dense", "hidden": (16,)}, data=data, key=jr.key(2)
    )
    return jensen.fit(
        model,
        data,
        epochs=30,
        beta=0.05,
        warm_up=0,
        learning_rate=0.01,
        key=jr.key(3),
        progress=False,
    ).model


@pytest.mark.parametrize("levels", [None, 4])
@pytest.mark.parametrize(
    "prior",
    [
        {"name": "vamp", "num_components": 8, "initialise": "data"},
        {"name": "mixture", "num_components": 8},
    ],
)
def test_marginal_kl_falls_and_every_other_line_of_the_account_stays(prior, levels):
    x = binary()
    data = jensen.Dataset("binary", x[:200] * (levels or 1), x[200:250], x[250:], levels=levels)
    model = small_model(data)
    fit = jensen.refit_prior(model, prior, data, epochs=60, learning_rate=0.02, **OPTIONS)
    assert_only_the_prior_differs(fit.model, model)
    assert fit.model.recipe.values["prior"]["name"] == prior["name"]
    assert fit.model.recipe.values["prior"]["num_components"] == 8
    before, after = (
        jensen.account(m, data.split("train"), key=jr.key(4), num_samples=20, num_draws=20)
        for m in (model, fit.model)
    )
    for line in ("reconstruction", "index_information", "entropy"):  # on the same draws
        assert after.line(line).value == pytest.approx(before.line(line).value, abs=1e-9)
    # What training reports is minus the average KL of the account, from one draw per datum instead of 20; the prior still moves a little in the last epoch.
    error = np.sqrt(20) * after.average_kl.standard_error
    assert abs(fit.history[-1]["train"]["bound"] + after.average_kl.value) < 5 * error + 0.05
    won = before.marginal_kl.value - after.marginal_kl.value
    assert won > 0.5 * before.marginal_kl.value > 0.1
    assert after.elbo.value - before.elbo.value == pytest.approx(won, abs=1e-9)


def test_the_decoder_is_never_called_and_known_data_are_encoded_once_in_all(monkeypatch):
    x = binary(60)
    data = jensen.Dataset("binary", x[:40], x[40:50], x[50:])
    model = small_model(data)
    encoded, decoded = [], []
    encode, decode = type(model.encoder).__call__, type(model.decoder).__call__
    monkeypatch.setattr(
        type(model.encoder),
        "__call__",
        lambda self, x: (jax.debug.callback(lambda _: encoded.append(1), x), encode(self, x))[1],
    )
    monkeypatch.setattr(
        type(model.decoder), "__call__", lambda self, z: (decoded.append(1), decode(self, z))[1]
    )
    jensen.refit_prior(model, {"name": "mixture", "num_components": 3}, data, epochs=5, **OPTIONS)
    jax.effects_barrier()
    assert len(encoded) == 40 + 10
    assert not decoded


def test_a_prior_with_nothing_to_train_is_put_in_place():
    x = binary(60)
    data = jensen.Dataset("binary", x[:40], x[40:50], x[50:])
    model = small_model(data)
    fit = jensen.refit_prior(model, "aggregated", data, **OPTIONS)
    assert (fit.outcome.status, fit.outcome.epoch, fit.history) == ("completed", 0, [])
    assert (
        abs(jensen.account(fit.model, data.train, key=jr.key(4), num_samples=20).marginal_kl.value)
        < 1e-5
    )
    assert_only_the_prior_differs(fit.model, model)
    assert fit.model.recipe.values["prior"] == {"name": "aggregated"}


def test_refusals():
    x = binary(60)
    model = small_model(x)
    with pytest.raises(
        ValueError, match=r"refit_prior has no option 'beta'; its training options: epochs, "
    ):
        jensen.refit_prior(model, "mixture", x, beta=2.0, **OPTIONS)
    with pytest.raises(ValueError, match=r"data of shape \(6,\).*rows of shape \(5,\)"):
        jensen.refit_prior(model, "mixture", x[:, :5], **OPTIONS)
    by_hand = Model(StandardNormal(2), model.encoder, model.decoder)
    with pytest.raises(
        ValueError,
        match=r"put together by hand, so that no prior 'vamp' can be built for it; give refit_prior the prior itself",
    ):
        jensen.refit_prior(by_hand, "vamp", x, **OPTIONS)
