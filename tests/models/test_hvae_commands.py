"""A model of two levels from the command line: every command that reads a run knows its levels."""

import json

import numpy as np

from command_line import undrawn
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


def test_commands_know_the_levels_of_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        assert cli.run([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    fitted = call("fit", "digits", "--model", "hvae", "--latent-dim", "3,2", *SMALL)
    assert fitted["run"] == "runs/digits-hvae"
    account = fitted["account"]
    kl = {
        name: account[name]["value"]
        for name in ("kl_z1", "kl_z2", "average_kl", "index_information", "marginal_kl")
    }
    np.testing.assert_allclose(kl["average_kl"], kl["kl_z1"] + kl["kl_z2"], atol=1e-9)
    np.testing.assert_allclose(kl["kl_z2"], kl["index_information"] + kl["marginal_kl"], atol=1e-9)
    assert (account["latent_dim"], account["joint_information"]["n"]) == (2, 360)
    page = (tmp_path / "runs/digits-hvae/report.html").read_text()
    assert (
        "KL of z1" in page
        and "I(n; z2)" in page
        and "of all levels together, on 360 of the data" in page
    )
    again = call("account", "runs/digits-hvae")
    assert again["kl_z1"] == account["kl_z1"]
    call("sample", "runs/digits-hvae", "--num-samples", "4")
    with np.load("runs/digits-hvae/samples.npz") as drawn:
        assert (drawn["z1"].shape, drawn["z2"].shape, drawn["x"].shape) == (
            (4, 3),
            (4, 2),
            (4, 8, 8),
        )
    assert call("encode", "runs/digits-hvae")["latent_dim"] == 2
    same = call("compare", "runs/digits-hvae", "runs/digits-hvae")
    assert same["kl_z1"]["difference"] == 0 and same["kl_z1"]["first"] == account["kl_z1"]["value"]
    with undrawn():  # the page was drawn above
        call("fit", "--resume", "runs/digits-hvae", "--epochs", "3")
    epochs = [
        json.loads(line)["epoch"]
        for line in (tmp_path / "runs/digits-hvae/metrics.jsonl").read_text().splitlines()
    ]
    assert epochs == [1, 2, 3]
