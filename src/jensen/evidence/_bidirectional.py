"""Bidirectional annealing: how far from log p(x) annealing stops, measured on data that the model itself made (Grosse, Ghahramani & Adams 2015).

For x simulated from the model together with its code z*, z* is an exact draw from the posterior p(z|x). Chains from there back to the start give weights whose
mean is unbiased for 1 / p(x): minus its logarithm lies above log p(x) in expectation, as that of forward chains lies below it.
"""

from dataclasses import dataclass
from pathlib import Path

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from scipy import stats

from jensen._types import Array, Distribution, Key
from jensen.evidence._lots import Store, anneal, fingerprint
from jensen.evidence._path import check_differentiable, flat
from jensen.evidence.annealed import Annealed, faults, summarise_chains
from jensen.interop import guarded
from jensen.model import Model
from jensen.progress import OnProgress, silent

BLOCK = 64
APART = 1.0  # nats
FALSE_ALARM = 0.01  # the chance, over all data together, that noise alone sets chains apart


@dataclass(frozen=True)
class Bidirectional:
    """The sandwich on simulated data, nats.

    Attributes:
        lower, upper: [N], forward chains and reverse chains; below and above log p(x) in expectation, per datum.
        lower_errors, upper_errors: [N], Monte Carlo.
        separations: [N], the least log-weight of the reverse chains less the largest of the
            forward ones; below 0 where they overlap.
        num_chains: per datum, each way.
        acceptance: (of the forward chains, of the reverse ones), means.
        notes: what went wrong, in words.
    """

    lower: np.ndarray
    upper: np.ndarray
    lower_errors: np.ndarray
    upper_errors: np.ndarray
    separations: np.ndarray
    num_chains: int
    acceptance: tuple[float, float]
    notes: tuple[str, ...] = ()

    @property
    def gaps(self) -> np.ndarray:
        """upper - lower per datum; NaN for a datum without one of them."""
        return self.upper - self.lower

    @property
    def gap(self) -> float:
        """The mean of upper - lower over the data: in expectation at least what `lower` lacks of log p(x), and at least what `upper` has too much."""
        return float(np.nanmean(self.gaps))

    @property
    def standard_error(self) -> float:
        """Of `gap`, over simulated data: chains and data both drawn anew; inf where a gap is."""
        gaps = self.gaps[~np.isnan(self.gaps)]
        if np.isinf(gaps).any():
            return float("inf")
        return float(gaps.std(ddof=1) / np.sqrt(len(gaps)))

    @property
    def apart(self) -> np.ndarray:
        """[N], at which data the chains do not meet.

        Every reverse chain's log-weight lies above every forward chain's there, by more than 1 nat,
        and the gap is more than noise explains: Student's t over the chains, at 1% over all N data.
        """
        # Errors alone do not tell. The reverse chains of a datum begin at one and the same code, so
        # that their spread lacks what another code would change, and the log of a mean of few
        # skewed weights is low by more than its error. Where q covers the posterior, chains both
        # ways have weights in common: their densities differ by the factor w / p(x) alone.
        errors = np.hypot(self.lower_errors, self.upper_errors)
        factor = stats.t.isf(FALSE_ALARM / len(self.lower), 2 * (self.num_chains - 1))
        return (self.separations > APART) & (self.gaps > factor * errors)

    @property
    def certifies(self) -> str:
        """What the gap says and what it does not."""
        low, high = float(np.nanmean(self.lower)), float(np.nanmean(self.upper))
        count = int(self.apart.sum())
        if count:
            by = float(np.median(self.gaps[self.apart]))
            return self._in_words(low, high) + (
                f" At {count} of them the chains do not meet: those that set out from the code a "
                "datum was made from all end above those from the start, with a gap of "
                f"{by:.3g} nats in the median. Either the start misses modes of the posterior, or "
                "chains and temperatures are too few to get there: the lower bound may lack nats "
                "on real data too. Compare chains from the prior (--set start=prior)."
            )
        return self._in_words(low, high)

    def _in_words(self, low: float, high: float) -> str:
        return (
            f"On {len(self.lower)} data simulated from the model, same settings, chains from below give {low:.3f} and chains from above {high:.3f}, a gap of "
            f"{self.gap:.3f} +- {self.standard_error:.3f} nats. On data like those that this model makes, annealing is that near to log p(x) in "
            "expectation. It is no bound on real data: where they are unlike the model's own, their posteriors may be harder to reach, and only the lower "
            "bound holds."
        )


@guarded
def bidirectional(
    model: Model,
    estimator: Annealed,
    *,
    key: Key,
    num_data: int = 100,
    chunk: int | None = None,
    on_progress: OnProgress = silent,
    store: Path | None = None,
) -> Bidirectional:
    """Forward and reverse chains on data simulated from the model.

    Args:
        estimator: how the chains go; its schedule is used as it is, an adaptive one is found on the simulated data.
        model: the model.
        key: a JAX random key.
        num_data: how many data to simulate.
        chunk: (datum, chain) pairs at a time; bounds the memory, not the result.
        on_progress: called with what is being done, how much is done, and the total, in units of data x temperatures, both ways.
        store: a folder in which to keep what is done, so that the same call goes on from there.

    Raises:
        ValueError: fewer than 2 data, fewer than 2 chains, discrete codes.

        bidirectional(model, Annealed(num_temperatures=500), key=jax.random.key(0)).gap
    """
    if num_data < 2 or estimator.num_samples < 2:
        raise ValueError(
            f"a gap with a standard error needs at least 2 data and 2 chains; got {num_data} and {estimator.num_samples}."
        )
    key_data, key_schedule, key_up, key_down = jr.split(key, 4)
    prior = model.prior(model.encoder)
    data, codes = (np.asarray(a) for a in _simulated(model, prior, key_data, num_data))
    check_differentiable(model, data[0])
    betas, notes = estimator.temperatures(model, data, key_schedule)
    index, found = np.arange(num_data), []
    for way, (key_way, start) in enumerate(((key_up, None), (key_down, codes))):
        kept = Store(
            store and store / f"{('forward', 'reverse')[way]}.npz",
            fingerprint(estimator, model, data, key_way, way),
        )
        advance = lambda done, total, way=way: on_progress(  # noqa: E731
            "both ways, simulated", way * total + done, 2 * total
        )
        found.append(
            anneal(
                estimator.chains,
                model,
                data,
                index,
                key_way,
                betas,
                codes=start,
                chunk=chunk,
                on_progress=advance,
                store=kept,
            )
        )
    (lower, lower_errors, _), (minus_upper, upper_errors, _) = (
        summarise_chains(found[0].log_w),
        summarise_chains(-found[1].log_w),
    )
    said = dict.fromkeys(
        (
            *notes,
            *(
                f"{name} chains: {n}"
                for name, f in zip(("forward", "reverse"), found, strict=True)
                for n in faults(f, index)
            ),
        )
    )
    acceptance = (float(found[0].acceptance.mean()), float(found[1].acceptance.mean()))
    with np.errstate(invalid="ignore"):  # infinite less infinite: NaN, and so not apart
        separations = found[1].log_w.min(axis=1) - found[0].log_w.max(axis=1)
    return Bidirectional(
        lower=lower,
        upper=-minus_upper,
        lower_errors=lower_errors,
        upper_errors=upper_errors,
        separations=separations,
        num_chains=estimator.num_samples,
        acceptance=acceptance,
        notes=tuple(said),
    )


@eqx.filter_jit
def _simulated(model: Model, prior: Distribution, key: Key, num_data: int) -> tuple[Array, Array]:
    """(data, their flat codes): z ~ p(z), x ~ p(x|z)."""

    def one(i):
        key_z, key_x = jr.split(jr.fold_in(key, i))
        z = prior.sample(key_z)
        return model.decoder(z).sample(key_x), flat(z)

    return jax.lax.map(one, jax.numpy.arange(num_data), batch_size=min(BLOCK, num_data))
