"""Runs that stop: at their end, by a signal, by a divergence, by a full disk; and how they go on."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import jensen
from command_line import QUICK, call

pytestmark = pytest.mark.usefixtures("without_drawing")


def test_resume_extends_a_finished_run(plain, capsys, tmp_path):
    shutil.copytree(plain, tmp_path / "run")
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
    code, out, err = call(
        capsys,
        "fit",
        "digits",
        *arguments,
        "--out",
        str(tmp_path / "run"),
        "--hidden",
        "16",
        "--set",
        "encoder.max_log_scale=90",
        "--json",
    )
    assert code == 1
    assert json.loads(out)["status"] == "diverged"
    assert re.search(r"epoch \d+, batch \d+ of 13, was not finite", err)
    assert jensen.load(tmp_path / "run").status == "diverged"
    assert all(np.isfinite(r["train"]["bound"]) for r in jensen.load(tmp_path / "run").history)


def test_a_full_disk_is_named(plain, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "account")

    monkeypatch.setattr(os, "replace", full)
    code, _, err = call(capsys, "account", str(plain), "--num-samples", "5", "--num-draws", "1")
    assert code == 1
    assert "no space left" in err
    assert "Traceback" not in err


def test_ctrl_c_in_the_last_epoch_leaves_a_complete_run_and_says_what_is_missing(
    tmp_path, capsys, monkeypatch
):
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
    assert (
        "The training is complete; its account and report were not made. Make them with: "
        f"jensen fit --resume {run}"
    ) in err
    assert jensen.load(run).status == "completed"
    record = jensen.load(run).record
    assert call(capsys, "fit", "--resume", str(run))[0] == 0
    assert jensen.load(run).record == record  # nothing was trained
    assert jensen.load(run).account.n == 360
    assert (run / "report.html").exists()


@pytest.mark.timeout(180)
def test_ctrl_c_saves_says_how_to_resume_and_exits_with_130(tmp_path, capsys):
    run = tmp_path / "run"
    code = f"import sys; from jensen.cli import main; main(['fit', 'digits', '--epochs', '100000', '--patience', '0', '--hidden', '16', '--out', {str(run)!r}])"
    with (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen([sys.executable, "-c", code], stderr=err)
    deadline = time.monotonic() + 120
    while (
        time.monotonic() < deadline
        and not ((run / "metrics.jsonl").exists() and (run / "metrics.jsonl").stat().st_size)
        and process.poll() is None
    ):
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
