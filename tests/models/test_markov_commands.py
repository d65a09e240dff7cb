"""A Markov chain of latent variables from the command line: every command that reads a run knows its levels."""

import json

import numpy as np
import pytest

from jensen import cli

SMALL = [
    "--hidden",
    "6,5",
    "--epochs",
    "2",
    "--set",
    "account.num_samples=5",
    "--set",
    "account.num_draws=2",
]


@pytest.mark.slow
def test_commands_know_the_levels_of_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        assert cli.run([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    fitted = call("fit", "digits", "--model", "markov", "--latent-dim", "3,2", *SMALL)
    assert fitted["run"] == "runs/digits-markov"
    account = fitted["account"]
    kl = {
        name: account[name]["value"] for name in ("average_kl", "index_information", "marginal_kl")
    }
    np.testing.assert_allclose(
        kl["average_kl"], kl["index_information"] + kl["marginal_kl"], atol=1e-9
    )
    assert (
        account["latent_dim"] == 3 and "kl_z1" not in account and "joint_information" not in account
    )
    page = (tmp_path / "runs/digits-markov/report.html").read_text()
    assert "I(n; z)" in page and "KL of z1" not in page
    again = call("account", "runs/digits-markov")
    assert again["average_kl"] == account["average_kl"]
    call("sample", "runs/digits-markov", "--num-samples", "4")
    with np.load("runs/digits-markov/samples.npz") as drawn:
        assert (drawn["z1"].shape, drawn["z2"].shape, drawn["x"].shape) == (
            (4, 3),
            (4, 2),
            (4, 8, 8),
        )
    assert call("encode", "runs/digits-markov")["latent_dim"] == 3
    same = call("compare", "runs/digits-markov", "runs/digits-markov")
    assert (
        same["marginal_kl"]["difference"] == 0
        and same["marginal_kl"]["first"] == account["marginal_kl"]["value"]
    )
    call("fit", "--resume", "runs/digits-markov", "--epochs", "3")
    assert (
        cli.run(["reproduce", "prior-ladder", "--run", "runs/digits-markov", "--out", "ladder"])
        == 2
    )
    assert "no q(z_L|x) in closed form" in capsys.readouterr().err
    epochs = [
        json.loads(line)["epoch"]
        for line in (tmp_path / "runs/digits-markov/metrics.jsonl").read_text().splitlines()
    ]
    assert epochs == [1, 2, 3]
