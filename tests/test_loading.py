"""A run is loaded as it was made, without its data; nothing from outside is executed unless it is trusted."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import jensen
from jensen._notes import Note
from jensen.runs import RunError
from small_runs import KEY, SMALL, binary, leaves


def test_a_run_loads_its_grey_data_as_it_was_told(tmp_path):
    data = jensen.load_dataset("digits", binarise="none")
    model = jensen.vae(
        data.event_shape, latent_dim=2, likelihood="normal", network=SMALL, data=data, key=KEY
    )
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
    text = config.read_text().partition("\n")[2]  # nor checksums
    config.write_text(text.replace("[data]\n", '[data]\nbinarise = "none"\n'))
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    del record["sha256"]
    assert record["data"].pop("levels") == 16
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    with pytest.warns(Note, match=r"no checksum in run.json and config.toml \(an older version"):
        run = jensen.load(tmp_path / "run")
    assert run.dataset.levels == 16


def test_data_initialised_pseudo_inputs_are_loaded_without_the_data(tmp_path):
    data = jensen.load_dataset(binary())
    prior = {"name": "vamp", "num_components": 7, "initialise": "data", "learn_weights": True}
    model = jensen.vae(
        data.event_shape, latent_dim=2, network=SMALL, prior=prior, data=data, key=KEY
    )
    fit = jensen.fit(model, data, epochs=2, key=KEY, out=tmp_path / "run", progress=False)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(leaves(jensen.load(tmp_path / "run").model), leaves(fit.model), strict=True)
    )


def test_code_from_outside_runs_only_when_trusted(tmp_path, monkeypatch):
    data = jensen.load_dataset(binary())
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "executed"
    Path("mine.py").write_text(
        "import jax.numpy as jnp\nfrom pathlib import Path\nfrom jensen.priors import AbstractPrior\nfrom jensen.distributions import diagonal_normal\n"
        f"Path({str(marker)!r}).write_text('yes')\n"
        "class Wide(AbstractPrior):\n    scale: float\n    latent_dim: int\n"
        "    def __init__(self, latent_dim: int, *, scale: float = 2.0):\n        self.scale, self.latent_dim = scale, latent_dim\n"
        "    def __call__(self, encoder):\n        return diagonal_normal(jnp.zeros(self.latent_dim), self.scale * jnp.ones(self.latent_dim))\n"
    )
    model = jensen.vae(
        data.event_shape,
        latent_dim=2,
        network=SMALL,
        prior={"name": "./mine.py", "scale": 3.0},
        data=data,
        key=KEY,
    )
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


def test_a_parts_own_network_from_outside_needs_the_same_trust(tmp_path, monkeypatch):
    data = jensen.load_dataset(binary())
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(
        "from jensen.networks import AbstractNetwork\nclass Same(AbstractNetwork):\n    out_size: int\n"
        "    def __init__(self, in_size: int):\n        self.out_size = in_size\n    def __call__(self, x):\n        return x\n"
    )
    model = jensen.vae(
        data.event_shape,
        latent_dim=2,
        network=SMALL,
        encoder_network="./net.py",
        data=data,
        key=KEY,
    )
    jensen.fit(model, data, epochs=1, key=KEY, out="run", progress=False)
    with pytest.raises(
        RunError,
        match=r"the encoder_network of run is code from outside jensen, ./net.py; loading a run "
        "executes nothing",
    ):
        _ = jensen.load("run").model
    assert jensen.load("run", trust_code=True).model.encoder.network.out_size == 9
    Path("net.py").write_text(Path("net.py").read_text() + "# changed")
    with pytest.raises(RunError, match="not the file that"):
        _ = jensen.load("run", trust_code=True).model
