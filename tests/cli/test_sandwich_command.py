"""`jensen evidence` without an estimator: the sandwich, its record, its picture, its resumption, and what is wrong with it."""

import json

import numpy as np
import pytest

from command_line import fitted
from jensen import cli

SHORT = [
    "--rows",
    "6",
    "--simulated",
    "4",
    "--num-samples",
    "60",
    "--set",
    "annealed.num_temperatures=30",
    "--set",
    "annealed.num_samples=4",
]


def call(capsys, *arguments):
    code = cli.run(list(arguments))
    return code, *capsys.readouterr()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sandwich")
    rows = (np.random.default_rng(0).random((60, 12)) < 0.5).astype(np.uint8)
    np.save(folder / "rows.npy", rows)
    options = [
        "--latent-dim",
        "2",
        "--hidden",
        "8",
        "--epochs",
        "2",
        "--set",
        "account.num_samples=20",
        "--warm-up",
        "0",
    ]
    return fitted(folder / "run", str(folder / "rows.npy"), *options)


def test_the_rungs_climb_and_are_told(run, capsys, monkeypatch):
    code, out, _ = call(capsys, "evidence", run, *SHORT, "--json")
    assert code == 0
    found = json.loads(out)["sandwich"]
    names = [r["name"] for r in found["rungs"]]
    assert names == ["elbo", "iwae, K = 30", "importance, S = 60", "annealed"]
    assert found["n"] == len(found["index"]) == 6
    for below, above in zip(found["rungs"][:-1], found["rungs"][1:], strict=True):
        step = above["over_the_one_below"]
        assert step["value"] == pytest.approx(above["value"] - below["value"])
        assert step["value"] > -5 * step["standard_error"]
    both = found["bidirectional"]
    assert both["gap"] == pytest.approx(both["upper"] - both["lower"])
    assert both["n"] == 4
    with open(found["picture"], "rb") as file:
        assert file.read(4) == b"\x89PNG"
    # Given again, no chain moves: what was kept gives the same figures.
    monkeypatch.setattr("jensen.evidence._lots.advance", None)
    again = json.loads(call(capsys, "evidence", run, *SHORT, "--json")[1])["sandwich"]
    assert again == found
    text = call(capsys, "evidence", run, *SHORT)[1]
    assert "Lower bounds on 6 of the 6 test data" in text
    assert "annealed: 4 chains from the encoder's posterior, 30 temperatures" in text
    assert f"a gap of {both['gap']:.3f} +- {both['standard_error']:.3f} nats" in text


def test_an_estimator_alone_makes_no_sandwich(run, capsys):
    options = ["--estimator", "annealed", "--num-samples", "4", "--set", "num_temperatures=30"]
    code, out, _ = call(capsys, "evidence", run, *options)
    assert code == 0
    assert "(annealed, 4 samples, 6 test data)" in out
    assert "Lower bounds" not in out
    assert "not to be trusted for" in out


def test_auto_says_what_it_did(run, capsys):
    options = [
        "--estimator",
        "auto",
        "--num-samples",
        "100",
        "--set",
        "max_samples=200",
        "--set",
        "num_temperatures=30",
        "--set",
        "num_chains=4",
    ]
    code, out, _ = call(capsys, "evidence", run, *options, "--json")
    assert code == 0
    methods = json.loads(out)["methods"]
    assert methods.get("annealed", 0) > 0  # 200 samples are too few for some of these data
    assert sum(methods.values()) == pytest.approx(1)


def test_ctrl_c_says_what_is_kept(run, capsys, monkeypatch):
    monkeypatch.setattr(
        "jensen.evidence._sandwich.bidirectional",
        lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt),
    )
    code, _, err = call(capsys, "evidence", run, *SHORT)
    assert code == 130
    assert "the same command goes on from there" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--set", "annealed.num_temperature=5"],
            (
                "--set annealed.num_temperature does not exist for the evidence estimator "
                "'annealed' (did you mean 'num_temperatures'?)"
            ),
        ),
        (
            ["--set", "annealed.start=middle"],
            "--set annealed.start must be one of encoder, prior; got 'middle'",
        ),
        (
            ["--estimator", "importance", "--set", "annealed.start=prior"],
            "--set annealed.KEY is for the sandwich, which is not made here",
        ),
        (["--simulated", "1"], "--simulated 1: a gap with a standard error needs at least 2 data"),
        (
            ["--estimator", "annealed", "--set", "num_leapfrog=0"],
            "num_leapfrog must be at least 1; got 0",
        ),
    ],
)
def test_wrong_input_is_refused(run, capsys, arguments, said):
    code, _, err = call(capsys, "evidence", run, *arguments)
    assert code == 2
    assert said in err
