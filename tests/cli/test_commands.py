"""The command line as a person uses it: what each command prints, where, and with which exit code."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import jensen
from jensen import cli
from jensen.anatomy._lines import LINES

COMMANDS = ("fit", "account", "evidence", "bounds", "gradients", "compare", "sample", "encode", "report", "reproduce", "datasets")
QUICK = ["--epochs", "3", "--hidden", "16", "--latent-dim", "3", "--set", "account.num_samples=50", "--set", "account.num_draws=3"]


def call(capsys, *arguments: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command."""
    code = cli.run(list(arguments))
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """A folder with two finished runs on digits."""
    folder = tmp_path_factory.mktemp("runs")
    assert cli.run(["fit", "digits", "--out", str(folder / "plain"), *QUICK]) == 0
    vamp = ["--prior", "vamp", "--set", "prior.num_components=5"]
    assert cli.run(["fit", "digits", "--out", str(folder / "vamp"), *QUICK, *vamp]) == 0
    return folder


def test_help_of_every_command_has_an_example_and_a_place_in_the_docs(capsys):
    docs = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    for command in COMMANDS:
        code, out, _ = call(capsys, command, "--help")
        assert code == 0
        assert f"Example: jensen {command}" in out
        assert f"## jensen {command}" in docs
        for option in re.findall(r"(--[a-z][a-z-]+)", out):
            assert option in docs, f"{option} of {command} is not in docs/commands.md"


@pytest.mark.timeout(60)
def test_help_is_fast():
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "from jensen.cli import main; main(['--help'])"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    bare = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import typer"], check=True, capture_output=True)
    bare = time.perf_counter() - bare
    assert min(seconds) < 0.3 + bare  # 0.3 s on a quiet machine; what a busy one takes to start Python and typer is allowed for


def test_help_imports_no_jax():
    code = "import sys\nfrom jensen.cli import run\nrun(['fit', '--help'])\nassert 'jax' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


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
    assert json.loads((tmp_path / "run" / "accounts" / "test.json").read_text()) == first  # the same seed gives the same bits


def test_another_seed_gives_another_run(runs, capsys, tmp_path):
    assert call(capsys, "fit", "digits", "--seed", "7", "--out", str(tmp_path / "run"), *QUICK)[0] == 0
    assert jensen.load(tmp_path / "run").history[0]["train"] != jensen.load(runs / "plain").history[0]["train"]


def test_account_json_is_one_object_with_every_line(runs, capsys):
    code, out, _ = call(capsys, "account", str(runs / "plain"), "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["split"], found["n"]) == ("test", 360)
    assert found["log_n"] == pytest.approx(np.log(360))
    assert found["elbo"]["value"] == pytest.approx(found["reconstruction"]["value"] - found["index_information"]["value"] - found["marginal_kl"]["value"])
    for line in LINES:
        assert found[line]["standard_error"] > 0
    assert found["evidence"]["value"] - found["elbo"]["value"] == pytest.approx(found["jensen_gap"]["value"])
    assert isinstance(found["active_units"], int)
    assert 0 <= found["pareto_k"] <= 1
    assert found["verdicts"]


def test_account_of_another_split_seed_and_size(runs, capsys, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs / "plain", run)
    code, out, _ = call(capsys, "account", str(run), "--split", "train", "--num-samples", "20", "--num-draws", "2", "--out", str(tmp_path / "a.npz"), "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["n"], found["num_samples"], found["num_draws"]) == (1257, 20, 2)
    with np.load(tmp_path / "a.npz") as kept:
        assert kept["elbo"].mean() == pytest.approx(found["elbo"]["value"])
    assert jensen.load(run).stored_account("train").elbo.value == found["elbo"]["value"]
    values = [json.loads(call(capsys, "account", str(run), "--seed", s, "--num-samples", "20", "--json")[1])["elbo"]["value"] for s in ("1", "1", "2")]
    assert values[0] == values[1] != values[2]


def test_evidence_keeps_its_values_per_datum(runs, capsys, tmp_path):
    kept = tmp_path / "values.npz"
    arguments = ["evidence", str(runs / "plain"), "--estimator", "importance", "--num-samples", "150", "--json", "--out", str(kept)]
    code, out, _ = call(capsys, *arguments)
    found = json.loads(out)
    assert code == 0
    assert (found["num_samples"], found["n"]) == (150, 360)
    with np.load(kept) as values:
        assert values["value"].mean() == pytest.approx(found["value"])
        assert np.sqrt((values["standard_error"] ** 2).sum()) / 360 == pytest.approx(found["standard_error"])
    chunked = json.loads(call(capsys, *arguments[:-2], "--chunk", "37")[1])
    assert chunked["value"] == pytest.approx(found["value"], abs=1e-5)


def test_monte_carlo_is_one_option_away(runs, capsys):
    importance, monte_carlo = (
        json.loads(call(capsys, "evidence", str(runs / "plain"), "--estimator", e, "--num-samples", "500", "--json")[1]) for e in ("importance", "monte_carlo")
    )
    # After three epochs the posterior is close to the prior, so both serve: they must agree, but they are different draws.
    assert monte_carlo["estimator"] == "monte_carlo"
    difference = monte_carlo["value"] - importance["value"]
    assert 0 < abs(difference) < 5 * np.hypot(importance["standard_error"], monte_carlo["standard_error"])
    _, out, _ = call(capsys, "evidence", str(runs / "plain"), "--no-sandwich", "--num-samples", "30")
    assert re.search(r"log p\(x\) = -\d+\.\d+ \+- \d+\.\d+ nats per datum \(importance, 30 samples, 360 test data\)", out)


def test_compare_is_paired(runs, capsys):
    code, out, _ = call(capsys, "compare", str(runs / "plain"), str(runs / "vamp"), "--json")
    found = json.loads(out)
    assert code == 0
    a, b = (jensen.load(runs / r).account.elbo.per_datum for r in ("plain", "vamp"))
    assert found["elbo"]["difference"] == pytest.approx((b - a).mean())
    assert found["elbo"]["standard_error"] == pytest.approx((b - a).std(ddof=1) / np.sqrt(360))
    _, text, _ = call(capsys, "compare", str(runs / "plain"), str(runs / "vamp"))
    assert f"{found['elbo']['difference']:+.3f}" in text
    code, _, err = call(capsys, "compare", str(runs / "plain"), str(runs / "vamp"), "--split", "tset")
    assert code == 2
    assert "did you mean 'test'" in err


def test_sample_goes_through_the_prior_and_is_reproducible(runs, capsys, tmp_path):
    drawn = []
    for seed in ("1", "1", "2"):
        out = tmp_path / f"s{len(drawn)}.npz"
        assert call(capsys, "sample", str(runs / "vamp"), "--num-samples", "300", "--seed", seed, "--out", str(out))[0] == 0
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
    code, out, _ = call(capsys, "encode", str(runs / "plain"), "--split", "validation", "--out", str(tmp_path / "c.csv"), "--json")
    assert code == 0
    assert json.loads(out) == {"n": 180, "latent_dim": 3, "split": "validation", "written": str(tmp_path / "c.csv")}
    lines = (tmp_path / "c.csv").read_text().splitlines()
    assert lines[0].startswith("mean_0,mean_1,mean_2,scale_0,scale_1,scale_2")
    model, data = jensen.load(runs / "plain").model, jensen.load_dataset("digits")
    q = model.encoder(jnp.asarray(data.validation[4]))
    row = np.array([float(v) for v in lines[5].split(",")[:6]])
    assert np.allclose(row, np.concatenate([q.base_dist.loc, q.base_dist.scale]), rtol=1e-4, atol=1e-5)


def test_report_and_datasets(runs, capsys):
    code, out, _ = call(capsys, "report", str(runs / "plain"), "--json")
    assert code == 0
    assert Path(json.loads(out)["report"]).read_text().startswith("<!")
    code, out, _ = call(capsys, "datasets", "--json")
    assert code == 0
    assert {d["name"] for d in json.loads(out)["datasets"]} >= {"digits", "mnist"}
    assert "digits" in call(capsys, "datasets")[1]


def test_datasets_lists_everything_in_80_columns(capsys, tmp_path):
    folder = tmp_path / "caltech101"
    folder.mkdir()
    (folder / "caltech101_silhouettes_28_split1.mat").touch()
    code, out, _ = call(capsys, "datasets", "--data-dir", str(tmp_path))
    found = json.loads(call(capsys, "datasets", "--data-dir", str(tmp_path), "--json")[1])["datasets"]
    assert code == 0
    rows = {line.split()[0]: line for line in out.splitlines() if line and not line.startswith(" ")}
    for d in found:
        row, sizes, shape = rows[d["name"]], "/".join(f"{n:,}" for n in d["sizes"]), "x".join(map(str, d["event_shape"]))
        assert row.split()[1:4] == [sizes, shape, d["values"]]
        assert ("found" in row or "bundled" in row) and "not found" not in row if d["found"] else "download" in row or "not found" in row
    licences = " ".join(out.partition("Licences:")[2].split())
    for d in found:
        assert d["name"] in licences and d["licence"] in licences
    assert f"{folder}: caltech101" in " ".join(out.split())
    assert all(len(line) <= 80 or str(tmp_path) in line for line in out.splitlines())


def test_datasets_tells_all_of_one(capsys):
    code, out, _ = call(capsys, "datasets", "frey_faces")
    text = " ".join(out.split())
    assert code == 0
    assert "data.binarise=none|dynamic|threshold; data.split=random|contiguous (the first is the default)" in text
    assert "freyfaces_u8.npy" in text and "frey_rawface.mat" in text
    assert "1,565/200/200" in text
    assert "to be downloaded from https://github.com/yburda" in " ".join(call(capsys, "datasets", "omniglot")[1].split())
    assert [d["name"] for d in json.loads(call(capsys, "datasets", "density/nltcs", "--json")[1])["datasets"]] == ["density/nltcs"]
    code, _, err = call(capsys, "datasets", "nltcs")
    assert code == 2
    assert "did you mean 'density/nltcs'?" in err


@pytest.mark.slow
def test_a_data_set_with_a_slash_in_its_name(capsys, tmp_path, monkeypatch):
    from jensen.datasets import density

    monkeypatch.setitem(density._TABLES, "dna", ("pairs", 5, 60, 20, 20))
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for part, rows in (("train", 60), ("valid", 20), ("test", 20)):
        np.savetxt(tmp_path / f"dna.{part}.data", rng.integers(0, 2, (rows, 5)), fmt="%d", delimiter=",")
    assert call(capsys, "fit", "density/dna", "--data-dir", str(tmp_path), *QUICK)[0] == 0
    run = jensen.load(tmp_path / "runs" / "density-dna")
    assert run.config["data"]["source"] == "density/dna"
    assert run.dataset.name == "density/dna"
    (tmp_path / "again.toml").write_text((run.path / "config.toml").read_text())
    assert call(capsys, "fit", "--config", "again.toml", "--out", "again")[0] == 0
    assert jensen.load("again").record["data"]["fingerprints"] == run.record["data"]["fingerprints"]
    code, _, err = call(capsys, "fit", "density/dns", "--data-dir", str(tmp_path), *QUICK)
    assert code == 2
    assert "did you mean 'density/dna'?" in err


def test_a_users_table_from_file_to_account(capsys, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 4)) * 50 + 300 + rng.normal(size=(300, 4))
    np.savetxt(tmp_path / "t.csv", x, delimiter=",", header="a,b,c,d", comments="")
    table = str(tmp_path / "t.csv")
    run = str(tmp_path / "run")
    assert call(capsys, "fit", table, "--likelihood", "normal", "--out", run, *QUICK)[0] == 0
    code, out, _ = call(capsys, "account", run, "--json")
    assert code == 0
    assert json.loads(out)["n"] == 30
    code, out, _ = call(capsys, "account", run, "--data", table, "--json")  # the same data by name: the same figures
    assert json.loads(out)["elbo"]["value"] == jensen.load(run).account.elbo.value
    Path(table).write_text(Path(table).read_text().replace("\n3", "\n4", 1))
    code, _, err = call(capsys, "account", run)
    assert code == 1
    assert "fingerprints differ" in err


def test_a_configuration_file_and_set(runs, capsys, tmp_path):
    config = tmp_path / "c.toml"
    config.write_text((runs / "vamp" / "config.toml").read_text())
    code, _, _ = call(capsys, "fit", "--config", str(config), "--epochs", "2", "--set", "training.epochs=1", "--out", str(tmp_path / "run"))
    assert code == 0
    found = jensen.load(tmp_path / "run").config
    assert found["prior"]["num_components"] == 5
    assert found["training"]["epochs"] == 1  # --set wins over the flag, the flag over the file


def test_resume_extends_a_finished_run(runs, capsys, tmp_path):
    shutil.copytree(runs / "plain", tmp_path / "run")
    code, _, err = call(capsys, "fit", "--resume", str(tmp_path / "run"))
    assert code == 1
    assert "has done all its 3 epochs" in err
    assert call(capsys, "fit", "--resume", str(tmp_path / "run"), "--epochs", "5")[0] == 0
    assert [r["epoch"] for r in jensen.load(tmp_path / "run").history] == [1, 2, 3, 4, 5]
    code, _, err = call(capsys, "fit", "--resume", str(tmp_path / "run"), "--prior", "vamp")
    assert code == 2
    assert "only --epochs and --patience may change (prior may not)" in err


def test_a_diverging_run_exits_with_1_and_says_where(capsys, tmp_path):
    arguments = ["--learning-rate", "1e6", "--warm-up", "0", "--epochs", "60"]
    code, out, err = call(capsys, "fit", "digits", *arguments, "--out", str(tmp_path / "run"), "--hidden", "16", "--set", "encoder.max_log_scale=90", "--json")
    assert code == 1
    assert json.loads(out)["status"] == "diverged"
    assert re.search(r"epoch \d+, batch \d+ of 13, was not finite", err)
    assert jensen.load(tmp_path / "run").status == "diverged"
    assert all(np.isfinite(r["train"]["bound"]) for r in jensen.load(tmp_path / "run").history)


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
        (["fit", "digits", "--set", "prior.num_components=200"], "prior.num_components does not exist for the prior 'standard_normal'"),
        (["fit", "digits", "--checkpoint", "3"], "--checkpoint goes with --resume"),
        (["fit", "digits", "--config", "nowhere.toml"], "no such configuration file"),
        (["account", "nowhere"], "no run at nowhere"),
        (["evidence", "PLAIN", "--num-samples", "1"], "num_samples must be at least 2.*got 1"),
        (["evidence", "PLAIN", "--estimator", "importanc"], "did you mean 'importance'"),
        (["evidence", "PLAIN", "--num-samples", "9", "--out", "values.txt"], r"ends in .npz or .csv"),
        (["account", "PLAIN", "--split", "testing"], "unknown split 'testing'"),
        (["account", "PLAIN", "--frobnicate"], "No such option"),
        (["accont"], "No such command"),
    ],
)
def test_wrong_input_exits_with_2_and_says_what_to_do(runs, capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = call(capsys, *[str(runs / "plain") if a == "PLAIN" else a for a in arguments])
    assert code == 2
    assert re.search(message, " ".join(err.split())), err
    assert out == ""
    assert not list(tmp_path.iterdir())  # nothing was written before the checks had passed


def test_grey_data_for_a_binary_likelihood(capsys, tmp_path):
    np.save(tmp_path / "grey.npy", np.random.default_rng(0).random((50, 4)).astype(np.float32))
    code, _, err = call(capsys, "fit", str(tmp_path / "grey.npy"), "--out", str(tmp_path / "run"), *QUICK)
    assert code == 2
    assert "outside the support of the bernoulli likelihood (0 and 1)" in err
    assert "normal (all real numbers)" in err and "--likelihood NAME" in err
    assert "--set data.binarise=dynamic" in err
    assert call(capsys, "fit", str(tmp_path / "grey.npy"), "--out", str(tmp_path / "run"), "--set", "data.binarise=dynamic", *QUICK)[0] == 0


def test_a_traceback_is_shown_with_debug_only(capsys):
    assert "Traceback" not in call(capsys, "account", "nowhere")[2]
    with pytest.raises(ValueError, match="no run at nowhere"):
        cli.run(["account", "nowhere", "--debug"])


def test_a_full_disk_is_named(runs, capsys, monkeypatch):
    import os

    def full(*_):
        raise OSError(28, "No space left on device", "account")

    monkeypatch.setattr(os, "replace", full)
    code, _, err = call(capsys, "account", str(runs / "plain"), "--num-samples", "5", "--num-draws", "1")
    assert code == 1
    assert "no space left" in err
    assert "Traceback" not in err


def test_ctrl_c_in_the_last_epoch_leaves_a_complete_run_and_says_what_is_missing(tmp_path, capsys, monkeypatch):
    from jensen.progress import FitProgress

    shown = FitProgress.epoch

    def stop(self, record):
        shown(self, record)
        if record["epoch"] == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(FitProgress, "epoch", stop)
    run = tmp_path / "run"
    code, _, err = call(capsys, "fit", "digits", "--out", str(run), *QUICK)
    assert code == 130
    assert f"The training is complete; its account was not made. Make it with: jensen account {run}" in err
    assert jensen.load(run).status == "completed"
    assert call(capsys, "account", str(run), "--num-samples", "5", "--num-draws", "1")[0] == 0


@pytest.mark.timeout(180)
def test_ctrl_c_saves_says_how_to_resume_and_exits_with_130(tmp_path, capsys):
    run = tmp_path / "run"
    code = f"import sys; from jensen.cli import main; main(['fit', 'digits', '--epochs', '100000', '--patience', '0', '--hidden', '16', '--out', {str(run)!r}])"
    with (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen([sys.executable, "-c", code], stderr=err)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not ((run / "metrics.jsonl").exists() and (run / "metrics.jsonl").stat().st_size) and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    err = (tmp_path / "err").read_text()
    assert f"Saved. Go on with: jensen fit --resume {run}" in err
    assert "Traceback" not in err
    done = len(jensen.load(run).history)
    assert jensen.load(run).status == "interrupted"
    assert jensen.load(run).checkpoints.epochs() == [done]
    assert call(capsys, "fit", "--resume", str(run), "--epochs", str(done + 1))[0] == 0
    assert [r["epoch"] for r in jensen.load(run).history] == list(range(1, done + 2))
