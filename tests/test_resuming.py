"""A run that was killed, damaged or stopped goes on bit for bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import jensen
from jensen._notes import Note
from jensen.sessions import resume_run
from jensen.training import CheckpointError
from small_runs import KEY, SMALL, binary, leaves

SCRIPT = """
import sys, jax, jensen
from pathlib import Path
sys.path.insert(0, {tests!r})
import small_runs as t
data = jensen.load_dataset(t.binary())
model = jensen.vae(data.event_shape, latent_dim=2, network=t.SMALL, data=data, key=t.KEY)
print("ready", flush=True)
jensen.fit(model, data, epochs={epochs}, patience=0, batch_size=50, checkpoint_seconds=0, key=t.KEY, out={out!r}, progress=False)
"""


@pytest.mark.timeout(180)
def test_a_run_killed_with_sigkill_resumes_bit_for_bit(tmp_path):
    data = jensen.load_dataset(binary())
    model = jensen.vae(data.event_shape, latent_dim=2, network=SMALL, data=data, key=KEY)
    options = {"epochs": 40, "patience": 0, "batch_size": 50, "key": KEY, "progress": False}
    straight = jensen.fit(model, data, **options)
    out = str(tmp_path / "killed")
    script = SCRIPT.format(tests=str(Path(__file__).parent), out=out, epochs=40)
    process = subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONWARNINGS": "ignore"}
    )
    deadline = time.monotonic() + 120
    while (
        time.monotonic() < deadline
        and len(list((tmp_path / "killed" / "checkpoints").glob("*.sha256"))) < 1
        and process.poll() is None
    ):
        time.sleep(0.01)
    time.sleep(0.1)  # no epoch's checkpoint is written in 3 ms: the 40th is still to come
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    run = jensen.load(out)
    assert run.status == "running"
    stopped_at = run.checkpoints.epochs()[-1]
    assert 0 < stopped_at < 40
    run.__dict__["dataset"] = data  # the data came as an array, so they are handed over
    with pytest.warns(Note, match=rf"process {process.pid} on .* died while it wrote"):
        resumed, _ = resume_run(run, progress=False)
    assert not (run.path / ".lock").exists()
    assert [r["epoch"] for r in jensen.load(out).history] == list(range(1, 41))
    strip = lambda history: [{k: v for k, v in r.items() if k != "seconds"} for r in history]  # noqa: E731
    assert strip(resumed.history) == strip(straight.history)
    for kind in ("model", "last"):
        assert all(
            np.array_equal(a, b)
            for a, b in zip(
                leaves(getattr(resumed, kind)), leaves(getattr(straight, kind)), strict=True
            )
        )


def test_a_tampered_checkpoint_is_noticed_and_the_previous_offered(tmp_path):
    data = jensen.load_dataset(binary())
    model = jensen.vae(data.event_shape, latent_dim=2, network=SMALL, data=data, key=KEY)
    jensen.fit(
        model,
        data,
        epochs=3,
        patience=0,
        checkpoint_seconds=0,
        key=KEY,
        out=tmp_path / "r",
        progress=False,
    )
    victim = max(
        (p for p in (tmp_path / "r" / "checkpoints" / "3").rglob("*") if p.is_file()),
        key=lambda p: p.stat().st_size,
    )
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 1
    victim.write_bytes(bytes(raw))
    with pytest.raises(
        CheckpointError,
        match=r"checkpoint of epoch 3 .* is damaged .*altered or truncated.*--checkpoint 2",
    ):
        _ = jensen.load(tmp_path / "r").model
    run = jensen.load(tmp_path / "r", checkpoint=2)
    run.__dict__["dataset"] = data
    again, _ = resume_run(run, progress=False)
    straight = jensen.fit(model, data, epochs=3, patience=0, key=KEY, progress=False)
    assert all(
        np.array_equal(a, b) for a, b in zip(leaves(again.last), leaves(straight.last), strict=True)
    )
    assert all(
        np.array_equal(a, b)
        for a, b in zip(
            leaves(jensen.load(tmp_path / "r").model), leaves(straight.model), strict=True
        )
    )


@pytest.mark.slow
def test_a_run_with_convolutions_resumes_loads_and_is_reported(tmp_path):
    from jensen.config import Config
    from jensen.sessions import account_of, report_of, start_run

    np.save(tmp_path / "x.npy", binary(60))
    values = {
        "data": {"source": str(tmp_path / "x.npy")},
        "model": {"latent_dim": 2},
        "encoder_network": {
            "name": "gated_conv",
            "channels": [3, 2],
            "kernels": [3, 3],
            "strides": [1, 2],
        },
        "decoder": {"name": "pixel_cnn", "num_layers": 2, "channels": 4},
        "training": {"epochs": 1, "batch_size": 20},
        "account": {"num_samples": 30, "num_draws": 2},
    }
    start_run(Config.read(values), tmp_path / "run", overwrite=False, progress=False)
    on, data = resume_run(jensen.load(tmp_path / "run"), epochs=2, progress=False)
    run = jensen.load(tmp_path / "run")
    assert run.config["encoder_network"] == {
        "name": "gated_conv",
        "channels": [3, 2],
        "kernels": [3, 3],
        "strides": [1, 2],
    }
    assert run.config["network"]["name"] == "dense"
    assert all(
        np.array_equal(a, b) for a, b in zip(leaves(run.model), leaves(on.model), strict=True)
    )
    values["training"] |= {"epochs": 2, "warm_up": 0}
    straight, _ = start_run(
        Config.read(values), tmp_path / "straight", overwrite=False, progress=False
    )
    assert all(
        np.array_equal(a, b) for a, b in zip(leaves(on.last), leaves(straight.last), strict=True)
    )
    account = account_of(run, "test", dataset=data)
    assert account.elbo.value == pytest.approx(
        account.reconstruction.value - account.average_kl.value, abs=1e-9
    )
    page = report_of(run, dataset=data).read_text()
    assert "autoregressive" in page
    assert "pixels drawn before it" in page
