"""`jensen reproduce temperature`.

Its lines are those of the account of the last epoch; results are stored; the sentences follow
from the figures.
"""

import dataclasses
import json
import math

import jax.random as jr
import numpy as np
import pytest

import jensen
from jensen import cli
from jensen.generation import posterior_codes
from jensen.priors import StandardNormal
from jensen.reports._style import WIDE, styled
from jensen.reproductions._runs import last_model
from jensen.reproductions.temperature import Temperature
from jensen.reproductions.temperature._measurements import exchange_rates
from jensen.reproductions.temperature._table import notes
from jensen.reproductions.temperature.picture import temperature_figure
from jensen.sessions import stream_key
from jensen.weights import log_weights

OPTIONS = {"betas": (0.5, 4.0), "epochs": 5, "num_samples": 20, "rows": 100}
RUNS = ["beta-0.5", "beta-1", "beta-4", "variance-2", "variance-0.25"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(folder, JSON) of betas 1/2, 1 and 4 on digits, shortened."""
    folder = tmp_path_factory.mktemp("temperature")
    Temperature(folder, 0, None, **OPTIONS).run(progress=False)
    return folder, json.loads((folder / "results.json").read_text())


def run_at(folder, name):
    return jensen.load(folder / "digits-epochs5" / name)


def test_every_beta_is_trained_and_every_variance_that_it_is_claimed_to_be(made):
    folder, results = made
    assert [(r["kind"], r[r["kind"]]) for r in results["rows"]] == [
        ("beta", 0.5),
        ("beta", 1.0),
        ("beta", 4.0),
        ("variance", 2.0),
        ("variance", 0.25),
    ]
    for name in RUNS:
        config = run_at(folder, name).config
        kind, value = name.split("-")
        assert config["training"]["beta"] == (float(value) if kind == "beta" else 1.0)
        assert config["prior"]["scale"] == (math.sqrt(float(value)) if kind == "variance" else 1.0)
        assert config["training"] | {"beta": 0} == config["training"] | {
            "epochs": 5,
            "warm_up": 0,
            "cool_down": 1,
            "patience": 0,
            "beta": 0,
        }


def test_the_lines_are_those_of_the_account_of_the_last_epoch(made):
    folder, results = made
    for name, row in zip(RUNS, results["rows"], strict=True):
        run = run_at(folder, name)
        x = run.dataset.test[:100]
        account = jensen.account(last_model(run), x, key=stream_key(0, "account"), num_samples=20)
        for line in (
            "elbo",
            "evidence",
            "reconstruction",
            "average_kl",
            "index_information",
            "marginal_kl",
        ):
            assert row["test"][line]["value"] == pytest.approx(account.line(line).value, abs=1e-5)
            assert row["test"][line]["standard_error"] == pytest.approx(
                account.line(line).standard_error, abs=1e-6
            )
        variance = posterior_codes(last_model(run), x)["mean"].var(0) / float(
            name.split("-")[1] if name.startswith("v") else 1
        )
        assert (row["active_units"], row["n"]) == (int((variance > 0.01).sum()), 100)


def test_the_last_model_is_that_of_the_last_epoch_and_not_the_best(made):
    # With the training's own validation draws its last validation value comes out again.
    run = run_at(made[0], "beta-1")
    x = run.dataset.validation
    values = log_weights(last_model(run), x, key=jr.split(run.key)[1], num_samples=1).tempered()
    assert float(values.mean()) == pytest.approx(run.history[-1]["validation"]["bound"], abs=1e-4)
    assert float(
        log_weights(run.model, x, key=jr.split(run.key)[1], num_samples=1).tempered().mean()
    ) == pytest.approx(max(r["validation"]["bound"] for r in run.history), abs=1e-4)


def test_the_fitted_prior_variance_wins_what_an_account_under_it_wins(made):
    folder, results = made
    row = results["rows"][0]
    run = run_at(folder, "beta-0.5")
    model, x = last_model(run), run.dataset.test[:100]
    codes = posterior_codes(model, run.dataset.split("train"))
    variance = float(np.mean(codes["mean"].astype(float) ** 2 + codes["scale"].astype(float) ** 2))
    assert row["fitted_variance"]["value"] == pytest.approx(variance, rel=1e-9)
    under = dataclasses.replace(
        model, prior=StandardNormal(16, scale=math.sqrt(variance)), recipe=None
    )
    accounts = [
        jensen.account(m, x, key=jr.key(3), num_samples=2, num_draws=200) for m in (model, under)
    ]
    # The same draws: what differs is log p(z), of which one side has the expectation in closed
    # form.
    gain = accounts[1].elbo.per_datum - accounts[0].elbo.per_datum
    assert gain.mean() == pytest.approx(row["fitted_variance"]["gain"], abs=0.002)
    assert row["fitted_variance"]["elbo"] == pytest.approx(
        row["test"]["elbo"]["value"] + row["fitted_variance"]["gain"]
    )
    assert results["rows"][3]["fitted_variance"] is None


def test_exchange_rates_and_differences_are_those_computed_by_hand(made):
    _, results = made
    low, high = results["rows"][0]["train"], results["rows"][1]["train"]
    first = results["exchange_rates"][0]
    assert first["between"] == [0.5, 1.0]
    assert first["rate"] == pytest.approx(
        (low["reconstruction"] - high["reconstruction"]) / (low["average_kl"] - high["average_kl"])
    )
    rows = [
        {"kind": "beta", "beta": b, "train": {"reconstruction": r, "average_kl": k}}
        for b, r, k in [(4.0, -30.0, 1.0), (1.0, -24.0, 3.0), (0.5, -20.0, 5.0)]
    ]
    assert exchange_rates(rows) == [
        {"between": [0.5, 1.0], "rate": 2.0, "inside": False},
        {"between": [1.0, 4.0], "rate": 3.0, "inside": True},
    ]
    folder = made[0] / "digits-epochs5" / "measured"
    with np.load(folder / "beta-4.npz") as ours, np.load(folder / "beta-1.npz") as one:
        difference = ours["elbo"] - one["elbo"]
    against = results["rows"][2]["against_one"]["elbo"]
    assert against["value"] == pytest.approx(difference.mean())
    assert against["standard_error"] == pytest.approx(difference.std(ddof=1) / 10)
    assert results["rows"][1]["against_one"]["elbo"] == {"value": 0.0, "standard_error": 0.0}


def test_what_is_done_is_kept_and_what_is_damaged_is_made_again(made, tmp_path, capsys):
    import shutil

    folder = tmp_path / "again"
    shutil.copytree(made[0], folder)
    measured = folder / "digits-epochs5" / "measured"
    stored, damaged = measured / "beta-1.npz", measured / "beta-4.npz"
    damaged.write_bytes(damaged.read_bytes()[:50])
    shutil.rmtree(folder / "digits-epochs5" / "variance-2")
    time = stored.stat().st_mtime_ns
    arguments = [
        "reproduce",
        "temperature",
        "--out",
        str(folder),
        "--epochs",
        "5",
        "--num-samples",
        "20",
        "--set",
        "betas=[0.5,4]",
        "--set",
        "rows=100",
    ]
    assert cli.run([*arguments, "--list"]) == 0
    listed = capsys.readouterr().out
    assert listed.count("trained") == 4 and "beta = 1, prior variance 2     not begun" in listed
    assert cli.run([*arguments, "--json"]) == 0
    out = capsys.readouterr()
    assert json.loads(out.out)["rows"] == made[1]["rows"]
    assert "[1/5] beta = 0.5: reconstruction" in out.err
    assert stored.stat().st_mtime_ns == time
    assert (folder / "temperature.png").read_bytes()[:4] == b"\x89PNG"


def row_of(kind, value, kl, reconstruction, *, variance=1.0, gain=0.0):
    test = {
        n: {"value": 0.0, "standard_error": 0.01}
        for n in ("elbo", "evidence", "index_information", "marginal_kl", "entropy")
    }
    test |= {
        "average_kl": {"value": kl, "standard_error": 0.01},
        "reconstruction": {"value": reconstruction, "standard_error": 0.01},
    }
    test["elbo"]["value"] = test["evidence"]["value"] = reconstruction - kl
    against = {n: {"value": 0.0, "standard_error": 0.1} for n in test}
    row = {
        "kind": kind,
        kind: value,
        "test": test,
        "n": 50,
        "log_n": math.log(50),
        "against_one": against,
        "fitted_variance": None,
    }
    return row | ({"fitted_variance": {"value": variance, "gain": gain}} if kind == "beta" else {})


DETAILS = {
    "epochs": 5,
    "seed": 0,
    "exchange_rates": [{"inside": True}, {"inside": False}, {"inside": None}],
    "linear_gaussian": [
        {"beta": 1.0, "variance_ratio": 1.0, "mean_difference": 0.0},
        {"beta": 4.0, "variance_ratio": 4.0, "mean_difference": 2e-16},
    ],
}


@pytest.mark.parametrize(
    ("spread", "verdict"),
    [(0.05, "A prior's variance, no: "), (3.0, "A prior's variance, not by these figures alone: ")],
)
def test_the_verdict_on_the_prior_follows_from_the_figures(spread, verdict):
    rows = [
        row_of("beta", 0.5, 9.0, -20.0, variance=1.4, gain=0.3),
        row_of("beta", 1.0, 5.0, -22.0),
        row_of("beta", 4.0, 1.0, -30.0, variance=0.9),
    ]
    sentences = notes(
        [
            *rows,
            row_of("variance", 2.0, 5.0 + spread, -22.0),
            row_of("variance", 0.25, 5.0 - spread, -22.0),
        ],
        DETAILS,
    )
    assert sentences[0].startswith(
        "A temperature, yes: from beta = 0.5 to 4 the average KL falls from 9.00 to 1.00 nats"
    )
    assert (
        "for 1 of the 2 pairs that differ in KL" in sentences[0]
        and "switched off" not in sentences[0]
    )
    assert sentences[1].startswith(verdict)
    assert (
        f"lies within {5 - spread:.2f} and {5 + spread:.2f} nats, where beta takes it from 9.00 to "
        "1.00" in sentences[1]
    )
    assert (
        f"and the ELBO within {-27 - spread:.2f} and {-27 + spread:.2f}, where beta takes it down "
        "to -31.00" in sentences[1]
    )
    assert "largest difference 2e-16" in sentences[1] and "(ratio 4 at beta = 4)" in sentences[1]
    assert ("absorb the variance" in sentences[1]) == (spread < 0.1)
    assert (
        "1.4 at beta = 0.5, 1 at beta = 1, 0.9 at beta = 4; the claim would have it 1/beta, and at "
        "an optimum it is 1" in sentences[2]
    )
    assert "0.30 nats, at beta = 0.5" in sentences[2]
    assert (
        "ELBO is highest at beta = 1 (-27.00)" in sentences[3]
        and "(paired, over the data): none." in sentences[3]
    )
    rows[2]["test"]["average_kl"]["value"] = 0.001
    assert "(at beta = 4 the code is switched off)" in notes(rows, DETAILS)[0]
    rows[2]["test"]["average_kl"]["value"] = 6.0
    assert (
        "not by these figures alone: from beta = 0.5 to 4 the average KL goes, up and down, from "
        "9.00 to 6.00" in notes(rows, DETAILS)[0]
    )


def test_the_picture_has_every_run_at_its_place(made):
    _, results = made
    with styled():
        plane, split, bounds, variance = temperature_figure(results["rows"], WIDE).axes
    value = lambda row, line: row["test"][line]["value"]  # noqa: E731
    along = results["rows"][:3]
    curves = [(np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in plane.lines]
    assert any(
        np.array_equal(x, [value(r, "average_kl") for r in along])
        and np.array_equal(y, [value(r, "reconstruction") for r in along])
        for x, y in curves
    )
    for axes, lines in (
        (split, ("index_information", "marginal_kl")),
        (bounds, ("elbo", "evidence")),
    ):
        drawn = {(tuple(line.get_xdata()), tuple(line.get_ydata())) for line in axes.lines}
        for line in lines:
            assert ((0.5, 1.0, 4.0), tuple(value(r, line) for r in along)) in drawn
            # A prior variance 2 stands at beta = 1/2, and 1/4 at 4.
            assert (
                (0.5, 1.0, 4.0),
                tuple(
                    value(r, line)
                    for r in (results["rows"][3], results["rows"][1], results["rows"][4])
                ),
            ) in drawn
    assert any(np.allclose(line.get_ydata(), [2, 1, 0.25]) for line in variance.lines)
    assert any(
        np.allclose(line.get_ydata(), [r["fitted_variance"]["value"] for r in along])
        for line in variance.lines
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--set", "betas=[0,1]"],
            (
                "betas must be positive and finite, since each stands for a prior variance 1 / "
                "beta; got 0"
            ),
        ),
        (["--set", "betas=[1]"], "at least one other than 1 is needed"),
        (["--epochs", "0"], "epochs must be at least 1; got 0"),
        (["--num-samples", "1"], "num_samples must be at least 2; got 1"),
        (["--set", "rows=1"], "rows must be at least 2; got 1"),
        (
            ["--data", "minst"],
            "reproduction 'temperature': data must be one of digits, mnist; got 'minst'",
        ),
        (["--run", "x"], "has no option 'run'"),
    ],
)
def test_wrong_input(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.run(["reproduce", "temperature", *arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == ""
    assert not (tmp_path / "runs").exists()
