"""What the numbers say, in plain words: each verdict names its fault, the line, its size, and the remedy that addresses it.

| begins with | when |
|---|---|
| Collapsed | I(n; z) is below 5% of log N |
| Saturated | I(n; z) is above 95% of log N; nothing is then said of the prior: q(z) is N separate places, and only a prior that knows them could fit it |
| Missed modes | draws from the prior find more of p(x) than q(z|x) does, by 3 standard errors in the mean or 4 at a datum, and .05 nats |
| Untrusted evidence | the data that k-hat distrusts may move the mean of log p(x) by more than two standard errors (`Evidence.bound`), and by .02 nats |
| Prior | the marginal KL is above .5 nats, 5% of the average KL and 3 standard errors, and not below a measured amortisation gap |
| Evidence too low | the approximation gap is 3 standard errors below 0, which it cannot be |
| Posterior | the Jensen gap is above 1 nat or 5% of |ELBO|, and 3 standard errors; where it is split, a part is named when it is above a quarter of the gap (on the same data) and 3 standard errors |
| Overfitting | the ELBO on test is lower than on train by 1 nat or 5% of |ELBO|, and by 3 standard errors (of two samples of data); the lines that fell by a quarter of that and 3 of their standard errors are named (`generalisation`) |
| Training | the training says so: the KL weight was not full at the end, or no epoch was better for too long |
| Nothing stands out | none of these |
"""  # noqa: E501

import math
from typing import TYPE_CHECKING

from jensen.anatomy._lines import AT_LEAST
from jensen.anatomy.ceilings import (
    ANY_POSTERIOR,
    ANY_PRIOR,
    BETTER_ENCODER,
    BETTER_PRIOR,
    RICHER_POSTERIOR,
    SATURATED,
)

if TYPE_CHECKING:
    from jensen.anatomy._lines import Line
    from jensen.anatomy._record import Account
    from jensen.anatomy.gaps import Gaps

BARELY_USED, PART = 0.05, 0.25
WORTH_TELLING = 0.02  # nats that untrusted data may move the mean of log p(x) by
ANNEAL_FROM_PRIOR = (
    "Run chains from the prior (jensen evidence RUN --estimator annealed --set start=prior), and train a posterior that can "
    "hold several modes."
)


def verdicts(account: "Account", prior: str = "", encoder: str = "") -> tuple[str, ...]:
    """The verdicts on an account, the gravest first; never empty. `prior` and `encoder` are the names of the model's, if they have one.

    verdicts(acc)[0]
    """
    richer = RICHER_POSTERIOR.get(encoder, ANY_POSTERIOR)
    found = (
        _code(account),
        _missed_modes(account),
        _evidence(account),
        _prior(account, prior),
        _bounded(account),
        _posterior(account, richer),
    )
    return tuple(v for v in found if v) or (_nothing(account),)


def notable(line: "Line", elbo: float) -> bool:
    """Whether a loss of nats is worth a verdict: above 1 nat or 5% of |ELBO|, and 3 standard errors.

    notable(acc.jensen_gap, acc.elbo.value)
    """
    return line.value > max(min(1.0, 0.05 * abs(elbo)), 3 * line.standard_error)


def _said(line: "Line") -> str:
    if line.bound:
        return f"{AT_LEAST[line.bound]}{line.value:.2f}"
    return f"{line.value:.2f} +- {line.standard_error:.2f}"


def _share(account: "Account") -> float:
    return account.index_information.value / account.log_n if account.n > 1 else 0.5


def _code(account: "Account") -> str:
    share, information = _share(account), account.index_information.value
    if share < BARELY_USED:
        return (
            f"Collapsed: I(n; z) is {abs(information):.2f} nats, {abs(share):.2f} of {account.ceiling}: the code is barely used "
            f"({account.active_units} of {account.latent_dim} units active). Try a KL warm-up (--warm-up 50), a smaller --beta, or a weaker decoder."
        )
    if share > SATURATED:
        return (
            f"Saturated: I(n; z) is {information:.2f} nats, {share:.2f} of {account.ceiling}: the code tells nearly every datum apart, so this line cannot "
            f"grow with these N data, and a longer code shows up in the marginal KL ({account.marginal_kl.value:.2f} nats), which only a prior that knows "
            "these very data could win. By itself no fault; if codes were to be shared between data, a larger --beta or fewer latent dimensions."
        )
    return ""


def _missed_modes(account: "Account") -> str:
    compared = account.evidence_estimate.other_start
    if compared is None or not account.evidence_estimate.misses_modes:
        return ""
    return (
        f"Missed modes: on {len(compared.index)} of the data, chosen at random, draws from the prior give log p(x) "
        f"{compared.difference:.2f} +- {compared.standard_error:.2f} nats higher than draws from q(z|x) do, beyond errors at "
        f"{int(compared.higher.sum())} of them: q(z|x) leaves out modes of the posterior, which no k-hat shows. log p(x) and the "
        f"Jensen gap are at least that much higher there. {ANNEAL_FROM_PRIOR}"
    )


def _evidence(account: "Account") -> str:
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
        f"Untrusted evidence: k-hat is too high for {untrusted} of {account.n} data at {estimate.num_samples} samples, and {weight}: "
        "log p(x) and the Jensen gap are lower bounds. Run annealing for the data with high k-hat (jensen evidence RUN "
        "--estimator auto)."
    )


def _prior(account: "Account", prior: str) -> str:
    marginal, average = account.marginal_kl, account.average_kl.value
    if (
        _share(account) > SATURATED
        or _misplaced(account)
        or not marginal.value > max(0.5, 0.05 * average, 3 * marginal.standard_error)
    ):
        return ""
    return (
        f"Prior: the marginal KL is {_said(marginal)} of {average:.2f} nats of KL: with this encoder, a better prior can win at most that "
        f"({BETTER_PRIOR.get(prior, ANY_PRIOR)}){_coupling(account)}."
    )


def _misplaced(account: "Account") -> bool:
    """Whether the codes lie where they should not, by more than the prior could make up for: q(z) is then a fault of the encoder, not of the prior."""
    if account.gaps is None or not notable(account.jensen_gap, account.elbo.value):
        return False
    missed = account.gaps.amortisation_gap
    return missed.value - 3 * missed.standard_error > max(account.marginal_kl.value, 0.0)


def _coupling(account: "Account") -> str:
    """How much of it a prior of independent dimensions could win."""
    parts = account.marginals
    if parts is None or parts.dimension_wise_kl is None:
        return ""
    apart, together = parts.dimension_wise_kl.value, parts.total_correlation.value
    if apart < PART * account.marginal_kl.value:
        return f"; {together:.2f} of it is dependence between dimensions (total correlation), which no prior of independent ones can win"
    if together < PART * account.marginal_kl.value:
        return f"; {apart:.2f} of it lies in the dimensions one by one, where it takes no more than other means, scales or shapes"
    return f"; {apart:.2f} of it lies in the dimensions one by one, {together:.2f} in their dependence (total correlation)"


def _bounded(account: "Account") -> str:
    gaps = account.gaps
    if (
        gaps is None
        or not gaps.approximation_gap.value < -3 * gaps.approximation_gap.standard_error
    ):
        return ""
    return (
        f"Evidence too low: the best posterior of each datum has an ELBO {-gaps.approximation_gap.value:.2f} +- {gaps.approximation_gap.standard_error:.2f} "
        "nats above the estimate of log p(x), which it cannot exceed. Try more samples "
        f"(jensen account RUN --num-samples {10 * account.evidence_estimate.num_samples})."
    )


def _posterior(account: "Account", richer: str) -> str:
    if not notable(account.jensen_gap, account.elbo.value):
        return ""
    mend = (
        f" Mend the encoder first: the marginal KL of {account.marginal_kl.value:.2f} is that of codes it misplaced."
        if _misplaced(account)
        else ""
    )
    parts = (
        f"{richer} or a better encoder can win {_that(account.jensen_gap)}"
        if account.gaps is None
        else _parts(account.gaps, richer)
    )
    return (
        f"Posterior: the Jensen gap is {_said(account.jensen_gap)} nats: {parts}; a tighter bound in training reaches for it too "
        f"(--bound iwae --num-samples 10).{mend}"
    )


def _parts(gaps: "Gaps", richer: str) -> str:
    """What can win which part of the Jensen gap."""
    own = "its family" if gaps.own else f"the {gaps.family} family"
    of_family = "" if gaps.own else f" or one of {own}"
    remedies = {
        "approximation_gap": f"of {{}} that the best member of {own} leaves, {richer} can win {_that(gaps.approximation_gap)}",
        "amortisation_gap": f"of {{}} by which the encoder misses that best member, a better encoder{of_family}: {BETTER_ENCODER}",
    }
    said = []
    for name, remedy in remedies.items():
        line = gaps.lines[name]
        if line.value > max(PART * gaps.jensen_gap.value, 3 * line.standard_error):
            said.append(remedy.format(_said(line)))
    where = "" if gaps.complete else f" (on {gaps.n} of the data)"
    if said:
        return "; ".join(said) + where
    return f"{richer} or a better encoder can win {_that(gaps.jensen_gap)}"


def _that(line: "Line") -> str:
    """How much of a line can be won: at most the line, unless the line itself is known from below alone."""
    return "that or more" if line.bound else "at most that"


def _nothing(account: "Account") -> str:
    gap = "at least" if account.jensen_gap.bound else "at most"
    return (
        f"Nothing stands out: a better prior can win at most {max(account.marginal_kl.value, 0):.2f} nats (the marginal KL), a better posterior {gap} "
        f"{max(account.jensen_gap.value, 0):.2f} (the Jensen gap), and the code is used. What is left lies in the decoder and in the data."
    )
