"""One run folder, opened: its model, data and accounts are read when they are asked for."""

import contextlib
import json
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._files import npz_bytes, write_atomically
from jensen._rooms import file_digest
from jensen.anatomy import Account
from jensen.config import ROOMS
from jensen.datasets import Dataset, load_dataset
from jensen.model import Model
from jensen.models import build_model
from jensen.training import Checkpoints, Outcome


class RunError(RuntimeError):
    """A run folder that cannot be read or used; the message names the remedy."""


class Run:
    """One run folder. `config`, `status` and `history` are read at once; `model`, `dataset` and accounts when asked for.

    run = jensen.load("runs/digits")
    run.model, run.config, run.account
    """

    def __init__(
        self,
        path: Path,
        record: dict[str, Any],
        config: dict[str, Any],
        *,
        checkpoint: int | None = None,
        trust_code: bool = False,
    ):
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
        values = self.record.get("outcome") or {
            "status": "interrupted",
            "message": "the training has not ended.",
            "epoch": 0,
            "warnings": [],
        }
        return Outcome(
            values["status"], values["message"], values["epoch"], tuple(values["warnings"])
        )

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
        facts: dict[str, Any] = {
            "rows": self.record["data"]["rows"]["train"],
            "dtype": "uint8",
            "lower": 0.0,
            "upper": 1.0,
            "levels": None,
        }
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
            raise RunError(
                f"{self.path} was fitted to an array that was passed from Python; name the data with --data FILE."
            )
        if data_dir is not None:
            settings["data_dir"] = data_dir
        # Runs that do not record levels wrote the default, which for a named data set meant its own convention, as "none".
        if "levels" not in known and settings.get("binarise") == "none":
            settings.pop("binarise")
        dataset = load_dataset(source or original, **settings)
        for split in ("train", "validation", "test"):
            if source is None and dataset.fingerprint(split) != known["fingerprints"][split]:
                raise RunError(
                    f"the {split} data of {original!r} are not those that {self.path} was trained on (their fingerprints differ). Restore the file."
                )
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
            raise RunError(
                f"the stored account {path} cannot be read ({error}); make it again with: jensen account {self.path} --split {split}"
            ) from error

    def store_account(self, account: Account) -> None:
        """Writes an account into the run folder."""
        write_atomically(
            self.path / "accounts" / f"{account.split}.npz", npz_bytes(account.arrays())
        )
        write_atomically(
            self.path / "accounts" / f"{account.split}.json",
            json.dumps(account.to_json(), indent=1),
        )

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
                raise RunError(
                    f"{name} is missing or is not the file that {self.path} was fitted with (sha256 {expected}). Restore it."
                )


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
