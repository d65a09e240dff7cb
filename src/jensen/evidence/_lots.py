"""Annealing of many data, a lot of them at a time and a part of the temperatures at a time, so that memory is bounded and a run that was stopped goes on.

But for rounding nothing depends on how the data are cut into lots and the schedule into parts: keys are folded from the datum's number, the chain and the
temperature.
"""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._files import npz_bytes, read_npz, write_atomically
from jensen._types import Array, Distribution, Key
from jensen.evidence import _chains
from jensen.evidence._chains import Chains, Moves, Steps, advance, begin, chain_keys, tuned
from jensen.evidence._streaming import chunk_or_default
from jensen.model import Model

GRID, LEAST_TUNING = (
    50,
    50,
)  # temperatures at which a step size is sought, and the least number of moves in seeking
REJUVENATION = 50
KEEP_SECONDS = 20.0


@dataclass(frozen=True)
class Annealing:
    """What chains of annealing leave behind.

    Attributes:
        log_w: [N, chains] float64, nats; of reverse chains the sum whose negative is their log-weight.
        acceptance: [N], the mean over chains and temperatures of the probability with which a move was accepted.
        bad: [N], the number of the first temperature at which a density was not finite; -1 where all were.
        betas: [T + 1].
        acceptance_by_temperature, ess_by_temperature: [T], means over data; the ESS is that of the weights so far, as a share of the chains.
    """

    log_w: np.ndarray
    acceptance: np.ndarray
    bad: np.ndarray
    betas: np.ndarray
    acceptance_by_temperature: np.ndarray
    ess_by_temperature: np.ndarray


class Store:
    """A file that holds what is done; without a path it holds nothing. What another call left there (other settings, model, data or key) is not read.

    Store(Path("annealed.npz"), fingerprint).read()
    """

    def __init__(self, path: Path | None, fingerprint: str):
        self._path, self._fingerprint, self._kept_at = path, fingerprint, time.monotonic()
        self._has_written = False

    def read(self) -> dict[str, np.ndarray]:
        """What an earlier call of the same kind kept, or nothing."""
        arrays = None if self._path is None else read_npz(self._path)
        return (
            arrays
            if arrays is not None and str(arrays.get("fingerprint")) == self._fingerprint
            else {}
        )

    def keep(self, arrays: dict[str, np.ndarray], *, now: bool = False) -> None:
        """Keeps these, at most every 20 seconds unless `now`."""
        if self._path is not None and (now or time.monotonic() - self._kept_at > KEEP_SECONDS):
            content = npz_bytes({**arrays, "fingerprint": np.array(self._fingerprint)})
            # Its folder is made once: one that is removed later is not to come back half empty.
            write_atomically(self._path, content, parents=not self._has_written)
            self._has_written = True
            self._kept_at = time.monotonic()


def fingerprint(*things: Any) -> str:
    """A text that tells calls apart: of arrays and keys their values, of all else its repr, without the addresses that differ from process to process.

    fingerprint(model, data, key, "sigmoid")
    """
    digest = hashlib.sha256()
    for thing in jax.tree.leaves(things):
        is_key = isinstance(thing, jax.Array) and jnp.issubdtype(thing.dtype, jax.dtypes.prng_key)
        leaf = jr.key_data(thing) if is_key else thing
        digest.update(
            np.ascontiguousarray(leaf).tobytes()
            if isinstance(leaf, jax.Array | np.ndarray)
            else _text(leaf)
        )
    digest.update(_text(jax.tree.structure(things)))
    return digest.hexdigest()


def _text(thing: Any) -> bytes:
    return re.sub(r" at 0x[0-9a-f]+", "", repr(thing)).encode()


def anneal(
    chains: Chains,
    model: Model,
    data: np.ndarray,
    index: np.ndarray,
    key: Key,
    betas: np.ndarray,
    *,
    codes: np.ndarray | None = None,
    chunk: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    store: Store,
) -> Annealing:
    """Forward chains from the start of each datum's path; with `codes` [N, dim], draws from the posteriors, reverse chains from there.

    The chains of a datum all set out from its one code, and move 50 times at beta = 1 before anything is weighed.

        anneal(chains, model, x, np.arange(len(x)), key, sigmoid(500), store=Store(None, "")).log_w
    """
    key_steps, key_moves, key_first = jr.split(key, 3)
    prior = model.prior(model.encoder)
    temperatures = len(betas) - 1
    lot = min(len(data), max(1, chunk_or_default(chunk, model, data) // chains.num_chains))
    grid, places, repeats = tuning_grid(betas)
    kept = store.read()
    finished = {k: v for k, v in kept.items() if not k.startswith("part.") and k != "fingerprint"}
    done = len(finished.get("bad", ()))
    moves = _upwards(betas) if codes is None else _downwards(betas)
    for start in range(done, len(data), lot):
        rows = np.minimum(np.arange(start, start + lot), len(data) - 1)
        x, numbers = jnp.asarray(data[rows]), jnp.asarray(index[rows])
        keys = chain_keys(chains, numbers, key_moves)
        part = (
            {k.removeprefix("part."): v for k, v in kept.items() if k.startswith("part.")}
            if start == done
            else {}
        )
        if not part or len(part["z"]) != lot:
            log_steps = tuned(
                chains, model, prior, x, chain_keys(chains, numbers, key_steps), grid, repeats
            )
            steps = Steps(log_steps, jnp.asarray(places, float))
            if codes is None:
                z = begin(chains, model, prior, x, keys)
            else:
                z = _spread(
                    chains,
                    model,
                    prior,
                    x,
                    chain_keys(chains, numbers, key_first),
                    codes[rows],
                    steps,
                )
            part = _nothing_yet(lot, chains.num_chains, temperatures) | {
                "z": z,
                "log_steps": log_steps,
            }
        steps = Steps(jnp.asarray(part["log_steps"]), jnp.asarray(places, float))
        z = jnp.asarray(part["z"])
        for at in range(int(part["at"]), temperatures, _chains.PART):
            found = advance(chains, model, prior, x, keys, z, steps, moves.part(at))
            z, after = found.z, at + found.added.shape[1]
            _enter(part, at, np.asarray(found.added, np.float64), np.asarray(found.acceptance))
            part |= {"z": z, "at": np.array(after)}
            on_progress(
                start * temperatures + min(lot, len(data) - start) * after, len(data) * temperatures
            )
            store.keep({**finished, **{f"part.{k}": np.asarray(v) for k, v in part.items()}})
        finished = _added(finished, part, min(lot, len(data) - start), reverse=codes is not None)
        store.keep(finished, now=start + lot >= len(data))
    n = len(data)
    return Annealing(
        finished["log_w"],
        finished["acceptance"],
        finished["bad"],
        betas,
        finished["acceptance_sum"] / n,
        finished["ess_sum"] / n,
    )


def tuning_grid(betas: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """(temperatures at which to seek a step size, their numbers in the schedule, moves at each): 50 of them, or all when there are fewer."""
    places = np.unique(
        np.round(np.linspace(1, len(betas) - 1, min(GRID, len(betas) - 1))).astype(int)
    )
    return betas[places], places, -(-LEAST_TUNING // len(places))


def _upwards(betas: np.ndarray) -> Moves:
    number = np.arange(1, len(betas))
    return Moves.of(betas[1:], number=number, delta=np.diff(betas), place=number)


def _downwards(betas: np.ndarray) -> Moves:
    number = np.arange(len(betas) - 1, 0, -1)
    return Moves.of(betas[number - 1], number=number, delta=np.diff(betas)[::-1], place=number - 1)


def _spread(
    chains: Chains,
    model: Model,
    prior: Distribution,
    x: Array,
    keys: Array,
    codes: np.ndarray,
    steps: Steps,
) -> Array:
    """Chains that set out from one draw of each posterior, after moves at beta = 1: still draws from it, less alike."""
    z = jnp.broadcast_to(
        jnp.asarray(codes)[:, None], (len(codes), chains.num_chains, codes.shape[1])
    )
    moves = Moves.of(
        np.ones(REJUVENATION), number=np.arange(REJUVENATION), place=float(steps.places[-1])
    )
    for at in range(0, REJUVENATION, _chains.PART):
        z = advance(chains, model, prior, x, keys, z, steps, moves.part(at)).z
    return z


def _nothing_yet(lot: int, num_chains: int, temperatures: int) -> dict[str, Any]:
    return {
        "at": np.array(0),
        "log_w": np.zeros((lot, num_chains)),
        "bad": np.full(lot, -1),
        "acceptance": np.zeros((lot, temperatures), np.float32),
        "ess": np.zeros((lot, temperatures), np.float32),
    }


def _enter(part: dict[str, Any], at: int, added: np.ndarray, acceptance: np.ndarray) -> None:
    """Enters what some temperatures added: weights in float64, whatever the device computes in."""
    count = added.shape[1]
    so_far = part["log_w"][:, None] + np.cumsum(added, axis=1)
    part["log_w"] = so_far[:, -1]
    part["acceptance"][:, at : at + count] = acceptance
    wrong = (np.isnan(so_far) | (so_far == np.inf)).any(axis=2)
    first = np.where(wrong.any(axis=1), at + wrong.argmax(axis=1), -1)
    part["bad"] = np.where(part["bad"] < 0, first, part["bad"])
    with np.errstate(invalid="ignore"):
        w = np.exp(so_far - so_far.max(axis=2, keepdims=True))
        part["ess"][:, at : at + count] = np.nan_to_num(w.mean(axis=2) ** 2 / np.mean(w**2, axis=2))


def _added(
    finished: dict[str, np.ndarray], part: dict[str, Any], count: int, *, reverse: bool
) -> dict[str, np.ndarray]:
    """What was finished before, and the first `count` data of this lot."""
    turn = slice(None, None, -1) if reverse else slice(None)  # by temperature, upwards
    new = {name: part[name][:count] for name in ("log_w", "bad")} | {
        "acceptance": part["acceptance"][:count].mean(axis=1)
    }
    sums = {
        f"{name}_sum": part[name][:count].sum(axis=0, dtype=np.float64)[turn]
        for name in ("acceptance", "ess")
    }
    if not finished:
        return new | sums
    return {k: np.concatenate([finished[k], v]) for k, v in new.items()} | {
        k: finished[k] + v for k, v in sums.items()
    }
