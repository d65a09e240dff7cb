"""Verdicts: each names its fault, the line, its size, and the remedy that addresses it.

A verdict begins with one of these words; when, is in docs/account.md:

    Influential data      a few data carry a line (`influence`): the verdicts that follow are
                          without them, and what would be found with them is named
    Identical rows        the ceiling of I(n; z) is below .1 nats: there is nothing to tell apart
    Collapsed             I(n; z) is below 5% of its ceiling; of a level below the top,
                          I(n; z1 given z2) is, and its KL too where the levels above tell all apart
    Saturated             I(n; z) is above 95% of its ceiling; there is then no verdict on the
                          prior: q(z) is N separate places, and only a prior that knows them could
                          fit it
    Missed modes          draws from the prior find more of p(x) than q(z|x) does, by 3 standard
                          errors in the mean or 4 at a datum, and .05 nats
    Untrusted evidence    the data that k-hat distrusts may move the mean of log p(x) by more than
                          two standard errors (`Evidence.bound`), and by .02 nats
    Prior                 the marginal KL is above .5 nats and 5% of the average KL, and not below a
                          measured amortisation gap
    Prior of z1           likewise KL(q(z1 given z2), p(z1 given z2)) of a level below the top, on
                          the subset that the account states
    Evidence too low      the approximation gap is 3 standard errors below 0, which it cannot be
    Posterior             the Jensen gap is above a tenth of the average KL, but at least .2 and at
                          most 1 nat; where it is split, a part is named when it is above a quarter
                          of the gap (on the same data) and 3 standard errors
    Overfitting           the ELBO on test is lower than on train by more than that size; the lines
                          that fell by a quarter of that and 3 of their standard errors are named
                          (`generalisation_gap`)
    Undecided             a size would be worth a verdict, but not beyond its error over the data:
                          these are too few
    Training              the KL weight was not full at the end, or no epoch was better for too long
    Nothing stands out    none of these

Thresholds are in `verdicts.thresholds`.
"""

import numpy as np

from jensen.anatomy.influence import (
    Influence,
    account_without,
    data_words,
    influence_words,
    influences,
)
from jensen.anatomy.lines import AT_LEAST, Line
from jensen.anatomy.record import AccountRecord
from jensen.anatomy.remedy_ceilings import (
    ENCODER_AND_DECODER,
    code_name,
    conditional,
    lower_levels,
)
from jensen.anatomy.verdicts.code import code_verdicts
from jensen.anatomy.verdicts.evidence import evidence_too_low, missed_modes, untrusted_evidence
from jensen.anatomy.verdicts.posterior import posterior_verdict
from jensen.anatomy.verdicts.prior import (
    conditional_prior_verdicts,
    prior_is_sizeable,
    prior_verdict,
    too_few_rows,
)
from jensen.anatomy.verdicts.thresholds import beyond_chance, certain_errors, sizeable

NOTHING, UNDECIDED = "Nothing stands out", "Undecided"


def account_verdicts(account: AccountRecord) -> tuple[str, ...]:
    """Find the verdicts on an account, the gravest first; never empty.

    account_verdicts(acc)[0]
    """
    influential = influences(account)
    if not influential:
        return _verdicts(account)
    data = _all_data(influential)
    without = _verdicts(account_without(account, np.array(data)))
    # By size alone: what a reader would conclude from the lines with these data.
    with_them = {_name(v) for v in _verdicts(account)} | set(_by_size(account))
    only_with = sorted(with_them - {_name(v) for v in without} - {NOTHING, UNDECIDED})
    return (_influential(account, influential, data, only_with), *without)


def _verdicts(account: AccountRecord) -> tuple[str, ...]:
    candidates = (
        *code_verdicts(account),
        missed_modes(account),
        untrusted_evidence(account),
        prior_verdict(account),
        *conditional_prior_verdicts(account),
        evidence_too_low(account),
        posterior_verdict(account),
        _undecided(account),
    )
    return tuple(v for v in candidates if v) or (_nothing(account),)


def _name(verdict: str) -> str:
    return verdict.partition(":")[0]


def _all_data(influential: tuple[Influence, ...]) -> tuple[int, ...]:
    """The influential data of all lines, each once, those of the first line first."""
    return tuple(dict.fromkeys(n for influence in influential for n in influence.data))


def _influential(
    account: AccountRecord,
    influential: tuple[Influence, ...],
    data: tuple[int, ...],
    only_with: list[str],
) -> str:
    # The lines of which the most is carried, in the order of the account.
    largest = sorted(influential, key=lambda i: -abs(i.value - i.without))[:3]
    named = "; ".join(influence_words(i, account) for i in influential if i in largest)
    also = (
        f"; with {'it' if len(data) == 1 else 'them'} there would be: {', '.join(only_with)}"
        if only_with
        else ""
    )
    return (
        f"Influential data: {named}. The verdicts below are without "
        f"{data_words(data, account)}{also}. Look at these rows first: mistakes, duplicates, or a "
        "kind of their own?"
    )


def _by_size(account: AccountRecord) -> dict[str, tuple[str, Line]]:
    """The verdicts that sizes and Monte Carlo errors alone would give: {verdict: (name, line)}."""
    candidates = {
        "Prior": ("marginal KL", account.marginal_kl, prior_is_sizeable(account)),
        "Posterior": (
            "Jensen gap",
            account.jensen_gap,
            sizeable(account.jensen_gap.value, account.average_kl.value),
        ),
    }
    return {
        verdict: (name, line)
        for verdict, (name, line, matters) in candidates.items()
        if matters and line.value > 3 * line.standard_error
    }


def _undecided(account: AccountRecord) -> str:
    """What is sizeable and sure to be so on these data, but not on others."""
    open_lines = [
        (name, line)
        for verdict, (name, line) in _by_size(account).items()
        if not beyond_chance(line) or (verdict == "Prior" and too_few_rows(account))
    ]
    if not open_lines:
        return ""
    n = len(open_lines[0][1].per_datum)
    named = " and ".join(
        f"the {name} of {AT_LEAST[line.bound]}{line.value:.2f}"
        + (f" (data error {line.data_error:.2f})" if n > 1 else "")
        for name, line in open_lines
    )
    why = (
        "one datum says nothing of others"
        if n == 1
        else f"{n} other data could give another size, or none (a verdict asks for "
        f"{certain_errors(n):.1f} data errors, and that a marginal KL is not made of q(z) being a "
        "mixture of so few)"
    )
    return f"Undecided: {named}: {why}. Account for more data."


def _nothing(account: AccountRecord) -> str:
    code = code_name(account)
    gap = "at least" if account.jensen_gap.bound else "at most"
    of_level = f" of {code}" if account.levels else ""
    below = "".join(
        f"a better {conditional(name)} at most {max(split.aggregate_kl.value, 0):.2f}, "
        for name, split in lower_levels(account).items()
    )
    return (
        f"Nothing stands out: {ENCODER_AND_DECODER}, a better prior{of_level} can win at most "
        f"{max(account.marginal_kl.value, 0):.2f} nats (the marginal KL), {below}a better "
        f"posterior {gap} {max(account.jensen_gap.value, 0):.2f} (the Jensen gap), and the code is "
        "used. What is left lies in the decoder and in the data."
    )
