"""A small finished run, from a file; a test that changes it takes a copy."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from jensen.config import Config
from jensen.sessions import account_of, start_run
from small_runs import SETTINGS


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    """A folder `run` of four epochs with its account, and beside it the data, x.npy."""
    folder = tmp_path_factory.mktemp("finished")
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32))
    config = Config.read({**SETTINGS, "data": {"source": str(folder / "x.npy")}})
    fit, data = start_run(config, folder / "run", overwrite=False, progress=False)
    account_of(fit.run, "test", dataset=data, model=fit.model)
    return folder / "run"


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of it that a test may change."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"
