"""Bits per dimension: one division, the same wherever it is shown, and only for likelihoods that are reported so."""

import json
import math

import jax
import numpy as np
import pytest

import jensen
from jensen import cli
from jensen.anatomy import Account, account
from jensen.anatomy.bits import bits_record, dimensions_in_bits, in_bits

BYTES = np.random.default_rng(0).integers(0, 256, (40, 3, 2)).astype(np.uint8)


def model_of(likelihood, rows):
    return jensen.vae(
        rows.shape[1:],
        latent_dim=2,
        likelihood=likelihood,
        network={"name": "dense", "hidden": [4]},
        data=rows,
        key=jax.random.key(0),
    )


def test_a_uniform_byte_has_eight_bits():
    assert in_bits(-math.log(256), 1) == pytest.approx(8, abs=1e-12)
    found = bits_record(
        {"elbo": {"value": -12 * math.log(2), "standard_error": 6 * math.log(2)}}, 6
    )
    assert found["elbo"]["value"] == pytest.approx(2)
    assert found["elbo"]["standard_error"] == pytest.approx(1)
    assert "lower is better" in found["unit"]


def test_only_likelihoods_reported_in_bits_have_dimensions():
    binary = BYTES % 2
    assert dimensions_in_bits(model_of("discretized_logistic", BYTES)) == 6
    assert dimensions_in_bits(model_of("categorical", BYTES // 64)) == 6
    assert [
        dimensions_in_bits(model_of(name, binary))
        for name in ("bernoulli", "normal", "poisson", "continuous_bernoulli")
    ] == [None] * 4


def test_the_account_says_it_in_table_and_json_and_survives_storage():
    found = account(
        model_of("discretized_logistic", BYTES),
        BYTES,
        key=jax.random.key(1),
        num_samples=200,
        num_draws=2,
    )
    assert found.evidence.bound == ""
    bits = found.to_json()["bits_per_dimension"]
    for name in ("evidence", "elbo"):
        assert bits[name]["value"] == pytest.approx(
            -found.line(name).value / (6 * math.log(2)), rel=1e-12
        )
        assert bits[name]["standard_error"] == pytest.approx(
            found.line(name).standard_error / (6 * math.log(2)), rel=1e-12
        )
        assert f"{bits[name]['value']:.4f}" in str(found)
    again = Account.from_json(found.to_json(), found.arrays())
    assert again.to_json() == found.to_json() and str(again) == str(found)
    plain = account(
        model_of("poisson", BYTES), BYTES, key=jax.random.key(1), num_samples=30, num_draws=2
    )
    assert "bits_per_dimension" not in plain.to_json() and "bits" not in str(plain)


@pytest.mark.slow
def test_from_bytes_on_disk_to_bits_on_the_page(tmp_path, capsys):
    # Two equally likely bytes: no model can go below 1 bit per dimension.
    rng = np.random.default_rng(1)
    np.save(tmp_path / "grey.npy", (40 + 100 * rng.integers(0, 2, (60, 3, 2))).astype(np.uint8))
    run = tmp_path / "run"
    quick = [
        "--epochs",
        "3",
        "--hidden",
        "8",
        "--latent-dim",
        "2",
        "--set",
        "account.num_samples=30",
        "--set",
        "account.num_draws=2",
    ]
    vamp = ["--prior", "vamp", "--set", "prior.num_components=4"]
    assert (
        cli.run(
            [
                "fit",
                str(tmp_path / "grey.npy"),
                "--likelihood",
                "discretized_logistic",
                "--out",
                str(run),
                "--json",
                *quick,
                *vamp,
            ]
        )
        == 0
    )
    stored = json.loads(capsys.readouterr().out)["account"]["bits_per_dimension"]
    assert (
        1
        < stored["evidence"]["value"]
        <= stored["elbo"]["value"] + 3 * stored["elbo"]["standard_error"]
    )
    assert f"{stored['elbo']['value']:.4f}" in (run / "report.html").read_text()
    assert cli.run(["evidence", str(run), "--num-samples", "30", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bits_per_dimension"]["evidence"]["value"] == pytest.approx(
        -found["value"] / (6 * math.log(2))
    )
    assert cli.run(["evidence", str(run), "--num-samples", "30"]) == 0
    assert (
        f"= {found['bits_per_dimension']['evidence']['value']:.4f} +- " in capsys.readouterr().out
    )
    assert cli.run(["sample", str(run), "--num-samples", "4"]) == 0
    with np.load(run / "samples.npz") as drawn:
        assert drawn["x"].dtype == np.uint8 and 40 < drawn["mean"].mean() < 140
    pseudo = np.asarray(jensen.load(run).model.prior.pseudo_inputs)
    assert pseudo.min() > 0 and 1 < pseudo.max() < 255


@pytest.mark.slow
def test_counts_are_fitted_from_the_command_line(tmp_path, capsys):
    # One datum is 1,000 times the others: an exponential link alone overflows in the first steps.
    rows = np.random.default_rng(2).poisson(5, (60, 4))
    rows[30] = 5000
    np.save(tmp_path / "counts.npy", rows)
    quick = [
        "--epochs",
        "3",
        "--hidden",
        "8",
        "--latent-dim",
        "2",
        "--set",
        "account.num_samples=30",
        "--set",
        "account.num_draws=2",
    ]
    for name, options in (
        ("poisson", []),
        (
            "negative_binomial",
            ["--set", "likelihood.dispersion=datum", "--set", "encoder.input_transform=log1p"],
        ),
    ):
        out = str(tmp_path / name)
        assert (
            cli.run(
                [
                    "fit",
                    str(tmp_path / "counts.npy"),
                    "--likelihood",
                    name,
                    "--out",
                    out,
                    "--json",
                    *quick,
                    *options,
                ]
            )
            == 0
        )
        assert np.isfinite(json.loads(capsys.readouterr().out)["account"]["elbo"]["value"])
