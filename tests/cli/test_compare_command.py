"""`jensen compare` over any number of runs."""

import json
from pathlib import Path

import numpy as np
import pytest

import jensen
from jensen import cli

QUICK = [
    "--epochs",
    "2",
    "--hidden",
    "8",
    "--latent-dim",
    "2",
    "--set",
    "account.num_samples=30",
    "--set",
    "account.num_draws=2",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    for seed in (0, 1):
        assert (
            cli.run(
                ["fit", "digits", "--seed", str(seed), "--out", str(folder / f"run-{seed}"), *QUICK]
            )
            == 0
        )
    assert (
        cli.run(["fit", "digits", "--prior", "mixture", "--out", str(folder / "mixture"), *QUICK])
        == 0
    )
    return [str(folder / name) for name in ("run-0", "run-1", "mixture")]


def test_three_runs_are_paired_with_the_first_and_drawn(runs, tmp_path, capsys):
    capsys.readouterr()
    picture = tmp_path / "out.svg"
    assert cli.run(["compare", *runs, "--json", "--figure", str(picture)]) == 0
    found = json.loads(capsys.readouterr().out)
    accounts = [jensen.load(run).account for run in runs]
    d = accounts[2].elbo.per_datum - accounts[0].elbo.per_datum
    assert found["lines"]["elbo"]["mixture"]["difference"] == pytest.approx(d.mean())
    assert found["lines"]["elbo"]["mixture"]["standard_error"] == pytest.approx(
        d.std(ddof=1) / np.sqrt(len(d))
    )
    best = max(range(3), key=lambda i: accounts[i].elbo.value)
    assert found["ranking"]["elbo"][0]["name"] == Path(runs[best]).name
    assert found["figure"] == str(picture)
    assert picture.read_text().startswith("<?xml")
    assert cli.run(["compare", *runs, "--figure", str(tmp_path / "out.png")]) == 0
    out = capsys.readouterr().out
    assert "By ELBO: " in out and "By log p(x): " in out and "Bonferroni" in out
    assert (tmp_path / "out.png").read_bytes()[:4] == b"\x89PNG"


def test_two_runs_are_printed_as_ever(runs, capsys):
    capsys.readouterr()
    assert cli.run(["compare", *runs[:2]]) == 0
    out = capsys.readouterr().out
    assert (
        out
        == f"{jensen.compare(*(jensen.load(run).account for run in runs[:2]), names=('run-0', 'run-1'))}\n"
    )
    assert out.startswith(
        "run-1 minus run-0, test split, paired on the same 360 data; nats per datum\n\n  line "
    )
    assert "* differs by more than two standard errors of the paired difference" in out
    assert cli.run(["compare", *runs[:2], "--json"]) == 0
    assert {"first", "second", "split", "n", "elbo"} <= json.loads(capsys.readouterr().out).keys()


def test_what_cannot_be_drawn_or_compared_is_refused(runs, capsys):
    assert cli.run(["compare", runs[0]]) == 2
    assert "two runs or more; got 1" in capsys.readouterr().err
    assert cli.run(["compare", *runs, "--figure", "out.pdf"]) == 2
    assert ".png or .svg; got 'out.pdf'" in capsys.readouterr().err
    assert cli.run(["compare", runs[0], runs[1], runs[0]]) == 2
    assert "must differ" in capsys.readouterr().err
