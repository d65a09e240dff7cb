"""One run folder, opened: its model, data and accounts are read when they are asked for."""

import contextlib
import hashlib
import io
import tomllib
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._checksums import (
    DamageError,
    from_checked_json,
    to_checked_json,
    to_checked_toml,
)
from jensen._files import UNREADABLE_NPZ, npz_bytes, write_atomically
from jensen._locks import FolderInUseError, FolderLock
from jensen._notes import note
from jensen.anatomy import Account
from jensen.config import to_toml
from jensen.datasets import Dataset, load_dataset
from jensen.model import Model
from jensen.models import build_model
from jensen.runs._errors import RunError
from jensen.runs.code import marked
from jensen.runs.history import read_history
from jensen.training import Checkpoints, Outcome

ARRAYS_DIGEST = "arrays_sha256"  # in an account's JSON: of its .npz


class Run:
    """One run folder. `config`, `status` and `history` are read at once; `model`, `dataset` and
    accounts when asked for. `checkpoint` is the epoch whose state is read, None for the best.
    Whoever writes holds its lock (`writing`).

    run = jensen.load("runs/digits")
    run.model, run.config, run.account
    """

    def __init__(
        self,
        path: Path,
        record: Mapping[str, Any],
        config: Mapping[str, Any],
        *,
        checkpoint: int | None = None,
        trust_code: bool = False,
        lock: FolderLock | None = None,
    ):
        digests = record.get("code") or {}
        self.path = path
        self.record = dict(record)
        if record.get("recipe") is not None:
            self.record["recipe"] = marked(record["recipe"], path, digests, trusted=trust_code)
        self.config = marked(config, path, digests, trusted=trust_code)
        self.checkpoint = checkpoint
        self._lock = lock

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
        """The run's checkpoints; what is saved goes where the folder is by then."""
        return Checkpoints(self.path / "checkpoints", locate=lambda: self.place() / "checkpoints")

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
        return self.checkpoints.restore_best(self.blank_model(), epoch=self.checkpoint)

    def blank_model(self) -> Model:
        """A model of the run's structure, with meaningless parameters."""
        recipe = self.record.get("recipe")
        if recipe is None:
            raise RunError(
                f"{self.path} was fitted from a model put together by hand; jensen cannot rebuild "
                "it. Restore its arrays into your own model instead."
            )
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
        """The run's data from another place: `source` names a file or data set, None the original
        one."""
        settings = dict(self.config.get("data", {}))
        recorded = self.record["data"]
        original = settings.pop("source", None)
        if source is None and (original is None or not recorded["reloadable"]):
            raise RunError(
                f"{self.path} was fitted to an array that was passed from Python; name the data "
                "with --data FILE."
            )
        if data_dir is not None:
            settings["data_dir"] = data_dir
        # Runs that do not record levels wrote the default, which for a named data set meant its own
        # convention, as "none".
        if "levels" not in recorded and settings.get("binarise") == "none":
            settings.pop("binarise")
        dataset = load_dataset(source or original, **settings)
        for split in ("train", "validation", "test"):
            if source is None and dataset.fingerprint(split) != recorded["fingerprints"][split]:
                raise RunError(
                    f"the {split} data of {original!r} are not those that {self.path} was trained "
                    "on (their fingerprints differ). Restore the file."
                )
        return dataset

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """The intact records of all epochs; a note names those that are damaged or missing."""
        records, damage = read_history(self.path)
        if damage:
            note(" ".join(damage))
        return records

    @property
    def account(self) -> Account | None:
        """The account on the test split, or None when there is none yet."""
        return self.stored_account("test")

    def stored_account(self, split: str) -> Account | None:
        """The account on a split as it was stored, or None.

        Raises:
            RunError: it is there but cannot be read, or is not what was stored.
        """
        path = self.path / "accounts" / f"{split}.json"
        if not path.exists():
            return None
        try:
            values = from_checked_json(path.read_text(encoding="utf-8")).values
            raw = path.with_suffix(".npz").read_bytes()
            digest = values.pop(ARRAYS_DIGEST, None)  # accounts of earlier versions have none
            if digest is not None and digest != hashlib.sha256(raw).hexdigest():
                raise DamageError(f"{path.with_suffix('.npz').name} was altered or truncated")
            with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
                return Account.from_json(values, dict(arrays))
        except (OSError, AttributeError, *UNREADABLE_NPZ) as error:
            raise RunError(
                f"the stored account {path} cannot be read ({error}); make it again with: jensen "
                f"account {self.path} --split {split}"
            ) from error

    def store_account(self, account: Account) -> None:
        """Writes an account into the run folder."""
        folder = self.place() / "accounts"
        raw = npz_bytes(account.arrays())
        values = {**account.to_json(), ARRAYS_DIGEST: hashlib.sha256(raw).hexdigest()}
        write_atomically(folder / f"{account.split}.npz", raw, parents=False)
        write_atomically(
            folder / f"{account.split}.json", to_checked_json(values, indent=1), parents=False
        )

    def update(self, **values: Any) -> None:
        """Changes entries of run.json."""
        self.record |= values
        text = to_checked_json(self.record, indent=1)
        write_atomically(self.place() / "run.json", text, parents=False)

    def write_config(self) -> None:
        """Writes `config` to config.toml."""
        text = to_checked_toml(to_toml(self.config))
        tomllib.loads(text)  # what is written can be read
        write_atomically(self.place() / "config.toml", text, parents=False)

    @property
    def is_held(self) -> bool:
        """Whether this object holds the run's lock."""
        return self._lock is not None

    def acquire(self) -> None:
        """Takes the run's lock, if it is not held already.

        Raises:
            RunError: another process writes the run; it is named.
        """
        if self._lock is not None:
            return
        try:
            self._lock = FolderLock(self.path)
        except FolderInUseError as error:
            raise RunError(f"{self.path} cannot be written: {error.strerror}") from None
        if self._lock.taken_over:
            note(self._lock.taken_over)

    def release(self) -> None:
        """Lets the run's lock go, if it is held."""
        if self._lock is not None:
            self._lock.release()
        self._lock = None

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Within it, the run's lock is held; one that was held before stays so afterwards.

        with run.writing(): run.store_account(account)
        """
        before = self._lock
        self.acquire()
        try:
            yield
        finally:
            if before is None:
                self.release()

    def in_place(self) -> bool:
        """Whether the folder that is being written is still at its path."""
        return self.path.is_dir() if self._lock is None else self._lock.in_place()

    def place(self) -> Path:
        """The folder, for a write: at its path, or where it was moved to while its lock was held;
        `path` follows.

        Raises:
            RunError: it was deleted.
        """
        where = self.path if self.in_place() else self._lock and self._lock.whereabouts()
        if where is None:
            raise RunError(
                f"{self.path} was deleted, or moved out of reach, while it was being written; "
                "what was to be written now could not be saved."
            )
        self.path = where
        return where
