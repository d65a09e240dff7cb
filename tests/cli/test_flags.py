"""Every flag reaches what it names."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import jensen
from jensen import cli

pytestmark = pytest.mark.usefixtures("without_drawing")

SIZE = [
    "--hidden",
    "8",
    "--latent-dim",
    "2",
    "--set",
    "account.num_samples=30",
    "--set",
    "account.num_draws=2",
]


def test_flags_of_fit_are_in_the_resolved_configuration(tmp_path, capsys):
    flags = {
        "--bound": "iwae",
        "--gradient": "pathwise",
        "--num-samples": "3",
        "--beta": "2.5",
        "--warm-up": "1",
        "--beta-schedule": "cosine",
        "--patience": "9",
        "--batch-size": "64",
    }
    arguments = [part for flag in flags.items() for part in flag]
    run = tmp_path / "run"
    assert (
        cli.run(
            [
                "fit",
                "digits",
                "--epochs",
                "2",
                "--learning-rate",
                "0.01",
                "--seed",
                "5",
                "--out",
                str(run),
                *SIZE,
                *arguments,
            ]
        )
        == 0
    )
    capsys.readouterr()
    config = jensen.load(run).config
    training = {
        "epochs": 2,
        "num_samples": 3,
        "beta": 2.5,
        "warm_up": 1,
        "beta_schedule": "cosine",
        "patience": 9,
        "batch_size": 64,
        "learning_rate": 0.01,
    }
    assert {k: config["training"][k] for k in training} == training
    assert (config["bound"]["name"], config["gradient"]["name"], config["seed"]) == (
        "iwae",
        "pathwise",
        5,
    )
    record = jensen.load(run).history[-1]
    assert record["beta"] == 2.5
    # The reported bound is IWAE at beta = 1: above the ELBO of the same draws, whatever beta training uses.
    assert (
        record["validation"]["bound"]
        > record["validation"]["reconstruction"] - record["validation"]["average_kl"]
    )
    assert cli.run(["fit", "digits", "--epochs", "1", "--out", str(run), *SIZE]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert cli.run(["fit", "digits", "--epochs", "1", "--out", str(run), "--overwrite", *SIZE]) == 0


def test_checkpoint_chooses_the_model(tmp_path, capsys):
    run = tmp_path / "run"
    assert (
        cli.run(
            [
                "fit",
                "digits",
                "--epochs",
                "2",
                "--set",
                "training.checkpoint_seconds=0",
                "--out",
                str(run),
                *SIZE,
            ]
        )
        == 0
    )
    capsys.readouterr()
    values = {}
    for checkpoint in ("1", "2"):
        assert (
            cli.run(
                [
                    "evidence",
                    str(run),
                    "--no-sandwich",
                    "--num-samples",
                    "20",
                    "--json",
                    "--checkpoint",
                    checkpoint,
                ]
            )
            == 0
        )
        values[checkpoint] = json.loads(capsys.readouterr().out)["value"]
    assert values["1"] != values["2"]
    assert cli.run(["evidence", str(run), "--checkpoint", "7"]) == 1
    assert "it has 1, 2" in capsys.readouterr().err
    shutil.copytree(run, tmp_path / "again")
    assert cli.run(["fit", "--resume", str(tmp_path / "again"), "--checkpoint", "1"]) == 0
    strip = lambda history: [{k: v for k, v in r.items() if k != "seconds"} for r in history]  # noqa: E731
    assert strip(jensen.load(tmp_path / "again").history) == strip(jensen.load(run).history)


def test_foreign_code_needs_trust_on_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = Path(__file__).parents[2]
    Path("mine.py").write_text((root / "src/jensen/priors/standard_normal.py").read_text())
    assert (
        cli.run(["fit", "digits", "--prior", "./mine.py", "--epochs", "1", "--out", "run", *SIZE])
        == 0
    )
    capsys.readouterr()
    assert cli.run(["evidence", "run", "--num-samples", "20"]) == 2
    assert "--trust-code" in capsys.readouterr().err
    assert (
        cli.run(
            ["evidence", "run", "--no-sandwich", "--num-samples", "20", "--trust-code", "--json"]
        )
        == 0
    )
    assert np.isfinite(json.loads(capsys.readouterr().out)["value"])


def test_a_data_directory_that_lacks_the_files_is_named(tmp_path, capsys):
    assert (
        cli.run(
            [
                "fit",
                "mnist",
                "--data-dir",
                str(tmp_path / "nowhere"),
                "--out",
                str(tmp_path / "run"),
            ]
        )
        == 2
    )
    assert "nowhere" in capsys.readouterr().err
    assert cli.run(["datasets", "--data-dir", str(tmp_path), "--json"]) == 0
    found = {d["name"]: d["where"] for d in json.loads(capsys.readouterr().out)["datasets"]}
    assert "download" in found["mnist"]
