"""The verdicts on a fit: sentences about its diagnostics, the most serious first.

- Not converged: `outcome` says so.
- Missed modes: maximisation from many starts ends at maxima with mass that no draw of q is near.
- Untrusted: k-hat is above its threshold (0.7 with many draws) or not defined, and fewer than 90%
  of the draws are effective. It names the parameters that the weights move most.
- Biased: the weights can judge q, and move a mean or a standard deviation by more than
  `tolerance`, beyond noise: 0.05 where k-hat is 0, less above.
- Doubtful: k-hat is above 0.5 and below the threshold, so that the weights have no variance.
- No ELBO: its standard error is above 1 nat for 10,000 draws. It may be -inf (a heavy-tailed q
  where log p falls fast).
- Too narrow: a mean-field q whose standard deviations linear response exceeds by half or more.
- No evidence: a term of the log-density is not the log of a normalised density.
- Nothing stands out: none of these.
"""

from dataclasses import dataclass

import numpy as np

from jensen.evidence import pareto_k_threshold
from jensen.variational._moment_moves import MomentMoves
from jensen.variational.families import families

NO_VARIANCE, MOST_NAMED = 0.5, 4
MOVED_MEAN, MOVED_SD, TOO_NARROW, MOST_ERROR = 0.1, 0.1, 1.5, 1.0
BIASED = 0.05  # of a standard deviation in a mean, of 1 in a standard deviation
EQUAL = 0.9  # share of effective draws from which on weights are nearly equal, whatever k-hat
HEAVY = 1.0  # k-hat: weights without a mean
LARGE_MOVE = 0.25  # of a moment: weights that move it so far are not to be relied on themselves
FEW_EFFECTIVE = 0.1  # share of the draws


@dataclass(frozen=True)
class FitDiagnostics:
    """The input of the verdicts.

    Attributes:
        names: labels of the P constrained numbers.
        varies: which of them vary under q [P].
        mean, sd: their moments under q [P].
        moves: how far the importance weights move these moments.
        response_sd: standard deviations by linear response [P], None if there are none.
        pareto_k, num_draws, effective_draws: k-hat of the weights, the number of draws, and their
            effective number.
        missed_modes: masses of maxima without draws of q, relative to the mass that q covers.
        converged, message: the outcome of the fit.
        improper_because: why the evidence is not defined; empty if it is.
        family: its name.
        elbo_error: standard error of the ELBO, nats.
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


def verdicts(fit: FitDiagnostics) -> tuple[str, ...]:
    """Makes the verdicts on a fit, the most serious first; never empty.

    verdicts(diagnostics)[0]
    """
    sentences = [
        _outcome(fit),
        _modes(fit),
        _tails(fit),
        _bias(fit),
        _elbo(fit),
        _narrow(fit),
        _evidence(fit),
    ]
    return tuple(v for v in sentences if v) or (
        f"Nothing stands out: k-hat is {fit.pareto_k:.2f} at {fit.num_draws} draws"
        f"{_despite_k_hat(fit)}, and the fit converged.",
    )


def _despite_k_hat(fit: FitDiagnostics) -> str:
    if fit.pareto_k <= NO_VARIANCE:
        return ""
    return f", of which {fit.effective_draws:.0f} are effective, so that the tail has little weight"


def biased(fit: FitDiagnostics) -> bool:
    """Whether the weights show that q's own moments are wrong.

    A low k-hat supports the weighted moments only, and says nothing about q's own.

    biased(diagnostics)
    """
    return bool(_off(fit))


def trustworthy(fit: FitDiagnostics) -> bool:
    """Whether the weights can judge q: k-hat is at most its threshold, or they are nearly equal.

    k-hat is about the tail only. If it is high although nearly all draws are effective, the tail
    has almost no weight.

        trustworthy(diagnostics)
    """
    return fit.pareto_k <= pareto_k_threshold(fit.num_draws) or _equal(fit)


def nearly_equal(pareto_k: float, effective_draws: float, num_draws: int) -> bool:
    """Whether nearly all draws are effective.

    nearly_equal(0.72, 97_600, 100_000)  # True
    """
    return pareto_k < HEAVY and effective_draws >= EQUAL * num_draws


def _equal(fit: FitDiagnostics) -> bool:
    return nearly_equal(fit.pareto_k, fit.effective_draws, fit.num_draws)


def tolerance(pareto_k: float) -> float:
    """How far weights with this k-hat may move a moment of q that counts as right within BIASED.

    The heavier the weights' tail, the less of the distance to the posterior they show. The factor
    (1 - k)^1.5 is a cautious choice without a derivation.

        tolerance(0.5)  # 0.018
    """
    return BIASED * (1 - min(max(pareto_k, 0.0), 0.7)) ** 1.5


def in_doubt(moves: MomentMoves, pareto_k: float) -> bool:
    """Whether more draws could change the verdict on q's moments: they are neither clearly within
    the tolerance nor clearly beyond it.

    in_doubt(moment_moves(draws, importance), 0.4)
    """
    move, error = _largest(moves, np.ones(len(moves.mean), bool))
    allowed = tolerance(pareto_k)
    return bool(np.any((move + 3 * error > allowed) & (move - 3 * error < 2 * allowed)))


def most_moved(fit: FitDiagnostics) -> list[str]:
    """The parameters that the importance weights move most against q, with how: by a tenth of a
    standard deviation, or its size by a tenth.
    """
    mean, log_sd = np.abs(fit.moves.mean), np.abs(fit.moves.log_sd)
    return _named(fit, (mean > MOVED_MEAN) | (log_sd > np.log1p(MOVED_SD)))


def _off(fit: FitDiagnostics) -> list[str]:
    if not trustworthy(fit):
        return []
    allowed = tolerance(fit.pareto_k)
    return _named(
        fit,
        (np.abs(fit.moves.mean) > allowed + 2 * fit.moves.mean_error)
        | (np.abs(fit.moves.log_sd) > allowed + 2 * fit.moves.log_sd_error),
    )


def _largest(moves: MomentMoves, varies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(moves, standard errors) of means and standard deviations, one after the other."""
    move = np.concatenate([np.abs(moves.mean[varies]), np.abs(moves.log_sd[varies])])
    return move, np.concatenate([moves.mean_error[varies], moves.log_sd_error[varies]])


def _named(fit: FitDiagnostics, moved: np.ndarray) -> list[str]:
    mean, log_sd = fit.moves.mean, fit.moves.log_sd
    score = np.maximum(np.abs(mean), np.abs(log_sd))
    order = [int(i) for i in np.argsort(-score) if fit.varies[i] and moved[i]]
    clauses = [
        f"{fit.names[i]} (mean moves by {mean[i]:+.2f} sd, sd x {np.exp(log_sd[i]):.2f})"
        for i in order[:MOST_NAMED]
    ]
    rest = len(order) - MOST_NAMED
    return [*clauses, f"and {rest} more"] if rest > 0 else clauses


def _bias(fit: FitDiagnostics) -> str:
    off = _off(fit)
    if not off:
        return ""
    opening = (
        f"Biased: k-hat is {fit.pareto_k:.2f}, and by the importance weights the moments of q "
        f"itself are wrong: {', '.join(off)}."
    )
    if _weights_fall_short(fit):
        return (
            f"{opening} The weights show a part of the error only: mean(weighted=True) and "
            "sd(weighted=True) are closer, but not right either; use a richer family or MCMC."
        )
    return f"{opening} Use mean(weighted=True) and sd(weighted=True), or a richer family."


def _weights_fall_short(fit: FitDiagnostics) -> bool:
    """Whether the weighted moments cannot be relied on either."""
    move, error = _largest(fit.moves, fit.varies)
    few = fit.effective_draws < FEW_EFFECTIVE * fit.num_draws
    far = (move > LARGE_MOVE).any()
    unsure = (error > BIASED).any()
    return bool(fit.pareto_k > NO_VARIANCE or few or far or unsure)


def _outcome(fit: FitDiagnostics) -> str:
    return "" if fit.converged else f"Not converged: {fit.message}."


def _modes(fit: FitDiagnostics) -> str:
    if not fit.missed_modes:
        return ""
    count, mass = len(fit.missed_modes), sum(fit.missed_modes)
    maxima = "another maximum" if count == 1 else f"{count} other maxima"
    holds = "holds" if count == 1 else "hold"
    alike = np.allclose(fit.missed_modes, 1, atol=0.2)
    remedy = (
        "Equal masses are those of exchangeable labels or signs: q describes one of them, and an "
        "ordered or signed prior makes the posterior one."
        if alike
        else "Use a mixture with a wide start=, or MCMC, to weigh them."
    )
    evidence = (
        ""
        if fit.improper_because
        else f", so log p(x) is too low by about {np.log1p(mass):.2f} nats"
    )
    return (
        f"Missed modes: {maxima} of the density {holds} about {mass:.2g} times the mass that q "
        f"covers{evidence}. {remedy}"
    )


def _tails(fit: FitDiagnostics) -> str:
    if _equal(fit):
        return ""
    moved, threshold = most_moved(fit), pareto_k_threshold(fit.num_draws)
    remedy = (
        "Check with MCMC."
        if fit.family == "student_t"
        else "Check with a family with heavier tails (student_t) or with MCMC."
    )
    named = f" Most in doubt: {', '.join(moved)}." if moved else ""
    if not fit.pareto_k <= threshold:
        suggested = _richer_families(fit.family)
        richer = f" or a richer family ({', '.join(suggested)})" if suggested else ""
        return (
            f"Untrusted: k-hat is {fit.pareto_k:.2f}, above {threshold:.2f}: q misses much "
            "of the posterior, and neither its moments nor the evidence are "
            f"reliable.{named} Use MCMC{richer}."
        )
    if fit.pareto_k > NO_VARIANCE:
        return (
            f"Doubtful: k-hat is {fit.pareto_k:.2f}, above {NO_VARIANCE}: the weights have no "
            "variance, so the evidence is likely too low by more than its "
            f"standard error says: a light-tailed q hides its own bias.{named} {remedy}"
        )
    return ""


def _elbo(fit: FitDiagnostics) -> str:
    # A spread of log w, not the error of however many draws there are: more of them mend nothing.
    if fit.elbo_error * np.sqrt(fit.num_draws / 10_000) <= MOST_ERROR:
        return ""
    return (
        f"No ELBO: its standard error is {fit.elbo_error:.3g} nats: a few distant draws decide "
        "it, and it may be -inf, as for heavy tails where log p "
        "falls exponentially. The evidence and k-hat are not affected."
    )


def _narrow(fit: FitDiagnostics) -> str:
    if fit.response_sd is None:
        return ""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(fit.response_sd / fit.sd, nan=1.0, posinf=1.0)
    order = [int(i) for i in np.argsort(-ratio) if fit.varies[i] and ratio[i] > TOO_NARROW]
    if not order:
        return ""
    named = ", ".join(f"{fit.names[i]} (x {ratio[i]:.1f})" for i in order[:MOST_NAMED]) + (
        f" and {len(order) - 4} more" if len(order) > 4 else ""
    )
    return (
        "Too narrow: by linear response the standard deviations of the mean-field q "
        f"are too small: {named}. Use sd(linear_response=True), or full_rank."
    )


def _evidence(fit: FitDiagnostics) -> str:
    if not fit.improper_because:
        return ""
    return (
        f"No evidence: {fit.improper_because}, so log p(x) is not defined; the ELBO compares fits "
        "of this model to these data alone."
    )


def _richer_families(family: str) -> list[str]:
    """The families to try instead of one that is not trusted, by what their classes say."""
    classes = {name: families.find(name) for name in families.names()}
    if family in classes and classes[family].richest:
        return []
    order = sorted(classes, key=lambda name: classes[name].richness)
    return [name for name in order if classes[name].richness > 0 and name != family]
