"""What a fit's numbers say, in plain words, the gravest first.

| begins with | when |
|---|---|
| Not converged | the outcome says so |
| Missed modes | climbs from many starts end at maxima with mass that no draw of q is near |
| Untrusted | k-hat is above its threshold (.7 with many draws), or there is none: the parameters are named that the weights move most, and MCMC is advised |
| Biased | k-hat is good, and by the weights a mean of q is off by more than .05 standard deviations, or one of these by more than 5%, noise allowed for |
| Doubtful | k-hat is above .5 and below the threshold: the weights have no variance |
| No ELBO | its standard error is above 1 nat: it may be -inf (a heavy-tailed q where log p falls fast) |
| Too narrow | a mean-field q whose standard deviations linear response exceeds by half or more |
| No evidence | a term of the log-density is not the log of a normalised density |
| Nothing stands out | none of these |
"""

from dataclasses import dataclass

import numpy as np

from jensen.evidence import pareto_k_threshold

NO_VARIANCE, MOST_NAMED = 0.5, 4
RICHER = ("full_rank", "student_t", "flow")
MOVED_MEAN, MOVED_SD, TOO_NARROW, MOST_ERROR = 0.1, 0.1, 1.5, 1.0
BIASED_MEAN, BIASED_SD = 0.05, 0.05  # of a standard deviation; of 1


@dataclass(frozen=True)
class Seen:
    """What verdicts are given on: labels of the constrained numbers, which of them vary, their moments under q and under the weights [numbers] each, k-hat, and
    so on."""

    names: tuple[str, ...]
    varies: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    weighted_mean: np.ndarray
    weighted_sd: np.ndarray
    response_sd: np.ndarray | None
    pareto_k: float
    num_draws: int
    effective_draws: float
    missed_modes: tuple[float, ...]
    converged: bool
    message: str
    improper_because: str
    family: str
    elbo_error: float


def verdicts(seen: Seen) -> tuple[str, ...]:
    """The verdicts on a fit; never empty.

    verdicts(seen)[0]
    """
    found = [
        _outcome(seen),
        _modes(seen),
        _tails(seen),
        _bias(seen),
        _elbo(seen),
        _narrow(seen),
        _evidence(seen),
    ]
    return tuple(v for v in found if v) or (
        f"Nothing stands out: k-hat is {seen.pareto_k:.2f} at {seen.num_draws} draws, and the fit converged.",
    )


def biased(seen: Seen) -> bool:
    """Whether q's own moments are off where the weights can be relied on: k-hat speaks of the weighted ones, and a good one alone is no word for q's.

    biased(seen)
    """
    return bool(_off(seen))


def most_moved(seen: Seen) -> list[str]:
    """The parameters that the importance weights move most against q, with how: by a tenth of a standard deviation, or its size by a tenth."""
    return _named(seen, MOVED_MEAN, MOVED_SD)


def _off(seen: Seen) -> list[str]:
    if not seen.pareto_k <= pareto_k_threshold(seen.num_draws):
        return []
    # The weighted moments differ from those of the same draws by what the weights lose of them.
    noise = 3 * np.sqrt(max(1 / seen.effective_draws - 1 / seen.num_draws, 0.0))
    return _named(seen, BIASED_MEAN + noise, BIASED_SD + noise)


def _named(seen: Seen, most_shift: float, most_ratio: float) -> list[str]:
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.nan_to_num(np.abs(seen.weighted_mean - seen.mean) / seen.sd)
        ratio = np.nan_to_num(seen.weighted_sd / seen.sd, nan=1.0, posinf=1.0)
    score = np.maximum(shift, np.abs(np.log(np.maximum(ratio, 1e-12))))
    order = [
        int(i)
        for i in np.argsort(-score)
        if seen.varies[i] and (shift[i] > most_shift or abs(ratio[i] - 1) > most_ratio)
    ]
    said = [
        f"{seen.names[i]} (mean moves by {(seen.weighted_mean[i] - seen.mean[i]) / seen.sd[i]:+.2f} sd, sd x {ratio[i]:.2f})"
        for i in order[:MOST_NAMED]
    ]
    return [*said, f"and {len(order) - MOST_NAMED} more"] if len(order) > MOST_NAMED else said


def _bias(seen: Seen) -> str:
    off = _off(seen)
    if not off:
        return ""
    return (
        f"Biased: k-hat is {seen.pareto_k:.2f}, and by the importance weights the moments of q itself are off: {', '.join(off)}. Take mean(weighted=True) and "
        "sd(weighted=True), or a richer family."
    )


def _outcome(seen: Seen) -> str:
    return "" if seen.converged else f"Not converged: {seen.message}."


def _modes(seen: Seen) -> str:
    if not seen.missed_modes:
        return ""
    count, mass = len(seen.missed_modes), sum(seen.missed_modes)
    maxima = "another maximum" if count == 1 else f"{count} other maxima"
    holds = "holds" if count == 1 else "hold"
    alike = np.allclose(seen.missed_modes, 1, atol=0.2)
    remedy = (
        "Equal masses are those of exchangeable labels or signs: q describes one of them, and an "
        "ordered or signed prior makes the posterior one."
        if alike
        else "A mixture with start= wide enough, or MCMC, would weigh them."
    )
    evidence = (
        ""
        if seen.improper_because
        else f", so log p(x) is too low by about {np.log1p(mass):.2f} nats"
    )
    return (
        f"Missed modes: {maxima} of the density {holds} about {mass:.2g} times the mass that q "
        f"covers{evidence}. {remedy}"
    )


def _tails(seen: Seen) -> str:
    moved, threshold = most_moved(seen), pareto_k_threshold(seen.num_draws)
    remedy = (
        "MCMC would tell."
        if seen.family == "student_t"
        else "A family with heavier tails (student_t) or MCMC would tell."
    )
    named = f" Most in doubt: {', '.join(moved)}." if moved else ""
    if not seen.pareto_k <= threshold:
        others = [name for name in RICHER if name != seen.family]
        richer = (
            ""
            if seen.family in ("flow", "mixture")
            else f" or a richer family ({', '.join(others)})"
        )
        return (
            f"Untrusted: k-hat is {seen.pareto_k:.2f}, above {threshold:.2f}: q misses where much of the posterior is, and neither its moments nor the "
            f"evidence can be relied on.{named} This posterior wants MCMC{richer}."
        )
    if seen.pareto_k > NO_VARIANCE:
        return (
            f"Doubtful: k-hat is {seen.pareto_k:.2f}, above {NO_VARIANCE}: the weights have no variance, so the evidence is likely too low by more than its "
            f"standard error says: a light-tailed q hides its own bias.{named} {remedy}"
        )
    return ""


def _elbo(seen: Seen) -> str:
    if seen.elbo_error <= MOST_ERROR:
        return ""
    return (
        f"No ELBO: its standard error is {seen.elbo_error:.3g} nats: a few draws far out decide it, and it may be -inf, as that of heavy tails is where log p "
        "falls exponentially. The evidence and k-hat do not suffer from it."
    )


def _narrow(seen: Seen) -> str:
    if seen.response_sd is None:
        return ""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(seen.response_sd / seen.sd, nan=1.0, posinf=1.0)
    order = [int(i) for i in np.argsort(-ratio) if seen.varies[i] and ratio[i] > TOO_NARROW]
    if not order:
        return ""
    named = ", ".join(f"{seen.names[i]} (x {ratio[i]:.1f})" for i in order[:MOST_NAMED]) + (
        f" and {len(order) - 4} more" if len(order) > 4 else ""
    )
    return f"Too narrow: by linear response the standard deviations of the mean-field q are too small: {named}. Use sd(linear_response=True), or full_rank."


def _evidence(seen: Seen) -> str:
    if not seen.improper_because:
        return ""
    return (
        f"No evidence: {seen.improper_because}, so log p(x) is not defined; the ELBO compares fits "
        "of this model to these data alone."
    )
