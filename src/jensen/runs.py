"""The run folder: what a training leaves behind, written atomically and read without executing anything.

config.toml            the fully resolved configuration
run.json               format, versions, status, fingerprints of the data
metrics.jsonl          one record per epoch
checkpoints/           current and best states, with checksums
accounts/SPLIT.json    the account; SPLIT.npz holds its values per datum
report.html, figures/  the report
"""

import contextlib
import dataclasses
import json
import platform
import tomllib
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

import jensen
from jensen._files import npz_bytes, write_atomically
from jensen._rooms import file_digest
from jensen.anatomy import Account
from jensen.config import ROOMS, Config
from jensen.datasets import Dataset, load_dataset
from jensen.model import Model
from jensen.models import build_model
from jensen.training import Checkpoints, Outcome

FORMAT = 1


class RunError(RuntimeError):
    """A run folder that cannot be read or used; the message names the remedy."""


class Run:
    """One run folder. `config`, `status` and `history` are read at once; `model`, `dataset` and accounts when asked for.

    run = jensen.load("runs/digits")
    run.model, run.config, run.account
    """

    def __init__(self, path: Path, record: dict[str, Any], config: dict[str, Any], *, checkpoint: int | None = None, trust_code: bool = False):
        self.path = path
        self.record = record
        self.config = config
        self._checkpoint = checkpoint
        self._trust_code = trust_code

    @property
    def status(self) -> str:
        """'running', 'completed', 'stopped_early', 'diverged' or 'interrupted'."""
        return self.record["status"]

    @property
    def outcome(self) -> Outcome:
        """How the training ended."""
        values = self.record.get("outcome") or {"status": "interrupted", "message": "the training has not ended.", "epoch": 0, "warnings": []}
        return Outcome(values["status"], values["message"], values["epoch"], tuple(values["warnings"]))

    @property
    def objective(self) -> str:
        """What was trained where it was not the bound, in words; otherwise empty."""
        return self.record.get("objective", "")

    @property
    def checkpoints(self) -> Checkpoints:
        """The run's checkpoints."""
        return Checkpoints(self.path / "checkpoints")

    @property
    def key(self):
        """The random key that training used."""
        return jr.wrap_key_data(jnp.asarray(self.record["key"], jnp.uint32))

    @cached_property
    def model(self) -> Model:
        """The best model by validation bound.

        Raises:
            CheckpointError: no checkpoint, or a damaged one.
            RunError: the model needs code from outside jensen that is not trusted.
        """
        return self.checkpoints.restore_best(self.blank_model(), epoch=self._checkpoint)

    def blank_model(self) -> Model:
        """A model of the run's structure, with meaningless parameters."""
        recipe = self.record.get("recipe")
        if recipe is None:
            raise RunError(
                f"{self.path} was fitted from a model put together by hand; jensen cannot rebuild it. Restore its arrays into your own model instead."
            )
        self._check_code(recipe)
        # Records made before recipes had facts of the data.
        facts: dict[str, Any] = {"rows": self.record["data"]["rows"]["train"], "dtype": "uint8", "lower": 0.0, "upper": 1.0, "levels": None}
        return build_model({"data": facts} | recipe, key=jr.key(0))

    @cached_property
    def dataset(self) -> Dataset:
        """The data that the run was trained on, loaded again and compared by fingerprint.

        Raises:
            RunError: they were given as an array, or are no longer the same.
        """
        return self.load_data(None)

    def load_data(self, source: str | None, *, data_dir: str | None = None) -> Dataset:
        """The run's data from another place: `source` names a file or data set, None the original one."""
        settings = dict(self.config.get("data", {}))
        known = self.record["data"]
        original = settings.pop("source", None)
        if source is None and (original is None or not known["reloadable"]):
            raise RunError(f"{self.path} was fitted to an array that was passed from Python; name the data with --data FILE.")
        if data_dir is not None:
            settings["data_dir"] = data_dir
        # Runs that do not record levels wrote the default, which for a named data set meant its own convention, as "none".
        if "levels" not in known and settings.get("binarise") == "none":
            settings.pop("binarise")
        dataset = load_dataset(source or original, **settings)
        for split in ("train", "validation", "test"):
            if source is None and dataset.fingerprint(split) != known["fingerprints"][split]:
                raise RunError(f"the {split} data of {original!r} are not those that {self.path} was trained on (their fingerprints differ). Restore the file.")
        return dataset

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """The records of all epochs."""
        return read_history(self.path)

    @property
    def account(self) -> Account | None:
        """The account on the test split, or None when there is none yet."""
        return self.stored_account("test")

    def stored_account(self, split: str) -> Account | None:
        """The account on a split as it was stored, or None.

        Raises:
            RunError: it is there but cannot be read.
        """
        path = self.path / "accounts" / f"{split}.json"
        if not path.exists():
            return None
        try:
            with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
                return Account.from_json(json.loads(path.read_text()), dict(arrays))
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise RunError(f"the stored account {path} cannot be read ({error}); make it again with: jensen account {self.path} --split {split}") from error

    def store_account(self, account: Account) -> None:
        """Writes an account into the run folder."""
        write_atomically(self.path / "accounts" / f"{account.split}.npz", npz_bytes(account.arrays()))
        write_atomically(self.path / "accounts" / f"{account.split}.json", json.dumps(account.to_json(), indent=1))

    def update(self, **values: Any) -> None:
        """Changes entries of run.json."""
        self.record |= values
        write_atomically(self.path / "run.json", json.dumps(self.record, indent=1))

    def _check_code(self, recipe: dict[str, Any]) -> None:
        for section in ROOMS:
            name = recipe.get(section, {}).get("name", "")
            if not name.endswith(".py"):
                continue
            if not self._trust_code:
                raise RunError(
                    f"{self.path} uses a {section} from outside jensen, {name}; loading a run executes nothing. If you trust that file, say --trust-code."
                )
            expected = self.record["code"].get(name)
            if not Path(name).is_file() or file_digest(Path(name)) != expected:
                raise RunError(f"{name} is missing or is not the file that {self.path} was fitted with (sha256 {expected}). Restore it.")


def load(path: str | Path, *, checkpoint: int | None = None, trust_code: bool = False) -> Run:
    """A run folder, opened. Nothing in it is executed.

    Args:
        path: the folder.
        checkpoint: the epoch of the checkpoint to take; the newest by default.
        trust_code: allow a model part from a .py file outside jensen to be imported, if its checksum is the recorded one.

    Raises:
        ValueError: no such folder.
        RunError: not a run, half-written, damaged, or made by another version.

        jensen.load("runs/digits").model
    """
    path = Path(path)
    if not path.is_dir():
        near = sorted(p.parent.name for p in path.parent.glob("*/run.json")) if path.parent.is_dir() else []
        raise ValueError(f"no run at {path}." + (f" Runs beside it: {', '.join(near[:8])}." if near else " Make one with: jensen fit digits"))
    if not (path / "run.json").exists():
        raise RunError(f"{path} is not a run folder, or only half written: it has no run.json. Fit again with --out {path} --overwrite.")
    try:
        record = json.loads((path / "run.json").read_text())
        written_by, status = record["format"], record["status"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path / 'run.json'} cannot be read ({type(error).__name__}: {error}); the run is damaged. Fit again with --overwrite.") from error
    if written_by != FORMAT:
        raise RunError(
            f"{path} was made by another version of jensen ({record.get('jensen')}, run format {written_by}); this is {jensen.__version__}, format {FORMAT}."
        )
    try:
        config = tomllib.loads((path / "config.toml").read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{path / 'config.toml'} cannot be read ({error}); the run is damaged.") from error
    del status
    return Run(path, record, config, checkpoint=checkpoint, trust_code=trust_code)


def create(path: Path, config: Config, model: Model, dataset: Dataset, key, *, reloadable: bool) -> Run:
    """A new run folder with its configuration and record, status 'running'. The folder must not exist."""
    from jensen.datasets._dataset import SPLITS

    recipe = None if model.recipe is None else model.recipe.values
    gradient = dict(config.gradient)
    code = {v["name"]: file_digest(Path(v["name"])) for v in (recipe or {}).values() if isinstance(v, dict) and v.get("name", "").endswith(".py")}
    record = {
        "format": FORMAT,
        "jensen": jensen.__version__,
        "status": "running",
        "outcome": None,
        "objective": ROOMS["gradient"].build(gradient.pop("name"), gradient, {}).objective,
        "recipe": recipe,
        "code": code,
        "key": np.asarray(jr.key_data(key)).tolist(),
        "data": {
            "name": dataset.name,
            "reloadable": reloadable,
            "levels": dataset.levels,
            "rows": {s: len(getattr(dataset, s)) for s in SPLITS},
            "fingerprints": {s: dataset.fingerprint(s) for s in SPLITS},
            "notes": list(dataset.notes),
        },
        "versions": {"python": platform.python_version(), "jax": jax.__version__, "numpy": np.__version__, "device": jax.devices()[0].device_kind},
    }
    write_atomically(path / "config.toml", config.to_toml())
    write_atomically(path / "metrics.jsonl", "")
    run = Run(path, record, tomllib.loads(config.to_toml()), trust_code=True)
    run.update()
    return run


def read_history(path: Path) -> list[dict[str, Any]]:
    """The records in metrics.jsonl; a last line that a kill cut short is left out."""
    out = []
    with contextlib.suppress(FileNotFoundError), open(path / "metrics.jsonl") as file:
        for line in file:
            try:
                out.append(json.loads(line))
            except ValueError:
                break
    return out


def outcome_record(outcome: Outcome) -> dict[str, Any]:
    """An outcome as plain values."""
    return dataclasses.asdict(outcome) | {"warnings": list(outcome.warnings)}
