"""The sandwich: ELBO <= IWAE_K <= importance sampling <= annealing <= log p(x), on the same data, and the bidirectional gap beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax.random as jr
import numpy as np
from scipy.special import logsumexp

from jensen._types import Key
from jensen.evidence._bidirectional import Bidirectional, bidirectional
from jensen.evidence._record import Evidence, evidence_of_log_weights, joined
from jensen.evidence._streaming import stream_log_weights
from jensen.evidence.annealed import Annealed
from jensen.evidence.importance import Importance
from jensen.interop import guarded
from jensen.model import Model
from jensen.progress import OnProgress, of_task, silent


@dataclass(frozen=True)
class Rung:
    """One lower bound: its mean over the data, nats per datum, and the values [N] per datum with their Monte Carlo standard errors; NaN without an estimate."""

    name: str
    values: np.ndarray
    standard_errors: np.ndarray

    @property
    def value(self) -> float:
        """The mean over the data that have an estimate."""
        return float(np.nanmean(self.values))

    @property
    def standard_error(self) -> float:
        """The Monte Carlo one of `value`."""
        fine = self.standard_errors[~np.isnan(self.values)]
        return float(np.sqrt(np.sum(fine**2)) / len(fine))


@dataclass(frozen=True)
class Sandwich:
    """Lower bounds from the loosest to the tightest, all on the same data, and how near to log p(x) the last one is on data that the model made.

    Attributes:
        rungs: ELBO, IWAE_K, importance sampling, annealing.
        index: which of the data.
        importance, annealed: the estimates behind the last two rungs.
        bidirectional: on simulated data; None when it was not asked for.
    """

    rungs: tuple[Rung, ...]
    index: np.ndarray
    importance: Evidence
    annealed: Evidence
    bidirectional: Bidirectional | None

    @property
    def steps(self) -> tuple[tuple[float, float], ...]:
        """(what each rung has over the one below, its Monte Carlo standard error), over the data that have both."""
        out = []
        for below, above in zip(self.rungs[:-1], self.rungs[1:], strict=True):
            fine = ~np.isnan(below.values) & ~np.isnan(above.values)
            error = np.sqrt(
                np.sum(below.standard_errors[fine] ** 2 + above.standard_errors[fine] ** 2)
            ) / max(1, fine.sum())
            out.append((float(np.mean(above.values[fine] - below.values[fine])), float(error)))
        return tuple(out)


@guarded
def sandwich(
    model: Model,
    data: np.ndarray,
    *,
    key: Key,
    annealed: Annealed | None = None,
    num_data: int = 100,
    iwae_samples: int = 50,
    num_samples: int = 5000,
    simulated: int = 100,
    chunk: int | None = None,
    on_progress: OnProgress = silent,
    store: Path | None = None,
) -> Sandwich:
    """The sandwich of a model on some of the data.

    Args:
        model: the model.
        data: [N, *event].
        key: chooses the data and everything else random.
        annealed: how to anneal.
        num_data: how many of the data, chosen at random; all when there are fewer.
        iwae_samples: K of the second rung.
        num_samples: importance samples, of which the second rung takes groups of K.
        simulated: data to simulate for the bidirectional gap; 0 for none.
        chunk: (datum, sample) pairs at a time; bounds the memory, not the result.
        on_progress: called with what is being done, how much is done, and the total.
        store: a folder in which to keep what is done, so that the same call goes on from there.

    Raises:
        ValueError: fewer importance samples than two groups of iwae_samples, and what `estimate_evidence` and `bidirectional` refuse.

        sandwich(model, data.test, key=jax.random.key(0)).rungs[-1].value
    """
    if not 1 < iwae_samples <= num_samples // 2:
        raise ValueError(
            f"the second rung takes at least two groups of iwae_samples, 2 or more, out of num_samples={num_samples}; got {iwae_samples}."
        )
    if len(data) == 0:
        raise ValueError("no data: the evidence of an empty split is undefined.")
    annealed = annealed or Annealed()
    key_choice, key_samples, key_chains, key_simulated = jr.split(key, 4)
    index = np.sort(np.asarray(jr.permutation(key_choice, len(data)))[:num_data])
    x = data[index]
    # Annealing first: what it refuses is refused before anything is computed.
    path = store and store / "annealed.npz"
    top = annealed.estimate(
        model,
        x,
        key_chains,
        chunk=chunk,
        on_progress=of_task(on_progress, "annealing"),
        store=path,
        index=index,
    )
    rungs, parts = _rungs(
        model,
        x,
        key_samples,
        iwae_samples,
        num_samples,
        chunk,
        of_task(on_progress, "importance sampling"),
    )
    found = None
    if simulated:
        found = bidirectional(
            model,
            annealed,
            key=key_simulated,
            num_data=simulated,
            chunk=chunk,
            on_progress=on_progress,
            store=store,
        )
    return Sandwich(
        (*rungs, Rung("annealed", top.values, top.standard_errors)),
        index,
        joined(parts),
        top,
        found,
    )


def _rungs(
    model: Model,
    x: np.ndarray,
    key: Key,
    iwae_samples: int,
    num_samples: int,
    chunk: int | None,
    on_progress: Callable[[int, int], None],
) -> tuple[tuple[Rung, ...], list[Evidence]]:
    """ELBO, IWAE_K and importance sampling from the same log-weights."""
    groups = num_samples // iwae_samples
    columns: list[tuple[np.ndarray, ...]] = []
    parts: list[Evidence] = []
    done = 0
    for log_w in stream_log_weights(Importance(num_samples=num_samples), model, x, key, chunk):
        grouped = log_w[:, : groups * iwae_samples].reshape(len(log_w), groups, iwae_samples)
        iwae = np.asarray(logsumexp(grouped, axis=2)) - np.log(iwae_samples)
        columns.append((*_mean(log_w), *_mean(iwae)))
        parts.append(evidence_of_log_weights(log_w))
        done += len(log_w)
        on_progress(done, len(x))
    elbo, elbo_error, iwae, iwae_error = (np.concatenate(c) for c in zip(*columns, strict=True))
    whole = joined(parts)
    rungs = Rung("elbo", elbo, elbo_error), Rung(f"iwae, K = {iwae_samples}", iwae, iwae_error)
    return (
        *rungs,
        Rung(f"importance, S = {num_samples}", whole.values, whole.standard_errors),
    ), parts


def _mean(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(means, their standard errors) of draws [data, draws]."""
    return draws.mean(axis=1), draws.std(axis=1, ddof=1) / np.sqrt(draws.shape[1])
