"""Importance sampling where k-hat trusts it, annealing where it does not: the method is chosen datum by datum, and said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.distributions.code_kinds import CONTINUOUS, code_kind
from jensen.evidence._base import AbstractEvidenceEstimator
from jensen.evidence._other_start import CHECK_DATA, compare_with_other_start
from jensen.evidence._record import Evidence, joined
from jensen.evidence.importance import Importance
from jensen.model import Model

CHECK_TEMPERATURES = 250  # of the comparison with chains from the prior, at most
DISCRETE_NOTE = "Discrete codes cannot be annealed: data that importance sampling is not trusted with keep its values."


class Auto(AbstractEvidenceEstimator):
    """Importance sampling, its samples doubled until k-hat is at most its threshold (Vehtari et al. 2024); data for which it never is are annealed.

    `methods` and `reasons` of the record say what was done for each datum. A datum is annealed with its own number in the data, so its estimate does not depend
    on which others are.

    Args:
        num_samples: importance samples that every datum gets.
        max_samples: importance samples after which a datum is given up to annealing.
        num_temperatures: intermediate distributions of the annealing.
        num_chains: chains of the annealing, for each of its data.
        check_data: on so many data, chosen at random, chains from the prior are compared with the estimate; 0 for none. Where they find
            more, beyond errors, q(z|x) misses modes that no k-hat shows: `notes` and `trusted` say so.

    Raises:
        ValueError: options that importance sampling or annealing refuses.

        estimate_evidence(model, x, Auto(), key=key).methods  # ["importance", "annealed", ...]
    """

    num_samples: int = eqx.field(static=True)
    max_samples: int = eqx.field(static=True)
    num_temperatures: int = eqx.field(static=True)
    num_chains: int = eqx.field(static=True)
    check_data: int = eqx.field(static=True)

    def __init__(
        self,
        *,
        num_samples: int = 1000,
        max_samples: int = 20_000,
        num_temperatures: int = 1000,
        num_chains: int = 16,
        check_data: int = CHECK_DATA,
    ):
        self.num_samples = num_samples
        self.max_samples = max_samples
        self.num_temperatures = num_temperatures
        self.num_chains = num_chains
        self.check_data = check_data

    def __check_init__(self):
        self._importance()
        if self.check_data < 0:
            raise ValueError(
                f"auto: check_data is a number of data and must be at least 0 (none); got {self.check_data}. Try {CHECK_DATA}."
            )

    def estimate(
        self,
        model: Model,
        data: np.ndarray,
        key: Key,
        *,
        chunk: int | None,
        on_progress: Callable[[int, int], None],
        store: Path | None,
    ) -> Evidence:
        key_importance, key_annealed = jr.split(key)
        first = replace(
            self._importance().estimate(
                model, data, key_importance, chunk=chunk, on_progress=on_progress, store=None
            ),
            estimator="Auto",
        )
        index = np.flatnonzero(~first.trusted)
        if code_kind(model.encoder(jnp.asarray(data[0]))) != CONTINUOUS:
            return replace(first, notes=(*first.notes, DISCRETE_NOTE)) if len(index) else first
        progress = _Progress(on_progress, len(data))
        evidence = first
        if len(index):
            evidence = self._anneal(first, index, model, data, key_annealed, chunk, progress, store)
        return self._check(evidence, model, data, key, chunk, progress, store)

    def _anneal(
        self,
        first: Evidence,
        index: np.ndarray,
        model: Model,
        data: np.ndarray,
        key: Key,
        chunk: int | None,
        progress: "_Progress",
        store: Path | None,
    ) -> Evidence:
        """The estimate with that of annealing at the data `index`."""
        from jensen.evidence.annealed import Annealed

        annealed: Evidence = Annealed(
            num_temperatures=self.num_temperatures, num_samples=self.num_chains, check_data=0
        ).estimate(
            model,
            data[index],
            key,
            chunk=chunk,
            on_progress=progress.of_last(len(index)),
            store=store,
            index=index,
        )
        return spliced(first, annealed, index)

    def _check(
        self,
        evidence: Evidence,
        model: Model,
        data: np.ndarray,
        key: Key,
        chunk: int | None,
        progress: "_Progress",
        store: Path | None,
    ) -> Evidence:
        """The estimate compared with chains from the prior, where the model has gradients."""
        from jensen.evidence._path import differentiable
        from jensen.evidence.annealed import CHECK, Annealed

        checked = min(self.check_data, len(data))
        if not checked or not differentiable(model, data[0]):
            return evidence
        chains = Annealed(
            num_temperatures=min(self.num_temperatures, CHECK_TEMPERATURES),
            num_samples=self.num_chains,
            start="prior",
            check_data=0,
        )
        return compare_with_other_start(
            evidence,
            chains,
            model,
            data,
            jr.fold_in(key, CHECK),
            num_data=checked,
            chunk=chunk,
            on_progress=progress.of_last(checked),
            store=store,
        )

    def _importance(self) -> Importance:
        return Importance(
            num_samples=self.num_samples, until_trusted=True, max_samples=self.max_samples
        )


class _Progress:
    """Progress in data: a later pass over some of them counts as those, the last ones."""

    def __init__(self, on_progress: Callable[[int, int], None], num_data: int):
        self._report, self._num_data = on_progress, num_data

    def of_last(self, count: int) -> Callable[[int, int], None]:
        settled = self._num_data - count
        return lambda done, total: self._report(settled + count * done // total, self._num_data)


def spliced(first: Evidence, annealed: Evidence, index: np.ndarray) -> Evidence:
    """`first` with the estimates of annealing at the data `index`, in the order of the data; reasons of both are joined.

    spliced(first, annealed, np.flatnonzero(~first.trusted))
    """
    reasons = [
        f"{why}; {own}" if own else str(why)
        for why, own in zip(first.reasons[index], annealed.reasons, strict=True)
    ]
    rest = np.setdiff1d(np.arange(len(first.values)), index)
    both = joined([first.rows(rest), replace(annealed, reasons=np.array(reasons))])
    return both.rows(np.argsort(np.concatenate([rest, index])))
