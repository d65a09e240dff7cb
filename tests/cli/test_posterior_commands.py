"""Families of posteriors from the command line: fit, account, encode, and what is written about q(z)."""

import json

import numpy as np
import pytest

from jensen import cli

pytestmark = pytest.mark.usefixtures("without_drawing")

SIZE = [
    "--hidden",
    "8",
    "--latent-dim",
    "2",
    "--epochs",
    "1",
    "--set",
    "account.num_samples=30",
    "--set",
    "account.num_draws=2",
]


@pytest.mark.parametrize(
    "encoder",
    [
        pytest.param("full_normal", marks=pytest.mark.slow),
        "student_t",
        pytest.param("flow", marks=pytest.mark.slow),
    ],
)
def test_from_fit_to_codes(tmp_path, capsys, encoder):
    run = tmp_path / "run"
    over = ["--set", "account.aggregated_over=100"] if encoder == "flow" else []
    assert (
        cli.run(
            ["fit", "digits", "--out", str(run), "--set", f"encoder.name={encoder}", *over, *SIZE]
        )
        == 0
    )
    said = capsys.readouterr().out
    assert ("at most log 100 = 4.61" in said) == (encoder == "flow")
    stored = json.loads((run / "accounts" / "test.json").read_text())
    assert (
        cli.run(["account", str(run), "--json", "--num-draws", "1", "--aggregated-over", "50"]) == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert (stored["aggregated_over"], found["aggregated_over"]) == (
        100 if encoder == "flow" else stored["n"],
        50,
    )
    assert found["index_information"]["value"] <= np.log(50)
    assert found["average_kl"]["value"] == pytest.approx(
        found["index_information"]["value"] + found["marginal_kl"]["value"], abs=1e-9
    )
    assert cli.run(["encode", str(run), "--out", str(tmp_path / "codes.npz")]) == 0
    codes = np.load(tmp_path / "codes.npz")
    assert codes["mean"].shape == codes["scale"].shape == (found["n"], 2)
    assert (codes["scale"] > 0).all()
    assert cli.run(
        [
            "fit",
            "digits",
            "--out",
            str(tmp_path / "other"),
            "--set",
            f"encoder.name={encoder}",
            "--gradient",
            "closed_form_kl",
            *SIZE,
        ]
    ) == (0 if encoder == "full_normal" else 2)


def test_the_gaps_from_configuration_and_from_options(tmp_path, capsys):
    run = tmp_path / "run"
    assert cli.run(["fit", "digits", "--out", str(run), "--set", "account.gaps=3", *SIZE]) == 0
    said = capsys.readouterr().out
    assert (
        "- amortisation" in said
        and "diagonal family, on a random 3 of the 360 data" in " ".join(said.split())
    )
    stored = json.loads((run / "accounts" / "test.json").read_text())["gaps"]
    assert (stored["family"], stored["own"], stored["n"], stored["of"]) == (
        "diagonal",
        True,
        3,
        360,
    )
    assert cli.run(["account", str(run), "--json", "--gaps", "5", "--gap-family", "full"]) == 0
    found = json.loads(capsys.readouterr().out)["gaps"]
    assert (found["family"], found["own"], found["n"]) == ("full", False, 5)
    whole = found["approximation_gap"]["value"] + found["amortisation_gap"]["value"]
    assert found["jensen_gap"]["value"] == pytest.approx(whole, abs=1e-9)
    assert cli.run(["account", str(run), "--gaps", "5", "--gap-family", "fulll"]) == 2
    assert "did you mean 'full'?" in capsys.readouterr().err
