"""Annealed importance sampling: log p(x) from chains that are led from q(z|x), or from the prior, to the posterior (Neal 2001; Wu et al. 2017).

    z_0 ~ start,  z_t ~ HMC that leaves f_t = start (p(x, .) / start)^beta_t invariant
    log w = sum_t (beta_t - beta_{t-1}) log (p(x, z_{t-1}) / start(z_{t-1})),  E w = p(x)

A mean of weights is unbiased for p(x), so its logarithm lies below log p(x) in expectation, and comes nearer with every temperature and chain.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import equinox as eqx
import jax.random as jr
import numpy as np
from scipy.special import logsumexp

from jensen._types import Key
from jensen.evidence import _schedules
from jensen.evidence._base import AbstractEvidenceEstimator
from jensen.evidence._chains import Chains
from jensen.evidence._lots import Annealing, Store, anneal, fingerprint
from jensen.evidence._other_start import CHECK_DATA, compare_with_other_start
from jensen.evidence._path import check_differentiable
from jensen.evidence._record import Evidence
from jensen.model import Model

Schedule = Literal["sigmoid", "linear", "adaptive"]
# Beyond these a datum's estimate is not trusted: chains that never move, chains that creep, weights that one chain has most of.
LEAST_ACCEPTANCE, MOST_ACCEPTANCE, LEAST_ESS = 0.1, 0.98, 0.25
CHECK = 2**31 - 1  # folded into the key for the comparison with another start


class Annealed(AbstractEvidenceEstimator):
    """Annealed importance sampling with `num_samples` chains per datum.

    Args:
        num_samples: chains per datum.
        num_temperatures: temperatures; with the schedule `adaptive` the most there may be.
        num_leapfrog: leapfrog steps of a move; one move at each temperature.
        start: where the chains begin: the encoder's posterior, or the prior.
        schedule: `sigmoid` (close together at both ends), `linear`, or `adaptive`: found beforehand, by chains of their own on a few of the data.
        target_ess: of `adaptive`: the share of the chains that each step from a temperature to the next leaves in effect.
        target_acceptance: what step sizes are tuned to, for each datum and temperature, in a run of its own before the weights are made.
        check_data: on so many data, chosen at random, chains from the other start are compared (from the prior, where these begin at
            the encoder's posterior); 0 for none. Where they find more, beyond errors, `notes` and `trusted` say so.

    A result depends on neither the chunk nor the other data but for rounding; a long chain in float32 can carry rounding to a move that is accepted or not.

    A datum at which a density is not finite has no estimate; the others go on. Trusted is one whose chains moved (10% to 98% of moves accepted) and of whose
    chains a quarter are in effect.

        estimate_evidence(model, x, Annealed(num_temperatures=500), key=key).value  # nats per datum
    """

    num_samples: int = eqx.field(static=True)
    num_temperatures: int = eqx.field(static=True)
    num_leapfrog: int = eqx.field(static=True)
    start: Literal["encoder", "prior"] = eqx.field(static=True)
    schedule: Schedule = eqx.field(static=True)
    target_ess: float = eqx.field(static=True)
    target_acceptance: float = eqx.field(static=True)
    check_data: int = eqx.field(static=True)

    def __init__(
        self,
        *,
        num_samples: int = 16,
        num_temperatures: int = 500,
        num_leapfrog: int = 10,
        start: Literal["encoder", "prior"] = "encoder",
        schedule: Schedule = "sigmoid",
        target_ess: float = 0.995,
        target_acceptance: float = 0.65,
        check_data: int = CHECK_DATA,
    ):
        for name, value, usual in [
            ("num_temperatures", num_temperatures, 500),
            ("num_leapfrog", num_leapfrog, 10),
        ]:
            if value < 1:
                raise ValueError(f"annealed: {name} must be at least 1; got {value}. Try {usual}.")
        for name, value, usual in [
            ("target_ess", target_ess, 0.995),
            ("target_acceptance", target_acceptance, 0.65),
        ]:
            if not 0 < value < 1:
                raise ValueError(
                    f"annealed: {name} is a share between 0 and 1; got {value}. Try {usual}."
                )
        if check_data < 0:
            raise ValueError(
                f"annealed: check_data is a number of data and must be at least 0 (none); got {check_data}. Try {CHECK_DATA}."
            )
        self.num_samples = num_samples
        self.num_temperatures = num_temperatures
        self.num_leapfrog = num_leapfrog
        self.start = start
        self.schedule = schedule
        self.target_ess = target_ess
        self.target_acceptance = target_acceptance
        self.check_data = check_data

    @property
    def chains(self) -> Chains:
        """How the chains move."""
        return Chains(self.num_samples, self.num_leapfrog, self.target_acceptance, self.start)

    def estimate(
        self,
        model: Model,
        data: np.ndarray,
        key: Key,
        *,
        chunk: int | None = None,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
        store: Path | None = None,
        index: np.ndarray | None = None,
    ) -> Evidence:
        """The evidence of data [N, *event]; `index` are their numbers, by which keys are folded: 0, 1, 2, ... when absent."""
        check_differentiable(model, data[0])
        index = np.arange(len(data)) if index is None else index
        key_schedule, key_chains = jr.split(key)
        kept = Store(store, fingerprint(self, model, data, index, key))
        betas, notes = self.temperatures(model, data, key_schedule)
        checked = min(self.check_data, len(data))
        work, more = len(data) * (len(betas) - 1), checked * (len(betas) - 1)
        found = anneal(
            self.chains,
            model,
            data,
            index,
            key_chains,
            betas,
            chunk=chunk,
            on_progress=lambda done, total: on_progress(done, total + more),
            store=kept,
        )
        evidence = self._summary(found, index, notes)
        if not checked:
            return evidence
        return compare_with_other_start(
            evidence,
            self._from_other_start(),
            model,
            data,
            jr.fold_in(key, CHECK),
            num_data=checked,
            index=index,
            chunk=chunk,
            on_progress=lambda done, total: on_progress(work + more * done // total, work + more),
            store=store,
        )

    def _from_other_start(self) -> "Annealed":
        return Annealed(
            num_samples=self.num_samples,
            num_temperatures=self.num_temperatures,
            num_leapfrog=self.num_leapfrog,
            start="prior" if self.start == "encoder" else "encoder",
            schedule=self.schedule,
            target_ess=self.target_ess,
            target_acceptance=self.target_acceptance,
            check_data=0,
        )

    def temperatures(
        self, model: Model, data: np.ndarray, key: Key
    ) -> tuple[np.ndarray, tuple[str, ...]]:
        """(the temperatures [T + 1], what there is to say of them)."""
        if self.schedule != "adaptive":
            return (_schedules.sigmoid if self.schedule == "sigmoid" else _schedules.linear)(
                self.num_temperatures
            ), ()
        prior = model.prior(model.encoder)
        options = {"target_ess": self.target_ess, "most": self.num_temperatures}
        betas, asked = _schedules.adaptive(self.chains, model, prior, data, key, **options)
        said = f"adaptive schedule: {asked} temperatures keep the ESS of each step at {self.target_ess:.1%} of the chains"
        return betas, (
            said
            + (
                f", of which {self.num_temperatures} were taken (num_temperatures)."
                if asked > self.num_temperatures
                else "."
            ),
        )

    def _summary(self, found: Annealing, index: np.ndarray, notes: tuple[str, ...]) -> Evidence:
        values, errors, effective = summarise_chains(found.log_w)
        trusted = (
            (found.acceptance >= LEAST_ACCEPTANCE)
            & (found.acceptance <= MOST_ACCEPTANCE)
            & (effective >= LEAST_ESS * self.num_samples)
        )
        trusted &= ~np.isnan(values)
        return Evidence(
            values,
            errors,
            effective,
            np.full(len(values), np.nan),
            num_samples=self.num_samples,
            estimator="Annealed",
            trusted=trusted,
            shortfalls=np.where(
                trusted,
                0.5 * np.square(errors),  # of a logarithm of a mean (delta method)
                chain_shortfalls(found.log_w, values, errors),
            ),
            notes=(*notes, *faults(found, index)),
            curves={
                "beta": found.betas[1:],
                "acceptance": found.acceptance_by_temperature,
                "ess": found.ess_by_temperature,
            },
        )


def summarise_chains(log_w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(log of the mean weight, its standard error, effective chains), per datum of log-weights [N, chains]; NaN where a weight is not finite.

    summarise_chains(np.zeros((3, 16)))
    """
    chains = log_w.shape[1]
    with np.errstate(invalid="ignore"):
        fine = ~(np.isnan(log_w) | (log_w == np.inf)).any(axis=1)
        value = np.where(
            fine,
            np.asarray(logsumexp(np.where(fine[:, None], log_w, 0.0), axis=1)) - math.log(chains),
            np.nan,
        )
        relative = np.exp(log_w - value[:, None])
        return (
            value,
            np.std(relative, axis=1, ddof=1) / math.sqrt(chains),
            np.where(fine, chains / np.mean(relative**2, axis=1), 0.0),
        )


def chain_shortfalls(log_w: np.ndarray, values: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Nats by which the log of the mean weight of few chains may be too low, [N]: what log-normal weights of the same mean and spread
    have over it, log E w = E log w + Var(log w) / 2, and at least its standard error; NaN without an estimate.

    chain_shortfalls(found.log_w, values, errors)
    """
    with np.errstate(invalid="ignore"):
        log_normal = log_w.mean(axis=1) + 0.5 * log_w.var(axis=1, ddof=1)
        # A weight of 0 has no logarithm to take a spread of: nothing tells.
        rises = np.where(np.isfinite(log_normal), log_normal - values, np.inf)
        return np.where(np.isnan(values), np.nan, np.maximum(rises, errors))


def faults(found: Annealing, index: np.ndarray) -> tuple[str, ...]:
    """What went wrong, in words, by the data's numbers: data without a finite density, and chains that do not move or creep.

    faults(found, np.arange(len(found.bad)))  # () when nothing did
    """
    said = []
    bad = np.flatnonzero(found.bad >= 0)
    if len(bad):
        n, t = int(bad[0]), int(found.bad[bad[0]])
        beta = found.betas[t + 1]
        said.append(
            f"{len(bad)} of {len(found.bad)} data have no estimate: a density along their path is not finite (the first: datum {index[n]}, at temperature "
            f"{t + 1}, beta = {beta:.3g}); the others went on."
        )
    fine = found.bad < 0
    stuck, creeping = (
        fine & (found.acceptance < LEAST_ACCEPTANCE),
        fine & (found.acceptance > MOST_ACCEPTANCE),
    )
    if stuck.any():
        n = int(np.flatnonzero(stuck)[0])
        said.append(
            f"acceptance collapsed for {int(stuck.sum())} data (the first: datum {index[n]}, {found.acceptance[n]:.1%}): their chains hardly moved: what they "
            "give is importance sampling at best. Try more temperatures, or --set num_leapfrog=5."
        )
    if creeping.any():
        n = int(np.flatnonzero(creeping)[0])
        said.append(
            f"acceptance sticks near 1 for {int(creeping.sum())} data (the first: datum {index[n]}, {found.acceptance[n]:.1%}): their steps are as long as "
            "they may be and still short for their posteriors, so the chains creep. Try --set start=prior, or more leapfrog steps: --set num_leapfrog=50."
        )
    return tuple(said)
