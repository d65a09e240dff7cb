"""What an estimate of log p(x) is: a value per datum, its standard error, and whether it can be trusted, by which method and why."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import logsumexp

from jensen.evidence._shortfall import tail_size, tenfold_rises

UNDERFLOW = (
    300.0  # nats between the largest weight and the least of the tail; k-hat is above 50 there
)
PER_DATUM = (
    "values",
    "standard_errors",
    "effective_samples",
    "pareto_k",
    "samples",
    "methods",
    "reasons",
    "trusted",
    "shortfalls",
)
COVERED = 2.0  # standard errors of the mean that untrusted data may move it by, and it is still said to cover
# Above it a weight has no variance, so that the delta method's standard error has no foundation,
# although the estimate can be trusted up to 0.7 (Vehtari et al. 2024, section 3).
FINITE_VARIANCE = 0.5
LOWER, UNKNOWN = "lower", "unknown"  # what `Evidence.bound` may be where no standard error covers


@dataclass(frozen=True)
class OtherStart:
    """Chains from another start than the estimate's, on some of its data: what q(z|x) never visits, chains from the prior may.

    Attributes:
        start: where those chains began: "prior" or "encoder".
        index: [n], which of the data, ascending.
        differences, standard_errors: [n], log p(x) by those chains minus the estimate, nats, and its Monte Carlo error.
    """

    start: str
    index: np.ndarray
    differences: np.ndarray
    standard_errors: np.ndarray

    @property
    def difference(self) -> float:
        """The mean difference, nats per datum."""
        return float(self.differences.mean()) if len(self.index) else math.nan

    @property
    def standard_error(self) -> float:
        """Of `difference`."""
        n = len(self.index)
        return float(np.sqrt(np.sum(self.standard_errors**2)) / n) if n else math.nan

    @property
    def higher(self) -> np.ndarray:
        """[n], at which data the other chains are higher by more than 4 standard errors and 0.05 nats."""
        return self.differences > np.maximum(4 * self.standard_errors, LEAST_DIFFERENCE)

    @property
    def disagrees_in_the_mean(self) -> bool:
        """Whether the other chains are higher by more than 3 standard errors and 0.05 nats in the mean."""
        return self.difference > max(3 * self.standard_error, LEAST_DIFFERENCE)

    @property
    def disagrees(self) -> bool:
        """Whether the other chains are higher, in the mean or at a datum: both are lower bounds in expectation, so only that says something."""
        return self.disagrees_in_the_mean or bool(self.higher.any())

    @property
    def where(self) -> str:
        """The start, in words."""
        return {"prior": "the prior", "encoder": "q(z|x)"}[self.start]


LEAST_DIFFERENCE = 0.05  # nats: rounding and the bias of few chains are less


@dataclass(frozen=True)
class Evidence:
    """Estimates of log p(x_n), nats.

    Attributes:
        values, standard_errors: per datum; the standard error is the Monte Carlo one (delta method). NaN for a datum without an estimate.
        effective_samples: (sum w)^2 / sum w^2 per datum.
        pareto_k: k-hat per datum (Vehtari et al. 2024); -inf where all weights are equal, NaN where it says nothing of this estimate.
        num_samples, estimator: how they were made; the most samples of any datum.
        samples, methods, reasons: per datum, how many samples, by which method ("importance", "annealed" ...), and why by this one ("": no choice).
        trusted: per datum; by default whether k-hat is at most its threshold.
        shortfalls: per datum, nats by which the estimate is expected to be too low: what ten times
            as many samples would add where k-hat is above 0.5 (see `evidence._shortfall`), half
            the squared standard error (delta method) below it; inf where nothing tells.
        unbiased_weights: whether the weights' mean is unbiased for p(x), so that its log is a lower bound in expectation.
        other_start: the comparison with chains from another start, where there was one.
        notes: what a reader has to know of the whole.
        curves: diagnostics along the estimator's way, such as the acceptance at each temperature.
    """

    values: np.ndarray
    standard_errors: np.ndarray
    effective_samples: np.ndarray
    pareto_k: np.ndarray
    num_samples: int
    estimator: str
    samples: np.ndarray = field(default=None)  # pyright: ignore[reportAssignmentType]
    methods: np.ndarray = field(default=None)  # pyright: ignore[reportAssignmentType]
    reasons: np.ndarray = field(default=None)  # pyright: ignore[reportAssignmentType]
    trusted: np.ndarray = field(default=None)  # pyright: ignore[reportAssignmentType]
    shortfalls: np.ndarray = field(default=None)  # pyright: ignore[reportAssignmentType]
    unbiased_weights: bool = True
    other_start: OtherStart | None = None
    notes: tuple[str, ...] = ()
    curves: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self):
        n = len(self.values)
        if self.samples is None:
            object.__setattr__(self, "samples", np.full(n, self.num_samples))
        if self.trusted is None:
            thresholds = np.array([pareto_k_threshold(int(s)) for s in self.samples])
            object.__setattr__(self, "trusted", self.pareto_k <= thresholds)
        if self.shortfalls is None:
            rises = tenfold_rises(self.pareto_k, self.effective_samples, self.samples)
            # k-hat has nothing to say of a datum that is untrusted for another reason.
            rises = np.where(np.isfinite(self.pareto_k), rises, np.inf)
            delta = 0.5 * np.square(self.standard_errors)
            heavy = ~self.trusted | (self.pareto_k > FINITE_VARIANCE)
            object.__setattr__(self, "shortfalls", np.where(heavy, rises, delta))
        if self.methods is None:
            object.__setattr__(
                self,
                "methods",
                np.full(n, re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.estimator).lower()),
            )
        if self.reasons is None:
            object.__setattr__(self, "reasons", np.full(n, ""))

    @property
    def value(self) -> float:
        """The average over the data that have an estimate, nats per datum."""
        return float(self.values[self.estimated].mean()) if self.estimated.any() else math.nan

    @property
    def standard_error(self) -> float:
        """The Monte Carlo standard error of `value`, these data given: of the draws that came.

        What covers log p(x) is `error`.
        """
        errors = self.standard_errors[self.estimated]
        return float(np.sqrt(np.sum(errors**2)) / len(errors)) if len(errors) else math.nan

    @property
    def shortfall(self) -> float:
        """Nats by which the untrusted data may at least move the mean: their part of that of
        `shortfalls`."""
        return self._mean_shortfall(~self.trusted)

    @property
    def bias(self) -> float:
        """Nats by which the trusted data are expected to leave the mean too low.

        A k-hat between 0.5 and 0.7 lets an estimate pass, but the draws that carry its tail have
        mostly not come, at all such data alike: that does not average out over the data, as
        `standard_error` does.
        """
        return self._mean_shortfall(self.trusted)

    def _mean_shortfall(self, data: np.ndarray) -> float:
        """The sum of `shortfalls` over some data by the number of all that are estimated."""
        if not self.estimated.any():
            return math.nan
        return float(self.shortfalls[self.estimated & data].sum() / self.estimated.sum())

    @property
    def bound(self) -> str:
        """What `value` is where no standard error covers it: "lower", a lower bound in expectation; "unknown", not even that (smoothed
        or corrected weights, grids); "" where `error` covers.

        It covers where the untrusted data move the mean by no more than two Monte Carlo errors of the trusted ones, and chains from
        another start, if there were any, do not find more. Not their number decides but their weight in the mean.
        """
        if self.misses_modes:
            return LOWER
        errors = self.standard_errors[self.estimated & self.trusted]
        covered = np.sqrt(np.sum(errors**2)) / max(1, int(self.estimated.sum()))
        if not self.shortfall > COVERED * covered:
            return ""
        return LOWER if self.unbiased_weights else UNKNOWN

    @property
    def misses_modes(self) -> bool:
        """Whether chains or draws from another start found more than this estimate, beyond errors."""
        return self.other_start is not None and self.other_start.disagrees

    @property
    def error(self) -> float:
        """`standard_error` and `bias` together, as the root of the sum of their squares; NaN where
        `value` is a bound, or less."""
        return math.nan if self.bound else math.hypot(self.standard_error, self.bias)

    @property
    def estimated(self) -> np.ndarray:
        """Which data have an estimate; without it are those at which the model gave no finite density."""
        return ~np.isnan(self.values)

    @property
    def untrusted(self) -> float:
        """The share of data whose estimate is not to be trusted: by importance sampling, those with k-hat above the threshold, whose values are likely too low
        and whose standard errors are too small."""
        return float(np.mean(~self.trusted))

    def rows(self, index: np.ndarray) -> "Evidence":
        """The estimates of some of the data.

        found.rows(np.array([0, 3]))
        """
        return replace(self, **{name: getattr(self, name)[index] for name in PER_DATUM})


def joined(parts: "list[Evidence]") -> Evidence:
    """The estimates of several lots of data as one; notes are kept once each, and the curves that any lot has.

    joined([first, second])
    """
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    most = max(part.num_samples for part in parts)
    curves = {name: values for part in parts for name, values in part.curves.items()}
    return replace(
        parts[0],
        **{name: np.concatenate([getattr(p, name) for p in parts]) for name in PER_DATUM},
        notes=notes,
        num_samples=most,
        curves=curves,
    )


def pareto_k_threshold(num_samples: int) -> float:
    """min(1 - 1 / log10 S, 0.7): above it the estimate is not to be trusted (Vehtari et al. 2024, equation 13).

    pareto_k_threshold(5000)  # 0.7
    """
    return min(1 - 1 / math.log10(num_samples), 0.7) if num_samples > 10 else 0.0


def pareto_k(log_w: np.ndarray) -> np.ndarray:
    """k-hat of each row of log-weights [data, S] by arviz-stats; -inf where the tail has no spread, +inf where it spans more than
    300 nats, NaN for fewer than 25 samples.

    pareto_k(np.zeros((1, 100)))  # [-inf]
    """
    from arviz_stats.base.array import array_stats

    out = np.full(len(log_w), np.nan)
    if log_w.shape[1] < 25:  # no tail of five to fit
        return out
    for n, row in enumerate(np.asarray(log_w, np.float64)):
        tail = np.sort(row)[[-tail_size(len(row)), -1]]
        if equal_tail(row):
            out[n] = -np.inf
        elif tail[1] - tail[0] > UNDERFLOW:
            # Most of such a tail is 0 beside its largest weight: the fit would see equal weights and call them harmless.
            out[n] = np.inf
        else:
            # Weights of few discrete codes are equal by the dozen: the fit then divides by 0 on its way to a k near 0, which is what so short a tail has.
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                out[n] = array_stats.psislw(-row)[1]  # arviz-stats wants -(log p - log q)
                # Weights of few codes are bounded, and their tail is a few values that repeat:
                # arviz-stats 1.3 has no k for them, 0.8 one near 0. Any other NaN stays one.
                largest = np.sort(row)[-tail_size(len(row)) :]
                if np.isnan(out[n]) and len(np.unique(largest)) <= len(largest) / 4:
                    out[n] = 0.0
    return out


def equal_tail(log_w: np.ndarray) -> bool:
    """Whether the largest of one datum's log-weights [S] are equal but for rounding.

    equal_tail(np.zeros(100))  # True
    """
    tail = np.sort(log_w)[-tail_size(len(log_w)) :]
    # Rounding makes equal float32 weights differ by 1e-6 nats: no tail at all, but enough to fit noise to.
    return bool(tail[-1] - tail[0] < 1e-5 * max(1.0, abs(tail[-1]) * 0.01))


def evidence_of_log_weights(log_w: np.ndarray, *, estimator: str = "Importance") -> Evidence:
    """The `Evidence` that log-weights [data, S], nats, give, wherever they come from.

    evidence_of_log_weights(np.zeros((3, 100))).value  # 0.0
    """
    return Evidence(
        *summarise_log_weights(np.asarray(log_w, np.float64)),
        num_samples=log_w.shape[1],
        estimator=estimator,
    )


def summarise_log_weights(log_w: np.ndarray) -> tuple[np.ndarray, ...]:
    """(values, standard errors, effective samples, k-hat), per datum."""
    return (*mean_weight(log_w), pareto_k(log_w))


def mean_weight(log_w: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(log of the mean weight, its standard error by the delta method, effective samples) of log-weights [data, S], per datum.

    mean_weight(np.zeros((1, 100)))  # ([0.0], [0.0], [100.0])
    """
    samples = log_w.shape[1]
    value = np.asarray(logsumexp(log_w, axis=1)) - math.log(samples)
    relative = np.exp(log_w - value[:, None])  # w / mean(w)
    return (
        value,
        np.std(relative, axis=1, ddof=1) / math.sqrt(samples),
        samples / np.mean(relative**2, axis=1),
    )
