"""Fitting with a run folder: nothing is lost, nothing is executed, and a killed run goes on bit for bit."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import optax
import pytest

import jensen
from jensen.fitting import resume_run
from jensen.runs import RunError
from jensen.training import CheckpointError

KEY = jax.random.key(0)
SMALL = {"name": "dense", "hidden": (16,)}


def binary(rows: int = 240, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.random((rows, 3, 3)) < np.repeat(rng.random((rows, 1, 1)) > 0.5, 9).reshape(rows, 3, 3) * 0.8 + 0.1).astype(np.uint8)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A finished small run and what `fit` returned; tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("fitted") / "run"
    data = jensen.load_dataset(binary())
    model = jensen.vae(data.event_shape, latent_dim=2, network=SMALL, data=data, key=KEY)
    return jensen.fit(model, data, epochs=6, patience=0, key=KEY, out=folder, progress=False), data


@pytest.fixture
def copied(fitted, tmp_path) -> Path:
    shutil.copytree(fitted[0].run.path, tmp_path / "run")
    return tmp_path / "run"


def leaves(model):
    return [np.asarray(a) for a in jax.tree.leaves(model)]


def test_a_run_gives_back_model_config_and_history(fitted):
    fit, _ = fitted
    run = jensen.load(fit.run.path)
    assert all(np.array_equal(a, b) for a, b in zip(leaves(run.model), leaves(fit.model), strict=True))
    assert run.status == "completed"
    assert run.config["training"]["epochs"] == 6
    assert [r["epoch"] for r in run.history] == [1, 2, 3, 4, 5, 6]
    assert run.history == fit.history
    best = max(run.history, key=lambda r: r["validation"]["bound"])
    assert best["epoch"] == run.history[-1]["best_epoch"]
    assert run.account is None


def test_a_run_loads_its_grey_data_as_it_was_told(tmp_path):
    data = jensen.load_dataset("digits", binarise="none")
    model = jensen.vae(data.event_shape, latent_dim=2, likelihood="normal", network=SMALL, data=data, key=KEY)
    jensen.fit(model, data, epochs=1, key=KEY, out=tmp_path / "run", progress=False)
    run = jensen.load(tmp_path / "run")
    assert run.config["data"]["binarise"] == "none"
    assert np.array_equal(run.dataset.test, data.test)
    assert run.record["data"]["levels"] is None


def test_a_run_from_before_grey_values_could_be_had_keeps_its_convention(tmp_path):
    data = jensen.load_dataset("digits")
    model = jensen.vae(data.event_shape, latent_dim=2, network=SMALL, data=data, key=KEY)
    jensen.fit(model, data, epochs=1, key=KEY, out=tmp_path / "run", progress=False)
    # Such runs wrote binarise = "none" for the data set's own convention, and no levels.
    config = tmp_path / "run" / "config.toml"
    config.write_text(config.read_text().replace("[data]\n", '[data]\nbinarise = "none"\n'))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["data"].pop("levels") == 16
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    assert jensen.load(tmp_path / "run").dataset.levels == 16


def test_data_initialised_pseudo_inputs_are_loaded_without_the_data(tmp_path):
    data = jensen.load_dataset(binary())
    prior = {"name": "vamp", "num_components": 7, "initialise": "data", "learn_weights": True}
    model = jensen.vae(data.event_shape, latent_dim=2, network=SMALL, prior=prior, data=data, key=KEY)
    fit = jensen.fit(model, data, epochs=2, key=KEY, out=tmp_path / "run", progress=False)
    assert all(np.array_equal(a, b) for a, b in zip(leaves(jensen.load(tmp_path / "run").model), leaves(fit.model), strict=True))


def test_the_reported_bound_is_that_of_the_best_model(fitted):
    """The best validation bound that training reports is the bound of the model that it returns."""
    from jensen.training.program import Objective, _validate

    fit, data = fitted
    parameters, static = eqx.partition(fit.model, eqx.is_inexact_array)
    objective = Objective(static, jensen.bounds.ELBO(), jensen.gradients.Pathwise(), optax.adam(1e-3), jensen.training.TrainingOptions(), None)
    again = _validate(objective, parameters, jax.numpy.asarray(data.validation), jax.random.split(KEY)[1])
    assert float(again[0]) == pytest.approx(max(r["validation"]["bound"] for r in fit.history), abs=1e-4)


SCRIPT = """
import sys, jax, jensen
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_fitting as t
data = jensen.load_dataset(t.binary())
model = jensen.vae(data.event_shape, latent_dim=2, network=t.SMALL, data=data, key=t.KEY)
print("ready", flush=True)
jensen.fit(model, data, epochs={epochs}, patience=0, batch_size=50, checkpoint_seconds=0, key=t.KEY, out={out!r}, progress=False)
"""


@pytest.mark.timeout(180)
def test_a_run_killed_with_sigkill_resumes_bit_for_bit(tmp_path):
    data = jensen.load_dataset(binary())
    model = jensen.vae(data.event_shape, latent_dim=2, network=SMALL, data=data, key=KEY)
    options = {"epochs": 120, "patience": 0, "batch_size": 50, "key": KEY, "progress": False}
    straight = jensen.fit(model, data, **options)
    out = str(tmp_path / "killed")
    script = SCRIPT.format(tests=str(Path(__file__).parent), out=out, epochs=120)
    process = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "PYTHONWARNINGS": "ignore"})
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(list((tmp_path / "killed" / "checkpoints").glob("*.sha256"))) < 1 and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    run = jensen.load(out)
    assert run.status == "running"
    stopped_at = run.checkpoints.epochs()[-1]
    assert 0 < stopped_at < 120
    run.__dict__["dataset"] = data  # the data came as an array, so they are handed over
    resumed, _ = resume_run(run, progress=False)
    assert [r["epoch"] for r in jensen.load(out).history] == list(range(1, 121))
    strip = lambda history: [{k: v for k, v in r.items() if k != "seconds"} for r in history]  # noqa: E731
    assert strip(resumed.history) == strip(straight.history)
    for kind in ("model", "last"):
        assert all(np.array_equal(a, b) for a, b in zip(leaves(getattr(resumed, kind)), leaves(getattr(straight, kind)), strict=True))


def test_a_folder_that_exists_is_refused(fitted, copied):
    fit, data = fitted
    with pytest.raises(ValueError, match=r"exists. Replace it with --overwrite.*--resume.*--out .*run-2"):
        jensen.fit(fit.last, data, epochs=1, key=KEY, out=copied)
    jensen.fit(fit.last, data, epochs=1, key=KEY, out=copied, overwrite=True, progress=False)
    assert len(jensen.load(copied).history) == 1


def test_a_folder_with_other_things_is_never_overwritten(fitted, tmp_path):
    fit, data = fitted
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="not a run folder; it will not be overwritten"):
        jensen.fit(fit.last, data, epochs=1, key=KEY, out=tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_unreadable_runs(copied, tmp_path):
    with pytest.raises(ValueError, match=r"no run at .*Runs beside it: run"):
        jensen.load(copied.parent / "rum")
    record = json.loads((copied / "run.json").read_text())
    (copied / "run.json").write_text(json.dumps(record | {"format": 99, "jensen": "9.0"}))
    with pytest.raises(RunError, match=r"made by another version of jensen \(9.0, run format 99\)"):
        jensen.load(copied)
    (copied / "run.json").write_text('{"format": 1, "sta')
    with pytest.raises(RunError, match="run is damaged"):
        jensen.load(copied)
    (copied / "run.json").unlink()
    with pytest.raises(RunError, match="only half written"):
        jensen.load(copied)


def test_a_tampered_checkpoint_is_noticed_and_the_previous_offered(fitted, tmp_path):
    _, data = fitted
    model = jensen.vae(data.event_shape, latent_dim=2, network=SMALL, data=data, key=KEY)
    jensen.fit(model, data, epochs=3, patience=0, checkpoint_seconds=0, key=KEY, out=tmp_path / "r", progress=False)
    victim = max((p for p in (tmp_path / "r" / "checkpoints" / "3").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 1
    victim.write_bytes(bytes(raw))
    with pytest.raises(CheckpointError, match=r"checkpoint of epoch 3 .* is damaged .*altered or truncated.*--checkpoint 2"):
        _ = jensen.load(tmp_path / "r").model
    run = jensen.load(tmp_path / "r", checkpoint=2)
    run.__dict__["dataset"] = data
    again, _ = resume_run(run, progress=False)
    straight = jensen.fit(model, data, epochs=3, patience=0, key=KEY, progress=False)
    assert all(np.array_equal(a, b) for a, b in zip(leaves(again.last), leaves(straight.last), strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(leaves(jensen.load(tmp_path / "r").model), leaves(straight.model), strict=True))


def test_code_from_outside_runs_only_when_trusted(fitted, tmp_path, monkeypatch):
    _, data = fitted
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "executed"
    Path("mine.py").write_text(
        "import jax.numpy as jnp\nfrom pathlib import Path\nfrom jensen.priors import AbstractPrior\nfrom jensen.distributions import diagonal_normal\n"
        f"Path({str(marker)!r}).write_text('yes')\n"
        "class Wide(AbstractPrior):\n    scale: float\n    latent_dim: int\n"
        "    def __init__(self, latent_dim: int, *, scale: float = 2.0):\n        self.scale, self.latent_dim = scale, latent_dim\n"
        "    def __call__(self, encoder):\n        return diagonal_normal(jnp.zeros(self.latent_dim), self.scale * jnp.ones(self.latent_dim))\n"
    )
    model = jensen.vae(data.event_shape, latent_dim=2, network=SMALL, prior={"name": "./mine.py", "scale": 3.0}, data=data, key=KEY)
    jensen.fit(model, data, epochs=1, key=KEY, out="run", progress=False)
    marker.unlink()
    sys.modules.pop(next(m for m in sys.modules if m.startswith("jensen_user_mine")))
    with pytest.raises(RunError, match="loading a run executes nothing"):
        _ = jensen.load("run").model
    assert not marker.exists()
    assert jensen.load("run", trust_code=True).model.prior.scale == 3.0
    Path("mine.py").write_text(Path("mine.py").read_text() + "\n# changed")
    with pytest.raises(RunError, match="not the file that"):
        _ = jensen.load("run", trust_code=True).model


def test_a_parts_own_network_from_outside_needs_the_same_trust(fitted, tmp_path, monkeypatch):
    _, data = fitted
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "from jensen.networks import AbstractNetwork\nclass Same(AbstractNetwork):\n    out_size: int\n"
        "    def __init__(self, in_size: int):\n        self.out_size = in_size\n    def __call__(self, x):\n        return x\n"
    )
    model = jensen.vae(data.event_shape, latent_dim=2, network=SMALL, encoder_network="./net.py", data=data, key=KEY)
    jensen.fit(model, data, epochs=1, key=KEY, out="run", progress=False)
    with pytest.raises(RunError, match=r"uses a encoder_network from outside jensen, ./net.py; loading a run executes nothing"):
        _ = jensen.load("run").model
    assert jensen.load("run", trust_code=True).model.encoder.network.out_size == 9
    Path("net.py").write_text(Path("net.py").read_text() + "# changed")
    with pytest.raises(RunError, match="not the file that"):
        _ = jensen.load("run", trust_code=True).model


@pytest.mark.slow
def test_a_run_with_convolutions_resumes_loads_and_is_reported(tmp_path):
    from jensen.config import Config
    from jensen.evaluation import account_of, report_of, start_run

    np.save(tmp_path / "x.npy", binary(60))
    values = {
        "data": {"source": str(tmp_path / "x.npy")},
        "model": {"latent_dim": 2},
        "encoder_network": {"name": "gated_conv", "channels": [3, 2], "kernels": [3, 3], "strides": [1, 2]},
        "decoder": {"name": "pixel_cnn", "num_layers": 2, "channels": 4},
        "training": {"epochs": 1, "batch_size": 20},
        "account": {"num_samples": 30, "num_draws": 2},
    }
    start_run(Config.read(values), tmp_path / "run", overwrite=False, progress=False)
    on, data = resume_run(jensen.load(tmp_path / "run"), epochs=2, progress=False)
    run = jensen.load(tmp_path / "run")
    assert run.config["encoder_network"] == {"name": "gated_conv", "channels": [3, 2], "kernels": [3, 3], "strides": [1, 2]}
    assert run.config["network"]["name"] == "dense"
    assert all(np.array_equal(a, b) for a, b in zip(leaves(run.model), leaves(on.model), strict=True))
    values["training"] |= {"epochs": 2, "warm_up": 0}
    straight, _ = start_run(Config.read(values), tmp_path / "straight", overwrite=False, progress=False)
    assert all(np.array_equal(a, b) for a, b in zip(leaves(on.last), leaves(straight.last), strict=True))
    account = account_of(run, "test", dataset=data)
    assert account.elbo.value == pytest.approx(account.reconstruction.value - account.average_kl.value, abs=1e-9)
    page = report_of(run, dataset=data).read_text()
    assert "autoregressive" in page
    assert "pixels drawn before it" in page


def test_other_data_than_the_runs_are_refused(copied):
    with pytest.raises(RunError, match=r"passed from Python; name the data with --data"):
        _ = jensen.load(copied).dataset


def test_resume_with_nothing_left_to_do(fitted, copied):
    run = jensen.load(copied)
    run.__dict__["dataset"] = fitted[1]
    with pytest.raises(RunError, match=r"has done all its 6 epochs.*--epochs 12"):
        resume_run(run, progress=False)


def test_unknown_training_options_and_shapes(fitted):
    fit, data = fitted
    with pytest.raises(ValueError, match=r"no option 'epoch'.*epochs"):
        jensen.fit(fit.last, data, epoch=3, key=KEY)
    with pytest.raises(ValueError, match=r"data of shape \(3, 3\).*rows of shape \(9,\)"):
        jensen.fit(fit.last, jensen.load_dataset(binary().reshape(-1, 9)), epochs=1, key=KEY)


def test_a_full_disk_leaves_what_was_there(copied, monkeypatch):
    run = jensen.load(copied)

    def full(*_):
        raise OSError(28, "No space left on device", "run.json")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        run.update(status="other")
    monkeypatch.undo()
    assert jensen.load(copied).status == "completed"
    assert not list(copied.glob(".run.json*"))


def test_tensorboard_holds_the_same_figures(tmp_path):
    from tensorboardX.proto.event_pb2 import Event

    from jensen.config import Config
    from jensen.evaluation import start_run

    np.save(tmp_path / "x.npy", binary())
    values = {"data": {"source": str(tmp_path / "x.npy")}, "network": {"hidden": [8]}, "training": {"epochs": 3}, "record": {"tensorboard": True}}
    fit, _ = start_run(Config.read(values), tmp_path / "run", overwrite=False, progress=False)
    raw = next((tmp_path / "run" / "tensorboard").glob("events*")).read_bytes()
    found, at = {}, 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 8], "little")
        event = Event.FromString(raw[at + 12 : at + 12 + size])
        found |= {(v.tag, event.step): v.simple_value for v in event.summary.value}
        at += 16 + size
    for record in fit.history:
        assert found["bound/validation", record["epoch"]] == pytest.approx(record["validation"]["bound"], rel=1e-6)
