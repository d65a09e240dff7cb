"""Importance sampling where k-hat trusts it, annealing where it does not: the method is chosen datum by datum, and said."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.distributions.code_kind import CONTINUOUS, code_kind
from jensen.evidence._base import AbstractEvidenceEstimator
from jensen.evidence._record import Evidence, joined
from jensen.evidence.importance import Importance
from jensen.model import Model

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

    Raises:
        ValueError: options that importance sampling or annealing refuses.

        estimate_evidence(Auto(), model, x, key).methods  # ["importance", "annealed", ...]
    """

    num_samples: int = eqx.field(static=True)
    max_samples: int = eqx.field(static=True)
    num_temperatures: int = eqx.field(static=True)
    num_chains: int = eqx.field(static=True)

    def __init__(
        self,
        *,
        num_samples: int = 1000,
        max_samples: int = 20_000,
        num_temperatures: int = 1000,
        num_chains: int = 16,
    ):
        self.num_samples = num_samples
        self.max_samples = max_samples
        self.num_temperatures = num_temperatures
        self.num_chains = num_chains

    def __check_init__(self):
        self._importance()

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
        if len(index) == 0:
            return first
        if code_kind(model.encoder(jnp.asarray(data[0]))) != CONTINUOUS:
            return replace(first, notes=(*first.notes, DISCRETE_NOTE))
        from jensen.evidence.annealed import Annealed

        settled = len(data) - len(index)

        def advance(done: int, total: int) -> None:
            on_progress(settled + len(index) * done // total, len(data))

        annealed: Evidence = Annealed(
            num_temperatures=self.num_temperatures, num_samples=self.num_chains
        ).estimate(
            model,
            data[index],
            key_annealed,
            chunk=chunk,
            on_progress=advance,
            store=store,
            index=index,
        )
        reasons = [
            f"{why}; {own}" if own else str(why)
            for why, own in zip(first.reasons[index], annealed.reasons, strict=True)
        ]
        kept = np.flatnonzero(first.trusted)
        both = joined([first.rows(kept), replace(annealed, reasons=np.array(reasons))])
        return both.rows(np.argsort(np.concatenate([kept, index])))

    def _importance(self) -> Importance:
        return Importance(
            num_samples=self.num_samples, until_trusted=True, max_samples=self.max_samples
        )
