"""Families of posteriors from the command line: fit, account, encode, and what is written about q(z)."""

import json

import numpy as np
import pytest

from jensen import cli

SIZE = ["--hidden", "8", "--latent-dim", "2", "--epochs", "1", "--set", "account.num_samples=30", "--set", "account.num_draws=2"]


@pytest.mark.parametrize("encoder", ["full_normal", "student_t", "flow"])
def test_from_fit_to_codes(tmp_path, capsys, encoder):
    run = tmp_path / "run"
    over = ["--set", "account.aggregated_over=100"] if encoder == "flow" else []
    assert cli.run(["fit", "digits", "--out", str(run), "--set", f"encoder.name={encoder}", *over, *SIZE]) == 0
    said = capsys.readouterr().out
    assert ("at most log 100 = 4.61" in said) == (encoder == "flow")
    stored = json.loads((run / "accounts" / "test.json").read_text())
    assert cli.run(["account", str(run), "--json", "--num-draws", "1", "--aggregated-over", "50"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (stored["aggregated_over"], found["aggregated_over"]) == (100 if encoder == "flow" else stored["n"], 50)
    assert found["index_information"]["value"] <= np.log(50)
    assert found["average_kl"]["value"] == pytest.approx(found["index_information"]["value"] + found["marginal_kl"]["value"], abs=1e-9)
    assert cli.run(["encode", str(run), "--out", str(tmp_path / "codes.npz")]) == 0
    codes = np.load(tmp_path / "codes.npz")
    assert codes["mean"].shape == codes["scale"].shape == (found["n"], 2)
    assert (codes["scale"] > 0).all()
    assert cli.run(["fit", "digits", "--out", str(tmp_path / "other"), "--set", f"encoder.name={encoder}", "--gradient", "closed_form_kl", *SIZE]) == (
        0 if encoder == "full_normal" else 2
    )
