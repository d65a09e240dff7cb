"""What each command that makes or reads a run prints, where, and with which exit code."""

import json
import re
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import jensen
from command_line import QUICK, call
from jensen.anatomy.line_table import field_names
from jensen.evidence import Evidence


@pytest.mark.usefixtures("without_drawing")
def test_fit_prints_the_account_and_writes_the_run(runs, capsys, tmp_path):
    code, out, err = call(capsys, "fit", "digits", "--out", str(tmp_path / "run"), *QUICK)
    assert code == 0
    assert "log p(x)" in out
    assert "I(n; z)" in out
    assert f"Report: {tmp_path / 'run' / 'report.html'}" in out
    assert "epoch" in err
    assert "epoch " not in out  # progress goes to stderr
    config = jensen.load(tmp_path / "run").config
    assert config["network"]["hidden"] == [16]
    assert config["account"] == {"num_samples": 50, "num_draws": 3}
    first = json.loads((runs / "plain" / "accounts" / "test.json").read_text())
    assert (
        json.loads((tmp_path / "run" / "accounts" / "test.json").read_text()) == first
    )  # the same seed gives the same bits


@pytest.mark.usefixtures("without_drawing")
def test_another_seed_gives_another_run(runs, capsys, tmp_path):
    assert (
        call(capsys, "fit", "digits", "--seed", "7", "--out", str(tmp_path / "run"), *QUICK)[0] == 0
    )
    assert (
        jensen.load(tmp_path / "run").history[0]["train"]
        != jensen.load(runs / "plain").history[0]["train"]
    )


def test_account_json_is_one_object_with_every_line(runs, capsys):
    code, out, _ = call(capsys, "account", str(runs / "plain"), "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["split"], found["n"]) == ("test", 360)
    assert found["log_n"] == pytest.approx(np.log(360))
    assert found["elbo"]["value"] == pytest.approx(
        found["reconstruction"]["value"]
        - found["index_information"]["value"]
        - found["marginal_kl"]["value"]
    )
    for line in field_names():
        # What rests on evidence that k-hat does not trust is a bound, and has no standard error.
        if found[line]["bound"] is None:
            assert found[line]["standard_error"] > 0
        else:
            assert line in ("evidence", "jensen_gap")
            assert (found[line]["bound"], found[line]["standard_error"]) == ("lower", None)
    assert found["evidence"]["value"] - found["elbo"]["value"] == pytest.approx(
        found["jensen_gap"]["value"]
    )
    assert isinstance(found["active_units"], int)
    assert 0 <= found["pareto_k"] <= 1
    assert found["verdicts"]


def test_account_of_another_split_seed_and_size(runs, capsys, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs / "plain", run)
    code, out, _ = call(
        capsys,
        "account",
        str(run),
        "--split",
        "train",
        "--num-samples",
        "20",
        "--num-draws",
        "2",
        "--out",
        str(tmp_path / "a.npz"),
        "--json",
    )
    found = json.loads(out)
    assert code == 0
    assert (found["n"], found["num_samples"], found["num_draws"]) == (1257, 20, 2)
    with np.load(tmp_path / "a.npz") as kept:
        assert kept["elbo"].mean() == pytest.approx(found["elbo"]["value"])
    assert jensen.load(run).stored_account("train").elbo.value == found["elbo"]["value"]
    values = [
        json.loads(
            call(capsys, "account", str(run), "--seed", s, "--num-samples", "20", "--json")[1]
        )["elbo"]["value"]
        for s in ("1", "1", "2")
    ]
    assert values[0] == values[1] != values[2]


def test_evidence_keeps_its_values_per_datum(runs, capsys, tmp_path):
    kept = tmp_path / "values.npz"
    arguments = [
        "evidence",
        str(runs / "plain"),
        "--estimator",
        "importance",
        "--num-samples",
        "150",
        "--json",
        "--out",
        str(kept),
    ]
    code, out, _ = call(capsys, *arguments)
    found = json.loads(out)
    assert code == 0
    assert (found["num_samples"], found["n"]) == (150, 360)
    with np.load(kept) as values:
        assert values["value"].mean() == pytest.approx(found["value"])
        error = np.sqrt((values["standard_error"] ** 2).sum()) / 360
        if found["bound"] is None:
            assert error == pytest.approx(found["standard_error"])
        else:  # some data have no standard error, and so has their mean
            assert np.isnan(error) and found["standard_error"] is None
    chunked = json.loads(call(capsys, *arguments[:-2], "--chunk", "37")[1])
    assert chunked["value"] == pytest.approx(found["value"], abs=1e-5)


def test_monte_carlo_is_one_option_away(runs, capsys, tmp_path):
    records, values = [], []
    for estimator in ("importance", "monte_carlo"):
        file = tmp_path / f"{estimator}.npz"
        arguments = ["--estimator", estimator, "--num-samples", "4000", "--out", str(file)]
        _, out, _ = call(capsys, "evidence", str(runs / "plain"), *arguments, "--json")
        records.append(json.loads(out))
        with np.load(file) as arrays:
            names = ("value", "standard_error", "effective_samples", "pareto_k")
            values.append({name: arrays[name] for name in names})
    assert records[1]["estimator"] == "monte_carlo"
    # After three epochs the posterior is close to the prior, so draws from the prior serve: k-hat is
    # near 0 at all data. Those from q(z|x) have k-hats of 0.5 to 0.7, and with 20,000 of them the
    # mean is still 0.006 nats too low at the data that k-hat trusts, five Monte Carlo errors: what
    # is told to cover must hold that too.
    importance, monte_carlo = (
        Evidence(
            v["value"],
            v["standard_error"],
            v["effective_samples"],
            v["pareto_k"],
            num_samples=20_000,
            estimator="Importance",
        )
        for v in values
    )
    assert monte_carlo.trusted.all()
    assert monte_carlo.error < 1.1 * monte_carlo.standard_error
    assert records[1]["standard_error"] == pytest.approx(monte_carlo.error)
    trusted = np.flatnonzero(importance.trusted)
    assert len(trusted) > 100
    importance, monte_carlo = importance.rows(trusted), monte_carlo.rows(trusted)
    difference = monte_carlo.value - importance.value
    assert abs(difference) > 3 * np.hypot(importance.standard_error, monte_carlo.standard_error)
    assert 0.5 * importance.bias < difference < 2 * importance.bias
    assert abs(difference) < 2 * np.hypot(importance.error, monte_carlo.error)
    _, out, _ = call(
        capsys, "evidence", str(runs / "plain"), "--no-sandwich", "--num-samples", "30"
    )
    assert re.search(
        r"log p\(x\) >= -\d+\.\d+ nats per datum \(importance, 30 samples, 360 test data\)",
        out,
    )


def test_compare_is_paired(runs, capsys):
    code, out, _ = call(capsys, "compare", str(runs / "plain"), str(runs / "vamp"), "--json")
    found = json.loads(out)
    assert code == 0
    a, b = (jensen.load(runs / r).account.elbo.per_datum for r in ("plain", "vamp"))
    assert found["elbo"]["difference"] == pytest.approx((b - a).mean())
    assert found["elbo"]["standard_error"] == pytest.approx((b - a).std(ddof=1) / np.sqrt(360))
    _, text, _ = call(capsys, "compare", str(runs / "plain"), str(runs / "vamp"))
    assert f"{found['elbo']['difference']:+.3f}" in text
    code, _, err = call(
        capsys, "compare", str(runs / "plain"), str(runs / "vamp"), "--split", "tset"
    )
    assert code == 2
    assert "did you mean 'test'" in err


def test_sample_goes_through_the_prior_and_is_reproducible(runs, capsys, tmp_path):
    drawn = []
    for seed in ("1", "1", "2"):
        out = tmp_path / f"s{len(drawn)}.npz"
        assert (
            call(
                capsys,
                "sample",
                str(runs / "vamp"),
                "--num-samples",
                "300",
                "--seed",
                seed,
                "--out",
                str(out),
            )[0]
            == 0
        )
        drawn.append(dict(np.load(out)))
    assert np.array_equal(drawn[0]["x"], drawn[1]["x"])
    assert not np.array_equal(drawn[0]["x"], drawn[2]["x"])
    model = jensen.load(runs / "vamp").model
    mixture = model.prior(model.encoder)
    expected, n = np.asarray(mixture.mean), 600
    z = np.concatenate([drawn[0]["z"], drawn[2]["z"]])
    assert (np.abs(z.mean(0) - expected) < 5 * z.std(0) / np.sqrt(n)).all()
    assert (tmp_path / "s0.png").read_bytes()[:4] == b"\x89PNG"


def test_encode_gives_the_encoders_means_and_scales(runs, capsys, tmp_path):
    code, out, _ = call(
        capsys,
        "encode",
        str(runs / "plain"),
        "--split",
        "validation",
        "--out",
        str(tmp_path / "c.csv"),
        "--json",
    )
    assert code == 0
    assert json.loads(out) == {
        "n": 180,
        "latent_dim": 3,
        "split": "validation",
        "written": str(tmp_path / "c.csv"),
        "columns": ["row"],
    }
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert lines[0].startswith("row,mean_0,mean_1,mean_2,scale_0,scale_1,scale_2")
    model, data = jensen.load(runs / "plain").model, jensen.load_dataset("digits")
    q = model.encoder(jnp.asarray(data.validation[4]))
    row = np.array([float(v) for v in lines[5].split(",")[1:7]])
    assert np.allclose(
        row, np.concatenate([q.base_dist.loc, q.base_dist.scale]), rtol=1e-4, atol=1e-5
    )


def test_report_and_datasets(runs, capsys):
    code, out, _ = call(capsys, "report", str(runs / "plain"), "--json")
    assert code == 0
    assert Path(json.loads(out)["report"]).read_text().startswith("<!")
    code, out, _ = call(capsys, "datasets", "--json")
    assert code == 0
    assert {d["name"] for d in json.loads(out)["datasets"]} >= {"digits", "mnist"}
    assert "digits" in call(capsys, "datasets")[1]


@pytest.mark.usefixtures("without_drawing")
def test_a_configuration_file_and_set(runs, capsys, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text((runs / "vamp" / "config.toml").read_text())
    code, _, _ = call(
        capsys,
        "fit",
        "--config",
        str(config),
        "--epochs",
        "2",
        "--set",
        "training.epochs=1",
        "--out",
        str(tmp_path / "run"),
    )
    assert code == 0
    found = jensen.load(tmp_path / "run").config
    assert found["prior"]["num_components"] == 5
    assert found["training"]["epochs"] == 1  # --set wins over the flag, the flag over the file
