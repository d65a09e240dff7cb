"""Verdicts on the posterior q(z|x): the Jensen gap and its two parts."""

from jensen.anatomy.gaps import Gaps
from jensen.anatomy.record import AccountRecord
from jensen.anatomy.remedy_ceilings import BETTER_ENCODER, richer_posterior
from jensen.anatomy.verdicts.thresholds import PART, most_words, notable, value_words


def posterior_verdict(account: AccountRecord) -> str:
    """The verdict on the family of posteriors and the encoder, or ""."""
    if not notable(account.jensen_gap, account.average_kl.value):
        return ""
    mend = (
        f" Mend the encoder first: the marginal KL of {account.marginal_kl.value:.2f} is that of "
        "codes it misplaced."
        if misplaced_codes(account)
        else ""
    )
    richer = richer_posterior(account)
    parts = (
        f"{richer} or a better encoder can win {most_words(account.jensen_gap)}"
        if account.gaps is None
        else _gap_parts(account.gaps, richer)
    )
    return (
        f"Posterior: the Jensen gap is {value_words(account.jensen_gap)} nats: {parts}; a tighter "
        f"bound in training reaches for it too (--bound iwae --num-samples 10).{mend}"
    )


def misplaced_codes(account: AccountRecord) -> bool:
    """Whether the encoder misplaces codes by more than a better prior could win.

    q(z) is then a fault of the encoder, not of the prior.
    """
    if account.gaps is None or not notable(account.jensen_gap, account.average_kl.value):
        return False
    gap = account.gaps.amortisation_gap
    return gap.value - 3 * gap.standard_error > max(account.marginal_kl.value, 0.0)


def _gap_parts(gaps: Gaps, richer: str) -> str:
    """What can win which part of the Jensen gap."""
    own = "its family" if gaps.own else f"the {gaps.family} family"
    of_family = "" if gaps.own else f" or one of {own}"
    remedies = {
        "approximation_gap": f"the best member of {own} leaves {{}}, and {richer} can win "
        f"{most_words(gaps.approximation_gap)}",
        "amortisation_gap": f"the encoder misses the best member of {own} by {{}}, and a better "
        f"encoder{of_family} ({BETTER_ENCODER}) can win that",
    }
    named = []
    for name, remedy in remedies.items():
        line = gaps.lines[name]
        if line.value > max(PART * gaps.jensen_gap.value, 3 * line.standard_error):
            named.append(remedy.format(value_words(line)))
    where = "" if gaps.complete else f" (on {gaps.n} of the data)"
    if named:
        return "; ".join(named) + where
    return f"{richer} or a better encoder can win {most_words(gaps.jensen_gap)}"
