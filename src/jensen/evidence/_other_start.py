"""Chains from another start, compared with an estimate on some of its data.

Importance sampling and chains that begin at q(z|x) see the modes that q(z|x) visits: where it sits on one of two, every weight
is right, k-hat is low, and log p(x) is low by log 2. Chains that begin at the prior come down into whatever modes the prior's
draws lead to. Both are lower bounds in expectation, so the higher one is nearer to log p(x): more from the prior, beyond
errors, is evidence that q(z|x) misses something. Less says nothing, since they have further to go.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import jax
import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.evidence._record import LEAST_DIFFERENCE, Evidence, OtherStart
from jensen.model import Model

CHECK_DATA = 16  # enough for a mean error of a tenth of a nat with 16 chains each
BLIND = 0.5  # nats: chains that end so far below an estimate could not show a missed mode of the same weight, log 2


@runtime_checkable
class StartsElsewhere(Protocol):
    """An estimator of log p(x) that begins somewhere else: "prior" or "encoder"."""

    @property
    def start(self) -> str:
        """Where."""
        ...

    def estimate(
        self,
        model: Model,
        data: np.ndarray,
        key: Key,
        *,
        chunk: int | None,
        on_progress: Callable[[int, int], None],
        store: Path | None,
        index: np.ndarray | None,
    ) -> Evidence:
        """The evidence of data, by their numbers `index`."""
        ...


def compare_with_other_start(
    evidence: Evidence,
    chains: StartsElsewhere,
    model: Model,
    data: np.ndarray,
    key: Key,
    *,
    num_data: int,
    index: np.ndarray | None = None,
    chunk: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    store: Path | None = None,
) -> Evidence:
    """The estimate with the comparison in `other_start`, and a note; where the other chains are higher, what they contradict is
    no longer trusted: all data where the mean is higher, else the data at which they are.

    Args:
        evidence: the estimate of the data.
        chains: the annealing to compare with.
        num_data: on how many of the data, chosen at random.
        index: the data's numbers, by which keys are folded.
        store: the estimate's own file; the other chains are kept in one beside it.

        compare_with_other_start(found, Annealed(start="prior"), model, x, key, num_data=16).other_start.difference
    """
    if chains.start == "prior" and not _can_be_sampled(model):
        note = "p(z) cannot be sampled here, so nothing was compared with chains from the prior."
        return replace(evidence, notes=(*evidence.notes, note))
    key_choice, key_chains = jr.split(key)
    chosen = np.sort(np.asarray(jr.permutation(key_choice, len(data)))[:num_data])
    numbers = chosen if index is None else index[chosen]
    beside = store and store.with_name(f"{store.stem}-{chains.start}-start.npz")
    other = chains.estimate(
        model,
        data[chosen],
        key_chains,
        chunk=chunk,
        on_progress=on_progress,
        store=beside,
        index=numbers,
    )
    # A mean that one lucky draw or chain carries may lie above log p(x) by nats, whatever its error says: it shows nothing.
    both = other.trusted & np.isfinite(other.values) & np.isfinite(evidence.values[chosen])
    compared = OtherStart(
        chains.start,
        chosen[both],
        other.values[both] - evidence.values[chosen[both]],
        np.hypot(other.standard_errors[both], evidence.standard_errors[chosen[both]]),
    )
    trusted, shortfalls = evidence.trusted.copy(), evidence.shortfalls.copy()
    if compared.disagrees:
        single = compared.index[compared.higher]
        trusted[single] = False
        shortfalls[single] = np.maximum(shortfalls[single], compared.differences[compared.higher])
    if compared.disagrees_in_the_mean:
        # What holds for a random part of the data is to be expected of the rest.
        trusted[:] = False
        shortfalls = np.maximum(shortfalls, compared.difference)
    return replace(
        evidence,
        trusted=trusted,
        shortfalls=shortfalls,
        other_start=compared,
        notes=(*evidence.notes, note_of(compared, evidence)),
    )


def _can_be_sampled(model: Model) -> bool:
    try:
        jax.eval_shape(lambda key: model.prior(model.encoder).sample(key), jr.key(0))
    except (ValueError, NotImplementedError):  # of a foreign model only the density may be known
        return False
    return True


def note_of(compared: OtherStart, evidence: Evidence) -> str:
    """What the comparison says, in words.

    note_of(found.other_start, found)
    """
    n, by = len(compared.index), compared.difference
    own = {"prior": "q(z|x)", "encoder": "the prior"}[compared.start]
    if n == 0:
        return (
            f"Chains from {compared.where} do not reach the posterior of any of the data they were tried on, so that "
            f"they cannot tell whether {own} misses modes."
        )
    figure = f"{by:+.3f} +- {compared.standard_error:.3f} nats"
    where = f"On {n} of the data, chosen at random, chains from {compared.where}"
    if compared.disagrees:
        here = float(evidence.values[compared.index].mean())
        # The higher of the two datum by datum would be raised by noise; each mean is a bound by itself.
        least = max(here, here + by)
        single = int(compared.higher.sum())
        return (
            f"Missed modes: {where[0].lower()}{where[1:]} find more than draws from {own}: {figure} on average, beyond errors "
            f"at {single} of them. There log p(x) is at least {least:.3f}, where this estimate says {here:.3f}: what rests on "
            f"{own} alone is too low."
        )
    if compared.start == "encoder" and by < -max(3 * compared.standard_error, LEAST_DIFFERENCE):
        return f"{where} end lower, {figure}: importance sampling and whatever else rests on q(z|x) is too low by that on these data."
    if by < -BLIND:
        return f"{where} end lower, {figure}: they do not reach the posterior, so that they cannot tell whether {own} misses modes."
    return f"{where} find no more than this estimate: {figure}."
