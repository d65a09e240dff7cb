"""Verdicts on log p(x): missed modes, evidence not to be trusted, evidence too low."""

import math

from jensen.anatomy.record import AccountRecord

WORTH_TELLING = 0.02  # nats that untrusted data may move the mean of log p(x) by
ANNEAL_FROM_PRIOR = (
    "Run chains from the prior (jensen evidence RUN --estimator annealed --set start=prior), and "
    "train a posterior that can hold several modes."
)


def missed_modes(account: AccountRecord) -> str:
    """The verdict where draws from the prior find more of p(x) than q(z|x) does, or ""."""
    compared = account.evidence_estimate.other_start
    if compared is None or not account.evidence_estimate.misses_modes:
        return ""
    return (
        f"Missed modes: on {len(compared.index)} of the data, chosen at random, draws from the "
        f"prior give log p(x) {compared.difference:.2f} +- {compared.standard_error:.2f} nats "
        f"higher than draws from q(z|x) do, beyond errors at {int(compared.higher.sum())} of them: "
        "q(z|x) leaves out modes of the posterior, which no k-hat shows. log p(x) and the Jensen "
        f"gap are at least that much higher there. {ANNEAL_FROM_PRIOR}"
    )


def untrusted_evidence(account: AccountRecord) -> str:
    """The verdict where untrusted data may move the mean of log p(x), or ""."""
    estimate = account.evidence_estimate
    if not account.evidence.bound or estimate.misses_modes:
        return ""
    rise = estimate.shortfall
    if rise < WORTH_TELLING:
        return ""
    weight = (
        f"ten times as many samples would raise the mean by about {rise:.2g} nats"
        if math.isfinite(rise)
        else "nothing tells how far they may move the mean"
    )
    untrusted = int((~estimate.trusted).sum())
    return (
        f"Untrusted evidence: k-hat is too high for {untrusted} of {account.n} data at "
        f"{estimate.num_samples} samples, and {weight}: log p(x) and the Jensen gap are lower "
        "bounds. Run annealing for the data with high k-hat (jensen evidence RUN --estimator auto)."
    )


def evidence_too_low(account: AccountRecord) -> str:
    """The verdict where log p(x) is below an ELBO of the same model, or ""."""
    gap = None if account.gaps is None else account.gaps.approximation_gap
    if gap is None or not gap.value < -3 * gap.standard_error:
        return ""
    return (
        f"Evidence too low: the best posterior of each datum has an ELBO {-gap.value:.2f} +- "
        f"{gap.standard_error:.2f} nats above the estimate of log p(x), which it cannot exceed. "
        "Try more samples (jensen account RUN --num-samples "
        f"{10 * account.evidence_estimate.num_samples})."
    )
