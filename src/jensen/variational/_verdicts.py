"""What a fit's numbers say, in plain words, the gravest first.

| begins with | when |
|---|---|
| Not converged | the outcome says so |
| Missed modes | climbs from many starts end at maxima with mass that no draw of q is near |
| Untrusted | k-hat is above its threshold (.7 with many draws), or there is none, and fewer than
90% of the draws are effective: the parameters are named that the weights move most, and MCMC is
advised | | Biased | the weights can judge q, and move a mean or a standard deviation by more than
`tolerance`, noise allowed for: .05 where k-hat is 0, less above | | Doubtful | k-hat is above .5
and below the threshold: the weights have no variance | | No ELBO | its standard error is above 1
nat, of 10,000 draws: it may be -inf (a heavy-tailed q where log p falls fast) | | Too narrow | a
mean-field q whose standard deviations linear response exceeds by half or more | | No evidence | a
term of the log-density is not the log of a normalised density | | Nothing stands out | none of
these |
"""

from dataclasses import dataclass

import numpy as np

from jensen.evidence import pareto_k_threshold
from jensen.variational._moment_moves import MomentMoves

NO_VARIANCE, MOST_NAMED = 0.5, 4
RICHER = ("full_rank", "student_t", "flow")
MOVED_MEAN, MOVED_SD, TOO_NARROW, MOST_ERROR = 0.1, 0.1, 1.5, 1.0
BIASED = 0.05  # of a standard deviation in a mean, of 1 in a standard deviation
EQUAL = 0.9  # share of effective draws from which on weights are nearly equal, whatever k-hat
HEAVY = 1.0  # k-hat: weights without a mean
LARGE_MOVE = 0.25  # of a moment: weights that move it so far are not to be relied on themselves
FEW_EFFECTIVE = 0.1  # share of the draws


@dataclass(frozen=True)
class Seen:
    """What verdicts are given on: labels of the constrained numbers, which of them vary, their
    moments under q [numbers] each, how the weights move these, k-hat, and so on.
    """

    names: tuple[str, ...]
    varies: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    moves: MomentMoves
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
        f"Nothing stands out: k-hat is {seen.pareto_k:.2f} at {seen.num_draws} draws"
        f"{_despite_k_hat(seen)}, and the fit converged.",
    )


def _despite_k_hat(seen: Seen) -> str:
    if seen.pareto_k <= NO_VARIANCE:
        return ""
    return f", of which {seen.effective_draws:.0f} are effective, so that its tail holds little"


def biased(seen: Seen) -> bool:
    """Whether q's own moments are off where the weights can tell: k-hat speaks of the weighted
    ones, and a good one alone is no word for q's.

    biased(seen)
    """
    return bool(_off(seen))


def trustworthy(seen: Seen) -> bool:
    """Whether the weights can judge q: k-hat is at most its threshold, or they are nearly equal.

    k-hat is about the tail alone. Where it is high and nearly all draws are effective all the same,
    the tail holds next to nothing.

        trustworthy(seen)
    """
    return seen.pareto_k <= pareto_k_threshold(seen.num_draws) or _equal(seen)


def nearly_equal(pareto_k: float, effective_draws: float, num_draws: int) -> bool:
    """Whether nearly all draws are effective.

    nearly_equal(0.72, 97_600, 100_000)  # True
    """
    return pareto_k < HEAVY and effective_draws >= EQUAL * num_draws


def _equal(seen: Seen) -> bool:
    return nearly_equal(seen.pareto_k, seen.effective_draws, seen.num_draws)


def tolerance(pareto_k: float) -> float:
    """How far weights of this k-hat may move a moment of q that counts as right to BIASED.

    The heavier the weights' tail, the less of the distance to the posterior do they show. The
    factor (1 - k)^1.5 is a cautious choice and no law.

        tolerance(0.5)  # 0.018
    """
    return BIASED * (1 - min(max(pareto_k, 0.0), 0.7)) ** 1.5


def in_doubt(moves: MomentMoves, pareto_k: float) -> bool:
    """Whether more draws could change what is said of q's moments: they are neither clearly within
    the tolerance nor clearly beyond it.

    in_doubt(moment_moves(draws, importance), 0.4)
    """
    move, error = _largest(moves, np.ones(len(moves.mean), bool))
    allowed = tolerance(pareto_k)
    return bool(np.any((move + 3 * error > allowed) & (move - 3 * error < 2 * allowed)))


def most_moved(seen: Seen) -> list[str]:
    """The parameters that the importance weights move most against q, with how: by a tenth of a
    standard deviation, or its size by a tenth.
    """
    mean, log_sd = np.abs(seen.moves.mean), np.abs(seen.moves.log_sd)
    return _named(seen, (mean > MOVED_MEAN) | (log_sd > np.log1p(MOVED_SD)))


def _off(seen: Seen) -> list[str]:
    if not trustworthy(seen):
        return []
    allowed = tolerance(seen.pareto_k)
    return _named(
        seen,
        (np.abs(seen.moves.mean) > allowed + 2 * seen.moves.mean_error)
        | (np.abs(seen.moves.log_sd) > allowed + 2 * seen.moves.log_sd_error),
    )


def _largest(moves: MomentMoves, varies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(moves, standard errors) of means and standard deviations, one after the other."""
    move = np.concatenate([np.abs(moves.mean[varies]), np.abs(moves.log_sd[varies])])
    return move, np.concatenate([moves.mean_error[varies], moves.log_sd_error[varies]])


def _named(seen: Seen, moved: np.ndarray) -> list[str]:
    mean, log_sd = seen.moves.mean, seen.moves.log_sd
    score = np.maximum(np.abs(mean), np.abs(log_sd))
    order = [int(i) for i in np.argsort(-score) if seen.varies[i] and moved[i]]
    clauses = [
        f"{seen.names[i]} (mean moves by {mean[i]:+.2f} sd, sd x {np.exp(log_sd[i]):.2f})"
        for i in order[:MOST_NAMED]
    ]
    rest = len(order) - MOST_NAMED
    return [*clauses, f"and {rest} more"] if rest > 0 else clauses


def _bias(seen: Seen) -> str:
    off = _off(seen)
    if not off:
        return ""
    begin = (
        f"Biased: k-hat is {seen.pareto_k:.2f}, and by the importance weights the moments of q "
        f"itself are off: {', '.join(off)}."
    )
    if _weights_fall_short(seen):
        return (
            f"{begin} The weights show a part of the error only: mean(weighted=True) and "
            "sd(weighted=True) are nearer, but not right either; take a richer family or MCMC."
        )
    return f"{begin} Take mean(weighted=True) and sd(weighted=True), or a richer family."


def _weights_fall_short(seen: Seen) -> bool:
    """Whether the weighted moments cannot be relied on either."""
    move, error = _largest(seen.moves, seen.varies)
    few = seen.effective_draws < FEW_EFFECTIVE * seen.num_draws
    far = (move > LARGE_MOVE).any()
    unsure = (error > BIASED).any()
    return bool(seen.pareto_k > NO_VARIANCE or few or far or unsure)


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
    if _equal(seen):
        return ""
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
            f"Untrusted: k-hat is {seen.pareto_k:.2f}, above {threshold:.2f}: q misses where "
            "much of the posterior is, and neither its moments nor the "
            f"evidence can be relied on.{named} This posterior wants MCMC{richer}."
        )
    if seen.pareto_k > NO_VARIANCE:
        return (
            f"Doubtful: k-hat is {seen.pareto_k:.2f}, above {NO_VARIANCE}: the weights have no "
            "variance, so the evidence is likely too low by more than its "
            f"standard error says: a light-tailed q hides its own bias.{named} {remedy}"
        )
    return ""


def _elbo(seen: Seen) -> str:
    # A spread of log w, not the error of however many draws there are: more of them mend nothing.
    if seen.elbo_error * np.sqrt(seen.num_draws / 10_000) <= MOST_ERROR:
        return ""
    return (
        f"No ELBO: its standard error is {seen.elbo_error:.3g} nats: a few draws far out decide "
        "it, and it may be -inf, as that of heavy tails is where log p "
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
    return (
        "Too narrow: by linear response the standard deviations of the mean-field q "
        f"are too small: {named}. Use sd(linear_response=True), or full_rank."
    )


def _evidence(seen: Seen) -> str:
    if not seen.improper_because:
        return ""
    return (
        f"No evidence: {seen.improper_because}, so log p(x) is not defined; the ELBO compares fits "
        "of this model to these data alone."
    )
