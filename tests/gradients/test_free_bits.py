"""Free bits: the objective and its gradient by hand; what is reported stays the bound; latents without a KL by dimension are refused."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

import jensen
from jensen import cli
from jensen.bounds import ELBO
from jensen.encoders import AbstractEncoder
from jensen.gradients import ClosedFormKL, FreeBits
from jensen.model import Model
from jensen.models.hvae import hvae
from jensen.models.vae import vae
from jensen.priors import StandardNormal
from linear_gaussian import LinearDecoder, LinearEncoder, make

SMALL = {"network": {"name": "dense", "hidden": (4,)}}


def kl(mean, scale):
    return 0.5 * (mean**2 + scale**2 - 1 - 2 * np.log(scale))


def hand_made(weight=((1.0,), (0.1,)), scale=(0.5, 0.9)):
    """q(z|x) = N((x, x / 10), diag(.5^2, .9^2)) and p(x|z) = N(z1 + 2 z2, 1)."""
    encoder = LinearEncoder(jnp.asarray(weight), jnp.zeros(2), jnp.log(jnp.asarray(scale)))
    return Model(
        StandardNormal(2),
        encoder,
        LinearDecoder(jnp.array([[1.0, 2.0]]), jnp.zeros(1), jnp.zeros(())),
    )


def surrogate(model, floor, x, *, beta=1.0, estimator=None):
    estimator = estimator or FreeBits(floor=floor)
    return estimator.surrogate(
        ELBO(),
        model,
        model.prior(model.encoder),
        jnp.asarray(x),
        jr.key(0),
        num_samples=3,
        beta=beta,
    )


def test_the_objective_is_that_computed_by_hand_and_the_bound_is_reported(x64):
    # KL of the dimensions: (.25 - 1 - 2 log .5 + 1) / 2 = .8181 and (.81 - 1 - 2 log .9 + .01) / 2 = .0154.
    kls = kl(np.array([1.0, 0.1]), np.array([0.5, 0.9]))
    assert kls == pytest.approx([0.818147, 0.015361], abs=1e-6)
    for floor, charged in [(0.0, kls.sum()), (0.01, kls.sum()), (0.5, kls[0] + 0.5), (2.0, 4.0)]:
        found = surrogate(hand_made(), floor, [1.0], beta=3.0)
        assert float(found.surrogate) == pytest.approx(
            float(found.reconstruction) - 3 * charged, abs=1e-12
        )
        assert float(found.average_kl) == pytest.approx(kls.sum(), abs=1e-12)
        assert float(found.bound) == pytest.approx(
            float(found.reconstruction) - kls.sum(), abs=1e-12
        )
    z = np.stack(
        [
            np.asarray(hand_made().encoder(jnp.ones(1)).sample(jr.fold_in(jr.key(0), s)))
            for s in range(3)
        ]
    )
    by_hand = np.mean(-0.5 * (1 - z @ [1, 2]) ** 2 - 0.5 * np.log(2 * np.pi))
    assert float(found.reconstruction) == pytest.approx(by_hand, abs=1e-12)


def test_the_gradient_charges_dimensions_above_the_floor_and_no_others(x64):
    def by_encoder(floor, beta):
        gradient = eqx.filter_grad(
            lambda model: surrogate(model, floor, [1.0], beta=beta).surrogate
        )(hand_made())
        return np.asarray(gradient.encoder.bias), np.asarray(gradient.encoder.log_scale)

    means, log_scales = (
        np.asarray(a) - b for a, b in zip(by_encoder(0.5, 3.0), by_encoder(0.5, 0.0), strict=True)
    )
    # d KL / d mean = mean, d KL / d log s = s^2 - 1; the second dimension's KL of .015 is below the floor.
    np.testing.assert_allclose(means, [-3 * 1.0, 0], atol=1e-12)
    np.testing.assert_allclose(log_scales, [-3 * (0.25 - 1), 0], atol=1e-12)
    means, log_scales = (
        np.asarray(a) - b for a, b in zip(by_encoder(0.01, 3.0), by_encoder(0.01, 0.0), strict=True)
    )
    np.testing.assert_allclose(means, [-3 * 1.0, -3 * 0.1], atol=1e-12)
    np.testing.assert_allclose(log_scales, [-3 * (0.25 - 1), -3 * (0.81 - 1)], atol=1e-12)


def test_a_collapsed_dimension_gets_no_kl_gradient(x64):
    model = hand_made(weight=((1.0,), (0.0,)), scale=(0.5, 1.0))  # q(z2|x) = p(z2)

    def of_beta(beta):
        return eqx.filter_grad(lambda model: surrogate(model, 0.125, [1.0], beta=beta).surrogate)(
            model
        ).encoder

    at_zero, at_ten = of_beta(0.0), of_beta(10.0)
    for name in ("weight", "bias", "log_scale"):
        np.testing.assert_array_equal(getattr(at_zero, name)[1], getattr(at_ten, name)[1])
        assert not np.array_equal(getattr(at_zero, name)[0], getattr(at_ten, name)[0])


def test_at_floor_zero_it_is_closed_form_kl_exactly():
    model = vae((3,), latent_dim=2, key=jr.key(0), **SMALL)
    x = jnp.array([0.0, 1.0, 1.0])

    def value_and_gradient(estimator):
        value = eqx.filter_jit(
            lambda model: surrogate(model, 0.0, x, beta=0.7, estimator=estimator)
        )(model)
        gradient = eqx.filter_jit(
            eqx.filter_grad(
                lambda model: surrogate(model, 0.0, x, beta=0.7, estimator=estimator).surrogate
            )
        )(model)
        return jax.tree.leaves((value, eqx.filter(gradient, eqx.is_inexact_array)))

    for ours, theirs in zip(
        value_and_gradient(FreeBits(floor=0.0)), value_and_gradient(ClosedFormKL()), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_datum_is_charged_whatever_else_is_in_the_batch(x64):
    # One datum with much KL and one with none: the mean over the batch (.83) would be above the floor for both.
    truth, x = hand_made(), jnp.array([[1.8], [0.0]])
    model = eqx.tree_at(lambda m: m.encoder.log_scale, truth, jnp.zeros(2))
    together = jax.vmap(lambda row: surrogate(model, 0.5, row).surrogate)(x)
    np.testing.assert_allclose(
        together, [float(surrogate(model, 0.5, row).surrogate) for row in x], atol=1e-12
    )
    charged = np.asarray(
        jax.vmap(lambda row: surrogate(model, 0.5, row))(x).reconstruction - together
    )
    np.testing.assert_allclose(charged, [kl(1.8, 1.0) + 0.5, 1.0], atol=1e-12)


class FullCovariance(AbstractEncoder):
    """A posterior that is no product over dimensions."""

    dim: int = eqx.field(static=True)

    def __call__(self, x):
        return dist.MultivariateNormal(
            jnp.zeros(self.dim), scale_tril=jnp.tril(jnp.ones((self.dim, self.dim)))
        )


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        (
            {"name": "mixture", "num_components": 3},
            "no per-dimension KL: the mixture prior is no product over dimensions. Use --prior standard_normal",
        ),
        (
            {"name": "vamp", "num_components": 3},
            "no per-dimension KL: the vamp prior is no product",
        ),
        (
            {"name": "flow", "num_layers": 1, "hidden": 4},
            "no per-dimension KL: the flow prior is no product",
        ),
    ],
)
def test_priors_without_a_kl_by_dimension_are_refused(prior, message):
    with pytest.raises(ValueError, match=message):
        FreeBits().check(ELBO(), vae((3,), latent_dim=2, prior=prior, key=jr.key(0), **SMALL), 1)


def test_posteriors_without_one_several_levels_and_other_bounds_are_refused():
    with pytest.raises(
        ValueError,
        match=r"in a model of several levels the KLs of the lower levels depend on the draws above them. Use --model vae",
    ):
        FreeBits().check(
            ELBO(),
            hvae(
                (3,), latent_dim=(2, 2), network={"name": "dense", "hidden": (4, 4)}, key=jr.key(0)
            ),
            1,
        )
    made = make(dimension=4, latent=2).model
    by_hand = Model(made.prior, FullCovariance(2), made.decoder)
    with pytest.raises(
        ValueError,
        match=r"the posterior of the FullCovariance encoder is no product over dimensions. Use --set encoder.name=diagonal_normal",
    ):
        surrogate(by_hand, 0.1, np.zeros(4, np.float32))
    with pytest.raises(
        ValueError, match="valid for the elbo only: the IWAE bound is not an average of log w"
    ):
        FreeBits().check(jensen.bounds.IWAE(), made, 1)
    with pytest.raises(ValueError, match="num_samples must be at least 1; got 0"):
        FreeBits().check(ELBO(), made, 0)
    for floor in (-0.1, float("nan"), float("inf")):
        with pytest.raises(
            ValueError, match="floor must be finite and at least 0, nats per latent dimension; got"
        ):
            FreeBits(floor=floor)


def test_it_keeps_dimensions_in_use_that_the_bound_switches_off():
    # One coin in two copies: the bound at beta = 4 switches the code off, the floor leaves it its nats.
    x = np.random.default_rng(3).integers(0, 2, (60, 1)).repeat(2, axis=1).astype(np.uint8)
    kept = {}
    for floor in (0.0, 0.5):
        model = vae((2,), latent_dim=1, data=x, key=jr.key(7), **SMALL)
        options = {
            "epochs": 150,
            "batch_size": 60,
            "learning_rate": 2e-2,
            "beta": 4.0,
            "patience": 0,
        }
        fit = jensen.fit(
            model, x, gradient=FreeBits(floor=floor), key=jr.key(8), progress=False, **options
        )
        kept[floor] = fit.history[-1]["train"]["average_kl"]
    assert kept[0.0] < 0.02
    assert 0.4 < kept[0.5] < 0.6


@pytest.mark.usefixtures("without_drawing")
def test_record_progress_account_and_report_say_what_was_trained(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = [
        "--gradient",
        "free_bits",
        "--set",
        "gradient.floor=0.25",
        "--epochs",
        "2",
        "--hidden",
        "8",
        "--set",
        "account.num_samples=10",
    ]
    assert cli.run(["fit", "digits", *arguments, "--out", "run"]) == 0
    found = capsys.readouterr()
    said = "free bits, E log p(x|z) - beta sum_j max(0.25, KL_j), not the bound; reported is the ELBO at beta = 1"
    assert f"training {said}\n" in found.err
    assert f"Training: the objective was {said}." in " ".join(found.out.split())
    run = jensen.load("run")
    assert (
        run.objective
        == said
        == json.loads((tmp_path / "run" / "run.json").read_text())["objective"]
    )
    assert f"Objective: {said}." in (tmp_path / "run" / "report.html").read_text()
    history = run.history[-1]["train"]
    assert history["bound"] == pytest.approx(
        history["reconstruction"] - history["average_kl"], abs=1e-4
    )
    assert (
        cli.run(
            [
                "fit",
                "digits",
                "--epochs",
                "1",
                "--hidden",
                "8",
                "--set",
                "account.num_samples=10",
                "--out",
                "other",
            ]
        )
        == 0
    )
    assert jensen.load("other").objective == ""
    assert (
        "free bits"
        not in capsys.readouterr().err + (tmp_path / "other" / "report.html").read_text()
    )
    assert (
        cli.run(["fit", "digits", "--gradient", "free_bits", "--prior", "vamp", "--out", "refused"])
        == 2
    )
    assert "the vamp prior is no product over dimensions" in capsys.readouterr().err
    assert not (tmp_path / "refused").exists()
