"""`jensen compare` over any number of runs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import jensen
from jensen import cli


@pytest.fixture(scope="module")
def three(runs, tmp_path_factory):
    """The paths of `plain`, of its copy `again` with an account on other draws, and of `vamp`."""
    again = tmp_path_factory.mktemp("compared") / "again"
    shutil.copytree(runs / "plain", again)
    assert cli.run(["account", str(again), "--seed", "7", "--num-samples", "50"]) == 0
    return [str(runs / "plain"), str(again), str(runs / "vamp")]


def test_three_runs_are_paired_with_the_first_and_drawn(three, tmp_path, capsys):
    capsys.readouterr()
    picture = tmp_path / "out.svg"
    assert cli.run(["compare", *three, "--json", "--figure", str(picture)]) == 0
    found = json.loads(capsys.readouterr().out)
    accounts = [jensen.load(run).account for run in three]
    d = accounts[2].elbo.per_datum - accounts[0].elbo.per_datum
    assert found["lines"]["elbo"]["vamp"]["difference"] == pytest.approx(d.mean())
    assert found["lines"]["elbo"]["vamp"]["standard_error"] == pytest.approx(
        d.std(ddof=1) / np.sqrt(len(d))
    )
    best = max(range(3), key=lambda i: accounts[i].elbo.value)
    assert found["ranking"]["elbo"][0]["name"] == Path(three[best]).name
    assert found["figure"] == str(picture)
    assert picture.read_text().startswith("<?xml")
    assert cli.run(["compare", *three, "--figure", str(tmp_path / "out.png")]) == 0
    out = capsys.readouterr().out
    assert "By ELBO: " in out and "By log p(x): " in out and "Bonferroni" in out
    assert (tmp_path / "out.png").read_bytes()[:4] == b"\x89PNG"


def test_two_runs_are_printed_as_ever(three, capsys):
    capsys.readouterr()
    assert cli.run(["compare", *three[:2]]) == 0
    out = capsys.readouterr().out
    accounts = (jensen.load(run).account for run in three[:2])
    assert out == f"{jensen.compare(*accounts, names=('plain', 'again'))}\n"
    assert out.startswith(
        "again minus plain, test split, paired on the same 360 data; nats per datum\n\n  line "
    )
    assert "* differs by more than two standard errors of the paired difference" in out
    assert cli.run(["compare", *three[:2], "--json"]) == 0
    assert {"first", "second", "split", "n", "elbo"} <= json.loads(capsys.readouterr().out).keys()


def test_what_cannot_be_drawn_or_compared_is_refused(three, capsys):
    assert cli.run(["compare", three[0]]) == 2
    assert "two runs or more; got 1" in capsys.readouterr().err
    assert cli.run(["compare", *three, "--figure", "out.pdf"]) == 2
    assert ".png or .svg; got 'out.pdf'" in capsys.readouterr().err
    assert cli.run(["compare", three[0], three[1], three[0]]) == 2
    assert "must differ" in capsys.readouterr().err
