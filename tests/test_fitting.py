"""Fitting with a run folder: what it holds, and what is refused before anything is lost."""

import json
import os
import shutil
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import optax
import pytest

import jensen
from jensen.runs import RunError
from jensen.sessions import resume_run
from small_runs import KEY, SMALL, binary, leaves


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


def test_a_run_gives_back_model_config_and_history(fitted):
    fit, _ = fitted
    run = jensen.load(fit.run.path)
    assert all(
        np.array_equal(a, b) for a, b in zip(leaves(run.model), leaves(fit.model), strict=True)
    )
    assert run.status == "completed"
    assert run.config["training"]["epochs"] == 6
    assert [r["epoch"] for r in run.history] == [1, 2, 3, 4, 5, 6]
    assert run.history == fit.history
    best = max(run.history, key=lambda r: r["validation"]["bound"])
    assert best["epoch"] == run.history[-1]["best_epoch"]
    assert run.account is None


def test_the_reported_bound_is_that_of_the_best_model(fitted):
    """The best validation bound that training reports is the bound of the model that it returns."""
    from jensen.training.program import Objective, _validate

    fit, data = fitted
    parameters, static = eqx.partition(fit.model, eqx.is_inexact_array)
    objective = Objective(
        static,
        jensen.bounds.ELBO(),
        jensen.gradients.Pathwise(),
        optax.adam(1e-3),
        jensen.training.TrainingOptions(),
        None,
    )
    again = _validate(
        objective, parameters, jax.numpy.asarray(data.validation), jax.random.split(KEY)[1]
    )
    assert float(again[0]) == pytest.approx(
        max(r["validation"]["bound"] for r in fit.history), abs=1e-4
    )


def test_a_folder_that_exists_is_refused(fitted, copied):
    fit, data = fitted
    message = r"exists. Replace it with overwrite=True.*jensen.sessions.resume_run\(.*out='.*run-2'"
    with pytest.raises(ValueError, match=message):
        jensen.fit(fit.last, data, epochs=1, key=KEY, out=copied)
    jensen.fit(fit.last, data, epochs=1, key=KEY, out=copied, overwrite=True, progress=False)
    assert len(jensen.load(copied).history) == 1


def test_a_folder_with_other_things_is_never_overwritten(fitted, tmp_path):
    fit, data = fitted
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"will not be overwritten: .*thesis.tex is nothing that"):
        jensen.fit(fit.last, data, epochs=1, key=KEY, out=tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_unreadable_runs(copied, tmp_path):
    with pytest.raises(ValueError, match=r"no run at .*Runs beside it: run"):
        jensen.load(copied.parent / "rum")
    record = json.loads((copied / "run.json").read_text())
    del record["sha256"]
    (copied / "run.json").write_text(json.dumps(record | {"format": 99, "jensen": "9.0"}))
    with pytest.raises(RunError, match=r"made by another version of jensen \(9.0, run format 99\)"):
        jensen.load(copied)
    (copied / "run.json").write_text('{"format": 1, "sta')
    with pytest.raises(RunError, match="run is damaged"):
        jensen.load(copied)
    (copied / "run.json").unlink()
    with pytest.raises(RunError, match="only half written"):
        jensen.load(copied)


def test_other_data_than_the_runs_are_refused(copied):
    with pytest.raises(RunError, match=r"passed from Python; name the data with --data"):
        _ = jensen.load(copied).dataset


def test_resume_with_nothing_left_to_do(fitted, copied):
    run = jensen.load(copied)
    run.__dict__["dataset"] = fitted[1]
    with pytest.raises(RunError, match=r"has done all its 6 epochs.*: epochs=12"):
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
    from jensen.sessions import start_run

    np.save(tmp_path / "x.npy", binary())
    values = {
        "data": {"source": str(tmp_path / "x.npy")},
        "network": {"hidden": [8]},
        "training": {"epochs": 3},
        "record": {"tensorboard": True},
    }
    fit, _ = start_run(Config.read(values), tmp_path / "run", overwrite=False, progress=False)
    raw = next((tmp_path / "run" / "tensorboard").glob("events*")).read_bytes()
    found, at = {}, 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 8], "little")
        event = Event.FromString(raw[at + 12 : at + 12 + size])
        found |= {(v.tag, event.step): v.simple_value for v in event.summary.value}
        at += 16 + size
    for record in fit.history:
        assert found["bound/validation", record["epoch"]] == pytest.approx(
            record["validation"]["bound"], rel=1e-6
        )
