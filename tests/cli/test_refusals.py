"""Wrong input: exit code 2, what to do instead, and nothing written."""

import re

import pytest

from command_line import call
from jensen import cli


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit"], "name the data"),
        (["fit", "digit"], r"digit.*did you mean 'digits'"),
        (["fit", "digits", "--prior", "vmap"], "unknown prior 'vmap'.*did you mean 'vamp'"),
        (["fit", "digits", "--likelihood", "bernouli"], "did you mean 'bernoulli'"),
        (["fit", "digits", "--bound", "elb"], "did you mean 'elbo'"),
        (
            ["fit", "digits", "--gradient", "closed_form_kl", "--bound", "iwae"],
            "closed_form_kl: the IWAE bound is not an average of log w.*--gradient pathwise",
        ),
        (["fit", "digits", "--latent-dim", "0"], "latent-dim.*got .0"),
        (["fit", "digits", "--hidden", "a,b"], "--hidden wants widths"),
        (["fit", "digits", "--batch-size", "0"], "batch_size must be at least 1; got 0"),
        (
            ["fit", "digits", "--set", "prior.num_components=200"],
            "prior.num_components does not exist for the prior 'standard_normal'",
        ),
        (["fit", "digits", "--checkpoint", "3"], "--checkpoint goes with --resume"),
        (["fit", "digits", "--config", "nowhere.toml"], "no such configuration file"),
        (["account", "nowhere"], "no run at nowhere"),
        (["evidence", "PLAIN", "--num-samples", "1"], "num_samples must be at least 2.*got 1"),
        (["evidence", "PLAIN", "--estimator", "importanc"], "did you mean 'importance'"),
        (
            ["evidence", "PLAIN", "--num-samples", "9", "--out", "values.txt"],
            r"ends in .npz or .csv",
        ),
        (["account", "PLAIN", "--split", "testing"], "unknown split 'testing'"),
        (["account", "PLAIN", "--frobnicate"], "No such option"),
        (["accont"], "No such command"),
    ],
)
def test_wrong_input_exits_with_2_and_says_what_to_do(
    plain, capsys, tmp_path, monkeypatch, arguments, message
):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *[str(plain) if a == "PLAIN" else a for a in arguments])
    assert code == 2
    assert re.search(message, " ".join(err.split())), err
    assert out == ""
    assert not list(tmp_path.iterdir())  # nothing was written before the checks had passed


def test_a_traceback_is_shown_with_debug_only(capsys):
    assert "Traceback" not in call(capsys, "account", "nowhere")[2]
    with pytest.raises(ValueError, match="no run at nowhere"):
        cli.run(["account", "nowhere", "--debug"])
