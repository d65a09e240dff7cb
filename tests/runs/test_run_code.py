"""Loading a run executes nothing, whatever section of whatever file names code."""

import json
import os
import py_compile
import sys
import tomllib
from pathlib import Path

import pytest
import tomli_w

import jensen
from command_line import call
from jensen._checksums import to_checked_json, to_checked_toml
from jensen._rooms import ROOMS, file_digest
from jensen.config import Config
from jensen.runs import RunError, UntrustedCodeError
from jensen.sessions import resume_run, start_run
from small_runs import SETTINGS, every_byte

EVIL = "from pathlib import Path\nPath({marker!r}).write_text('executed')\n"
MODEL = [section for section in ROOMS if section not in ("bound", "gradient")]
FIT = [
    ["fit", "--resume", "RUN", "--epochs", "5"],
    ["fit", "--config", "RUN/config.toml", "--out", "other", "--epochs", "1"],
]
WITH_DATA = [
    ["account", "RUN", "--num-samples", "5"],
    ["account", "RUN", "--try", "mixture"],
    ["report", "RUN"],
    ["evidence", "RUN", "--num-samples", "5", "--no-sandwich"],
    ["bounds", "RUN"],
    ["gradients", "RUN", "--draws", "20"],
    ["encode", "RUN"],
    ["compare", "RUN", "RUN", "--split", "train"],
]
# The commands that build what a section names; the others do without it.
COMMANDS = {
    "data": [*FIT, *WITH_DATA],
    "bound": [*FIT, ["gradients", "RUN", "--draws", "20"]],
    "gradient": FIT,
    **{section: [*FIT, *WITH_DATA, ["sample", "RUN"]] for section in MODEL},
}


def plant(run: Path, section: str, key: str, marker: Path) -> Path:
    """Names a planted file in a section of both config.toml and the recipe, checksums and all, as
    whoever made the folder could."""
    evil = run / "evil.py"
    evil.write_text(EVIL.format(marker=str(marker)))
    config = tomllib.loads((run / "config.toml").read_text())
    config.setdefault(section, {})[key] = str(evil)
    (run / "config.toml").write_text(to_checked_toml(tomli_w.dumps(config)))
    record = json.loads((run / "run.json").read_text())
    del record["sha256"]
    if section in MODEL:
        record["recipe"].setdefault(section, {})[key] = str(evil)
    (run / "run.json").write_text(to_checked_json(record))
    return evil


@pytest.mark.parametrize("section", COMMANDS)
def test_no_command_executes_what_a_section_names(run, tmp_path, monkeypatch, capsys, section):
    monkeypatch.chdir(tmp_path)
    marker = tmp_path / "executed"
    plant(run, section, "source" if section == "data" else "name", marker)
    before = every_byte(run)
    for command in COMMANDS[section]:
        arguments = [part.replace("RUN", str(run)) for part in command]
        code, _, err = call(capsys, *arguments)
        assert not marker.exists(), command
        assert code == 2, (command, err)
        assert f"the {section} of {run} is code from outside jensen" in err
        assert "say --trust-code" in err
        # Trust without the recorded checksum is not enough: nobody fitted with this file.
        code, _, err = call(capsys, *arguments, "--trust-code")
        assert not marker.exists(), command
        assert code == 2, (command, err)
        assert "the run holds no checksum of it" in err
    assert every_byte(run) == before
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("section", ["data", *ROOMS])
def test_no_attribute_executes_what_a_section_names(run, tmp_path, section):
    marker = tmp_path / "executed"
    plant(run, section, "source" if section == "data" else "name", marker)
    loaded = jensen.load(run)
    assert len(loaded.history) == 4  # what needs no code is there
    if section == "data":
        with pytest.raises(UntrustedCodeError, match="the data of"):
            _ = loaded.dataset
    elif section in MODEL:
        with pytest.raises(UntrustedCodeError, match=f"the {section} of"):
            _ = loaded.model
    else:
        with pytest.raises(UntrustedCodeError, match=f"the {section} of"):
            resume_run(loaded, epochs=5, progress=False)
    assert not marker.exists()


SOURCE = """
import numpy as np
from jensen.datasets import AbstractSource, Dataset

class Coins(AbstractSource):
    def load(self, *, files):
        rows = np.random.default_rng(5).normal(size=(60, 3)).astype(np.float32)
        return Dataset("coins", rows[:40], rows[40:50], rows[50:])
"""
BOUND = """
import jax.numpy as jnp
from jensen.bounds import AbstractBound
from typing import ClassVar

class Half(AbstractBound):
    guarantee: ClassVar = "lower"

    def __call__(self, log_w):
        return jnp.mean(log_w) - 0.5
"""


def test_data_and_bound_of_ones_own_work_where_they_are_trusted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("coins.py").write_text(SOURCE)
    Path("half.py").write_text(BOUND)
    sections = {"data": {"source": "coins.py"}, "bound": {"name": "half.py"}}
    start_run(Config.read(SETTINGS | sections), Path("run"), overwrite=False, progress=False)
    digests = {
        "half.py": file_digest(Path("half.py")),
        str(tmp_path / "coins.py"): file_digest(Path("coins.py")),
    }
    assert jensen.load("run").record["code"] == digests
    for name in [m for m in sys.modules if m.startswith("jensen_user_")]:
        del sys.modules[name]
    with pytest.raises(UntrustedCodeError):
        resume_run(jensen.load("run"), epochs=5, progress=False)
    assert not [m for m in sys.modules if m.startswith("jensen_user_")]
    resume_run(jensen.load("run", trust_code=True), epochs=5, progress=False)
    assert len(jensen.load("run").history) == 5
    # A run's configuration is as little trusted where another run is made of it.
    again = ["fit", "--config", "run/config.toml", "--out", "again"]
    assert call(capsys, *again)[0] == 2
    assert not Path("again").exists()
    config = Config.read(jensen.load("run", trust_code=True).config)
    start_run(config, Path("again"), overwrite=False, progress=False)
    assert jensen.load("again").record["code"] == digests
    Path("half.py").write_text(BOUND.replace("0.5", "0.25"))
    with pytest.raises(RunError, match="is not the file that the run was fitted with"):
        resume_run(jensen.load("run", trust_code=True), epochs=6, progress=False)
    Path("coins.py").write_text(SOURCE + "\n# changed")
    with pytest.raises(RunError, match=r"the data of run .* is not the file"):
        _ = jensen.load("run", trust_code=True).dataset


def test_the_bytes_that_were_checked_are_what_runs(tmp_path, monkeypatch):
    """Bytecode beside a file (__pycache__) could hold another program than the file."""
    from jensen._rooms import module_from_file

    mine = tmp_path / "mine.py"
    mine.write_text("value = 'evil'\n")
    compiled = py_compile.compile(str(mine), doraise=True)
    stamp = mine.stat()
    mine.write_text("value = 'good'\n")
    os.utime(mine, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert Path(compiled).exists()
    assert module_from_file(str(mine)).value == "good"


def test_copies_of_a_recorded_name_are_checked_as_well(finished):
    import copy
    import pickle

    from jensen.runs.code import CodeCheck, marked

    check = CodeCheck(finished, "prior", "a.py", None, trusted=False)
    name = marked({"prior": {"name": "a.py"}}, finished, {}, trusted=False)["prior"]["name"]
    for other in (copy.copy(name), copy.deepcopy(name), pickle.loads(pickle.dumps(name))):
        assert other == "a.py"
        assert other.check == check
