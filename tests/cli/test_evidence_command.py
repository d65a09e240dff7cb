"""`jensen evidence` with the options of its estimators: what it takes, refuses, prints and keeps."""

import csv
import json
import re

import numpy as np
import pytest

from command_line import fitted
from jensen import cli
from jensen.evidence import Evidence

QUICK = [
    "--epochs",
    "2",
    "--hidden",
    "8",
    "--set",
    "account.num_samples=20",
    "--set",
    "account.num_draws=2",
    "--latent-dim",
    "2",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two latent dimensions on 60 small binary data."""
    folder = tmp_path_factory.mktemp("evidence")
    np.save(
        folder / "data.npy", (np.random.default_rng(0).random((200, 6)) < 0.3).astype(np.float32)
    )
    return fitted(folder / "run", str(folder / "data.npy"), *QUICK)


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    code = cli.run(list(arguments))
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_plain_case_has_its_two_lines(run, capsys):
    code, out, _ = call(capsys, "evidence", run, "--no-sandwich", "--num-samples", "600")
    assert code == 0
    first, second = out.splitlines()
    assert re.fullmatch(
        r"log p\(x\) = -\d+\.\d{3} \+- \d+\.\d{3} nats per datum \(importance, 600 samples, 20 test data\)",
        first,
    )
    assert re.match(r"k-hat is above 0\.64 for \d+\.\d% of the data", second)
    assert (
        "(importance, 5000 samples," in call(capsys, "evidence", run, "--no-sandwich")[1]
    )  # the estimator's own default


def test_what_k_hat_distrusts_is_printed_as_a_bound_without_an_error(
    run, capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr("jensen.evidence._record.pareto_k", lambda log_w: np.full(len(log_w), 1.7))
    monkeypatch.setattr(
        "jensen.evidence._corrections.pareto_k", lambda log_w: np.full(len(log_w), 1.7)
    )
    plain = ["evidence", run, "--no-sandwich", "--num-samples", "600"]
    first, second, third = call(capsys, *plain)[1].splitlines()
    assert re.fullmatch(
        r"log p\(x\) >= -\d+\.\d{3} nats per datum \(importance, 600 samples, 20 test data\)", first
    )
    assert "100.0% of the data" in second
    assert "log p(x) is a lower bound in expectation. Run annealing" in third
    out = tmp_path / "values.csv"
    found = json.loads(call(capsys, *plain, "--json", "--out", str(out))[1])
    assert (found["bound"], found["standard_error"]) == ("lower", None)
    assert found["shortfall"] > 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert {row["standard_error"] for row in rows} == {"nan"}
    assert f"log p(x) >= {found['value']:.3f} nats" in first
    smoothed = call(capsys, *plain, "--set", "smooth=true")[1]
    assert "log p(x) ~ -" in smoothed and "neither bound nor error" in smoothed


def test_options_of_the_estimator_reach_it_and_are_told(run, capsys, tmp_path):
    options = [
        "--set",
        "target_error=0.002",
        "--set",
        "max_samples=1600",
        "--set",
        "defensive=0.1",
        "--num-samples",
        "50",
    ]
    code, out, _ = call(
        capsys,
        "evidence",
        run,
        "--no-sandwich",
        *options,
        "--json",
        "--out",
        str(tmp_path / "a.npz"),
    )
    assert code == 0
    found = json.loads(out)
    assert (
        call(capsys, "evidence", run, "--no-sandwich", *options, "--out", str(tmp_path / "a.csv"))[
            0
        ]
        == 0
    )
    with np.load(tmp_path / "a.npz") as kept:
        samples, reasons = kept["samples"], kept["reasons"]
        assert found["samples"] == {
            "min": samples.min(),
            "median": np.median(samples),
            "max": samples.max(),
        }
        assert found["num_samples"] == samples.max()
        assert found["methods"] == {"importance": 1.0}
        assert any("Defensive proposal: 0.9 q(z|x) + 0.1 p(z)" in note for note in found["notes"])
        assert all(f"at {s} samples" in reason for s, reason in zip(samples, reasons))
        assert ((kept["standard_error"] <= 0.002) | (samples == 1600)).all()
        with (tmp_path / "a.csv").open() as file:
            table = list(csv.DictReader(file))
        np.testing.assert_allclose([float(row["value"]) for row in table], kept["value"], rtol=1e-8)
        assert [row["reasons"] for row in table] == list(reasons)
        assert [row["methods"] for row in table] == ["importance"] * 20
        assert [float(row["trusted"]) for row in table] == list(kept["trusted"])
    out = call(capsys, "evidence", run, "--no-sandwich", *options)[1]
    spread = found["samples"]
    told = (
        f"{spread['min']} to {spread['max']} samples, median"
        if spread["min"] < spread["max"]
        else f"{spread['max']} samples"
    )
    assert told in out
    assert "note: Defensive proposal" in out


def test_quadrature_agrees_and_is_not_judged_by_k_hat(run, capsys, tmp_path):
    code, out, _ = call(
        capsys, "evidence", run, "--estimator", "quadrature", "--set", "num_samples=64"
    )
    assert code == 0
    assert "(quadrature, 4096 samples, 20 test data)" in out
    assert "k-hat" not in out
    assert "not to be trusted for 0.0% of the data." in out
    assert "note: Standard errors are discretisation errors" in out
    values = {}
    for estimator in ("quadrature", "importance"):
        file = tmp_path / f"{estimator}.npz"
        call(capsys, "evidence", run, "--estimator", estimator, "--out", str(file))
        with np.load(file) as arrays:
            values[estimator] = arrays["value"], arrays["standard_error"]
    exact, (sampled, errors) = values["quadrature"][0], values["importance"]
    trusted = np.isfinite(errors)  # data that k-hat distrusts have no standard error
    assert trusted.sum() >= 10
    error = np.sqrt((errors[trusted] ** 2).sum()) / trusted.sum()
    assert abs((exact - sampled)[trusted].mean()) < 5 * error + 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "smoth=true"], "--set smoth does not exist .*did you mean 'smooth'"),
        (["--set", "smooth=perhaps"], "--set smooth must be a valid boolean.*got 'perhaps'"),
        (["--set", "target_error=small"], "--set target_error must be a valid number.*got 'small'"),
        (
            ["--set", "correction=jacknife"],
            "--set correction must be one of none, jackknife; got 'jacknife'",
        ),
        (["--set", "defensive=2"], r"defensive .*\[0, 1\); got 2"),
        (["--set", "smooth"], "--set wants .*key=value"),
        (["--set", "num_samples=100", "--num-samples", "100"], "num_samples is given twice"),
        (
            ["--estimator", "monte_carlo", "--set", "smooth=true"],
            "--set smooth does not exist for .* 'monte_carlo'.*it has: num_samples",
        ),
    ],
)
def test_wrong_options_are_refused_by_name(run, capsys, arguments, message):
    code, out, err = call(capsys, "evidence", run, "--no-sandwich", *arguments)
    assert code == 2
    assert re.search(message, " ".join(err.split())), err
    assert out == ""


@pytest.mark.parametrize(("k_hat", "told"), [(0.6, True), (0.2, False)])
def test_what_the_error_includes_beside_the_monte_carlo_error_is_told(k_hat, told, capsys):
    """400 data whose tails have no variance lack the same; those of light tails do not."""
    from jensen.cli.evidence import _print_trust

    n = 400
    estimate = Evidence(
        *(np.full(n, -90.0), np.full(n, 0.02), np.full(n, 500.0), np.full(n, k_hat)),
        num_samples=1000,
        estimator="Importance",
    )
    _print_trust(estimate)
    out = capsys.readouterr().out
    sentence = f"The +- includes {estimate.bias:.2g} nats by which this number of samples is"
    assert (sentence in out) == told == (estimate.bias > estimate.standard_error)
    assert "k-hat is above 0.67 for 0.0% of the data." in out
