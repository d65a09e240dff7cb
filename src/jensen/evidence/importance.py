"""Importance sampling with the encoder's posterior as the proposal: log (1/S) sum_s w_s.

Burda et al. 2016; Rezende et al. 2014, appendix E.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array, Distribution, Float, Int, Key
from jensen.evidence._adaptive import Target, estimate_adaptively
from jensen.evidence._base import AbstractEvidenceEstimator, estimate_by_streaming
from jensen.evidence._corrections import JACKKNIFE_NOTE, SMOOTH_NOTE, summarise_corrected
from jensen.evidence._record import Evidence
from jensen.evidence._refinement import family_of, refine
from jensen.evidence._streaming import stream_log_weights
from jensen.model import Model
from jensen.weights import datum_log_weights, draw, over_samples, weigh

MAX_SAMPLES = 100_000
REFINING = 2**31 - 1  # folded into a datum's key for its refinement; no sample has that number
Family = Literal["own", "diagonal", "full", "flow"]


class Importance(AbstractEvidenceEstimator):
    """log (1/S) sum_s w_s with z_s ~ q(z|x) and w_s = p(x, z_s) / q(z_s|x).

    Exactly S = `num_samples` samples per datum, unless a target is set.

    With the true posterior as q the weights have no variance; with a q of lighter tails the
    estimate is low and k-hat says so. Without further options the mean weight is unbiased for p(x),
    and its log a lower bound in expectation.

    Args:
        num_samples: samples S per datum; with a target, those that every datum gets.
        proposal: q(z|x) as the encoder gives it, or `refined` to each datum first, within the
            `family` of maps (see `evidence.refinement`), which costs as much as some ten thousand
            samples. Unbiased as well: what is fitted depends on draws that are not used again.
        family: of a refined proposal: the encoder's own, diagonal, full or flow.
        smooth: replace the largest weights by the quantiles of the Pareto tail fitted to them
            (Vehtari et al. 2024). Less noise where k-hat is high, for a bias that vanishes with S;
            no lower bound any more. A datum with fewer than 25 samples keeps its weights.
        defensive: a in [0, 1): the proposal (1 - a) q(z|x) + a p(z), the component of each sample
            drawn at random (Hesterberg 1995; Owen & Zhou 2000). Exactly unbiased still, and no
            weight exceeds max p(x|z) / a; the weights' second moment is at most 1 / (1 - a) times
            that with q alone.
        correction: "jackknife" takes the first-order bias -Var(w) / (2 S p(x)^2) off the log of the
            mean weight (Nowozin 2018, JVI-1): the bias falls from O(1/S) to O(1/S^2); no lower
            bound any more, and the variance may rise a little.
        target_error: double a datum's samples until its standard error is at most so many nats.
            Where k-hat is high that error is too small itself: then set `until_trusted` too.
        until_trusted: double a datum's samples until k-hat is at most its threshold. Either target
            stops by looking at the draws, which costs a small bias.
        max_samples: where the doubling ends, met or not; `reasons` says so for each datum.

    Raises:
        ValueError: an option out of its range, or options that do not go together.

        estimate_evidence(model, x, Importance(num_samples=5000), key=key).value  # nats per datum
        careful = Importance(num_samples=1000, until_trusted=True, defensive=0.1)
        estimate_evidence(model, x, careful, key=key).samples
    """

    num_samples: int = eqx.field(static=True)
    proposal: Literal["encoder", "refined"] = eqx.field(static=True)
    family: Family = eqx.field(static=True)
    smooth: bool = eqx.field(static=True)
    defensive: float = eqx.field(static=True)
    correction: Literal["none", "jackknife"] = eqx.field(static=True)
    target_error: float | None = eqx.field(static=True)
    until_trusted: bool = eqx.field(static=True)
    max_samples: int = eqx.field(static=True)

    def __init__(
        self,
        *,
        num_samples: int = 5000,
        proposal: Literal["encoder", "refined"] = "encoder",
        family: Family = "own",
        smooth: bool = False,
        defensive: float = 0.0,
        correction: Literal["none", "jackknife"] = "none",
        target_error: float | None = None,
        until_trusted: bool = False,
        max_samples: int = MAX_SAMPLES,
    ):
        self.num_samples = num_samples
        self.proposal = proposal
        self.family = family
        self.smooth = smooth
        self.defensive = defensive
        self.correction = correction
        self.target_error = target_error
        self.until_trusted = until_trusted
        self.max_samples = max_samples

    def __check_init__(self):
        if not 0 <= self.defensive < 1:
            raise ValueError(
                "importance: defensive is the prior's share of the proposal and must be in [0, 1); "
                f"got {self.defensive}. Try 0.1."
            )
        if self.family != "own" and self.proposal != "refined":
            raise ValueError(
                f"importance: family {self.family!r} is that of a refined proposal; set "
                "proposal=refined too."
            )
        if self.correction not in ("none", "jackknife"):
            raise ValueError(
                f"importance: correction must be none or jackknife; got {self.correction!r}."
            )
        if self.smooth and self.correction == "jackknife":
            raise ValueError(
                "importance: smooth and correction=jackknife both correct for the largest weights, "
                "and nothing is known of the two together; choose one."
            )
        if self.target_error is not None and not (
            self.target_error > 0 and math.isfinite(self.target_error)
        ):
            raise ValueError(
                "importance: target_error is a standard error in nats and must be positive and "
                f"finite; got {self.target_error}. Try 0.05."
            )
        if self._adaptive and self.max_samples < self.num_samples:
            raise ValueError(
                f"importance: max_samples must be at least num_samples, {self.num_samples}, which "
                f"every datum gets; got {self.max_samples}."
            )
        if not self._adaptive and self.max_samples != MAX_SAMPLES:
            raise ValueError(
                f"importance: max_samples ({self.max_samples}) bounds the doubling of samples, but "
                "nothing asks for any; set until_trusted or target_error, or num_samples alone."
            )
        if self.until_trusted and self.num_samples < 25:
            raise ValueError(
                "importance: until_trusted wants at least 25 samples, or there is no tail to fit "
                f"k-hat to; got num_samples {self.num_samples}."
            )

    def log_weights(
        self, model: Model, prior: Distribution, x: Array, key: Key, *, block: int
    ) -> Float[Array, " samples"]:
        if self.defensive == 0 and self.proposal == "encoder":
            return datum_log_weights(model, prior, x, key, self.num_samples, block=block).tempered()
        return over_samples(self._one_sample(model, prior, x, key), self.num_samples, block)

    def numbered_log_weights(
        self, model: Model, prior: Distribution, x: Array, key: Key, samples: Int[Array, " samples"]
    ) -> Float[Array, " samples"]:
        """The log-weights of one datum's samples with these numbers, all at a time.

        They are those that `log_weights` has at these places.
        """
        return jax.vmap(self._one_sample(model, prior, x, key))(samples)

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
        summarise = functools.partial(
            summarise_corrected, smooth=self.smooth, correction=self.correction
        )
        if self.proposal == "refined":
            family_of(model, self.family, data[0])  # refuses codes that no map can move
        if self._adaptive:
            found = estimate_adaptively(
                self,
                Target(self.target_error, self.until_trusted),
                summarise,
                model,
                data,
                key,
                chunk,
                on_progress,
            )
        elif not self.smooth and self.correction == "none":
            found = estimate_by_streaming(self, model, data, key, chunk, on_progress)
        else:
            columns: list[tuple[np.ndarray, ...]] = []
            for log_w in stream_log_weights(self, model, data, key, chunk):
                columns.append(summarise(log_w))
                on_progress(sum(len(c[0]) for c in columns), len(data))
            found = Evidence(
                *(np.concatenate(part) for part in zip(*columns, strict=True)),
                num_samples=self.num_samples,
                estimator="Importance",
            )
        notes = [
            *found.notes,
            *([SMOOTH_NOTE] if self.smooth else []),
            *([JACKKNIFE_NOTE] if self.correction == "jackknife" else []),
        ]
        if self.proposal == "refined":
            notes.append(
                f"Proposal: q(z|x) refined to each datum, {family_of(model, self.family, data[0])} "
                "family."
            )
        if self.defensive > 0:
            notes.append(
                f"Defensive proposal: {1 - self.defensive:g} q(z|x) + {self.defensive:g} p(z)."
            )
        plain = not self.smooth and self.correction == "none"
        return replace(found, notes=tuple(notes), unbiased_weights=plain)

    @property
    def data_at_a_time(self) -> int:
        """How many data are computed side by side.

        More with refinement than without, since it is a loop over few draws of each datum.
        """
        return 64 if self.proposal == "refined" else 4

    @property
    def _adaptive(self) -> bool:
        return self.target_error is not None or self.until_trusted

    def _one_sample(
        self, model: Model, prior: Distribution, x: Array, key: Key
    ) -> Callable[[Array], Array]:
        """The log-weight of a sample by its number."""
        refined = self.proposal == "refined"
        posterior = (
            refine(model, prior, x, jr.fold_in(key, REFINING), family=self.family)
            if refined
            else model.encoder(x)
        )

        def plain(sample):
            return draw(model, prior, posterior, x, jr.fold_in(key, sample)).weights.tempered()

        def defended(sample):
            key_component, key_posterior, key_prior = jr.split(jr.fold_in(key, sample), 3)
            from_prior = jr.bernoulli(key_component, self.defensive)
            z = jax.tree.map(
                lambda p, q: jnp.where(from_prior, p, q),
                prior.sample(key_prior),
                posterior.sample(key_posterior),
            )
            # log w = log p(x|z) + log p(z) - log [(1 - a) q(z|x) + a p(z)]
            weights = weigh(model, prior, x, z, posterior)
            proposal = jnp.logaddexp(
                math.log1p(-self.defensive) + weights.log_posterior,
                math.log(self.defensive) + weights.log_prior,
            )
            return replace(weights, log_posterior=proposal).tempered()

        return defended if self.defensive > 0 else plain
