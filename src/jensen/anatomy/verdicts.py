"""What the numbers say, in plain words: each verdict names its fault, the line, its size, and the remedy that addresses it.

All thresholds are in nats, or relative to a KL or to the ceiling of I(n; z): none moves with the
data's units. A size is worth a verdict only beyond 3 standard errors: of the Monte Carlo one, and of
the one over the data, there in Student's quantile, which is larger where the data are few.

| begins with | when |
|---|---|
| Influential data | a few data carry a line (`influence`): the verdicts that follow are without them, and what would be said with them is named |
| Identical rows | the ceiling of I(n; z), the entropy of the distinct rows, is below .1 nats: there is nothing to tell apart |
| Collapsed | I(n; z) is below 5% of its ceiling; of a level below the top, I(n; z1 given z2) is, and its KL too where the levels above tell all data apart |
| Saturated | I(n; z) is above 95% of its ceiling; nothing is then said of the prior: q(z) is N separate places, and only a prior that knows them could fit it |
| Missed modes | draws from the prior find more of p(x) than q(z|x) does, by 3 standard errors in the mean or 4 at a datum, and .05 nats |
| Untrusted evidence | the data that k-hat distrusts may move the mean of log p(x) by more than two standard errors (`Evidence.bound`), and by .02 nats |
| Prior | the marginal KL is above .5 nats and 5% of the average KL, and not below a measured amortisation gap |
| Prior of z1 | likewise KL(q(z1 given z2), p(z1 given z2)) of a level below the top, on the subset that the account states |
| Evidence too low | the approximation gap is 3 standard errors below 0, which it cannot be |
| Posterior | the Jensen gap is above a tenth of the average KL, that held between .2 and 1 nat; where it is split, a part is named when it is above a quarter of the gap (on the same data) and 3 standard errors |
| Overfitting | the ELBO on test is lower than on train by more than that size; the lines that fell by a quarter of that and 3 of their standard errors are named (`generalisation`) |
| Undecided | a size would be worth a verdict, but not beyond its error over the data: these are too few |
| Training | the training says so: the KL weight was not full at the end, or no epoch was better for too long |
| Nothing stands out | none of these |
"""  # noqa: E501

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from jensen.anatomy._lines import AT_LEAST
from jensen.anatomy.ceilings import (
    ANY_POSTERIOR,
    BETTER_CONDITIONAL,
    BETTER_ENCODER,
    BOTH,
    RICHER_POSTERIOR,
    SATURATED,
    better_prior,
    code_name,
    conditional,
    lower_levels,
    saturated_down_to,
)
from jensen.anatomy.influence import Influence, account_without, data_words, influence_words

if TYPE_CHECKING:
    from jensen.anatomy._lines import Line
    from jensen.anatomy._record import Account
    from jensen.anatomy.gaps import Gaps

NOTHING, UNDECIDED = "Nothing stands out", "Undecided"
BARELY_USED, PART = 0.05, 0.25
TO_TELL_APART = 0.1  # nats: the least ceiling of I(n; z) under which a code can be called unused
PRIOR_NATS, PRIOR_SHARE = 0.5, 0.05
GAP_SHARE, GAP_LEAST, GAP_MOST = 0.1, 0.2, 1.0  # of the average KL; nats
BEYOND_CHANCE = 0.99865  # one-sided: 3 standard errors of a normal
WORTH_TELLING = 0.02  # nats that untrusted data may move the mean of log p(x) by
ANNEAL_FROM_PRIOR = (
    "Run chains from the prior (jensen evidence RUN --estimator annealed --set start=prior), and "
    "train a posterior that can hold several modes."
)


def verdicts(account: "Account", prior: str = "", encoder: str = "") -> tuple[str, ...]:
    """The verdicts on an account, the gravest first; never empty. `prior` and `encoder` are the names of the model's, if they have one.

    verdicts(acc)[0]
    """
    influential = account.influential
    if not influential:
        return _verdicts(account, prior, encoder)
    data = _all_data(influential)
    others = account_without(account, np.array(data))
    without = _verdicts(others, prior, encoder)
    # By size alone: what a reader would conclude from the lines with these data.
    with_them = {_name(v) for v in _verdicts(account, prior, encoder)} | set(_by_size(account))
    only_with = sorted(with_them - {_name(v) for v in without} - {NOTHING, UNDECIDED})
    return (_influential(influential, data, only_with), *without)


def _verdicts(account: "Account", prior: str, encoder: str) -> tuple[str, ...]:
    richer = RICHER_POSTERIOR.get(encoder, ANY_POSTERIOR)
    candidates = (
        *_code(account),
        _missed_modes(account),
        _evidence(account),
        _prior(account, prior),
        *_priors_below(account),
        _bounded(account),
        _posterior(account, richer),
        _undecided(account),
    )
    return tuple(v for v in candidates if v) or (_nothing(account),)


def _name(verdict: str) -> str:
    return verdict.partition(":")[0]


def _all_data(influential: "tuple[Influence, ...]") -> tuple[int, ...]:
    """The influential data of all lines, each once, those of the first line first."""
    return tuple(dict.fromkeys(n for influence in influential for n in influence.data))


def _influential(
    influential: "tuple[Influence, ...]", data: tuple[int, ...], only_with: list[str]
) -> str:
    # The lines of which the most is carried, in the order of the account.
    largest = sorted(influential, key=lambda i: -abs(i.value - i.without))[:3]
    named = "; ".join(influence_words(i) for i in influential if i in largest)
    also = (
        f"; with {'it' if len(data) == 1 else 'them'} there would be: {', '.join(only_with)}"
        if only_with
        else ""
    )
    return (
        f"Influential data: {named}. The verdicts below are without {data_words(data)}{also}. "
        "Look at these rows first: mistakes, duplicates, or a kind of their own?"
    )


def notable(line: "Line", average_kl: float) -> bool:
    """Whether a loss of nats is worth a verdict: its size, and both its errors (see above).

    notable(acc.jensen_gap, acc.average_kl.value)
    """
    return sizeable(line.value, average_kl) and beyond_chance(line)


def sizeable(nats: float, average_kl: float) -> bool:
    """Whether nats that are lost are many, beside the average KL.

    sizeable(0.5, 30.0)  # False: a tenth of the KL, but never more than 1 nat
    """
    # Relative to a KL and not to |ELBO|, which moves with the data's units.
    return nats > min(max(GAP_SHARE * average_kl, GAP_LEAST), GAP_MOST)


def beyond_chance(line: "Line") -> bool:
    """Whether a line is above 3 Monte Carlo standard errors and as surely above its data error.

    beyond_chance(acc.marginal_kl)
    """
    return line.value > 3 * line.standard_error and line.value > certain_errors(
        len(line.per_datum)
    ) * abs(line.data_error)


def certain_errors(n: int) -> float:
    """How many standard errors over n data are as sure as 3 of very many; infinite for one datum.

    certain_errors(5)  # 6.6
    """
    return float(stdtrit(n - 1, BEYOND_CHANCE)) if n > 1 else math.inf


def _said(line: "Line") -> str:
    if line.bound:
        return f"{AT_LEAST[line.bound]}{line.value:.2f}"
    return f"{line.value:.2f} +- {line.standard_error:.2f}"


def _share(account: "Account") -> float:
    """I(n; z) as a share of its ceiling; neither little nor much where nothing can be told apart."""
    ceiling = account.index_ceiling
    return account.index_information.value / ceiling if ceiling > TO_TELL_APART else 0.5


def _code(account: "Account") -> tuple[str, ...]:
    if account.n > 1 and account.index_ceiling <= TO_TELL_APART:
        return (_identical(account),)
    return tuple(filter(None, (_top_code(account), *_codes_below(account))))


def _identical(account: "Account") -> str:
    rows = account.rows
    what = (
        f"all {account.n} rows are the same"
        if rows.distinct == 1
        else f"{rows.distinct} of {account.n} rows are distinct, and one occurs {rows.most} times"
    )
    return (
        f"Identical rows: {what}, so there is next to nothing for a code to tell apart: I(n; z) is "
        f"at most {account.index_ceiling:.2f} nats whatever the model. Check the data."
    )


def _top_code(account: "Account") -> str:
    share, information, code = _share(account), account.index_information.value, code_name(account)
    level = f"{code}, the top level: " if account.levels else ""
    if share < BARELY_USED:
        carried = "".join(
            f" {name} carries {split.information.value:.2f} nats beyond it (on "
            f"{account.joint_information.n} data)."  # pyright: ignore[reportOptionalMemberAccess]
            for name, split in lower_levels(account).items()
        )
        return (
            f"Collapsed: {level}I(n; {code}) is {abs(information):.2f} nats, {abs(share):.2f} of "
            f"{account.ceiling}: the code is barely used ({account.active_units} of "
            f"{account.latent_dim} units active).{carried} Try a KL warm-up (--warm-up 50), a smaller "
            "--beta, or a weaker decoder."
        )
    if share > SATURATED:
        return (
            f"Saturated: {level}I(n; {code}) is {information:.2f} nats, {share:.2f} of "
            f"{account.ceiling}: the code tells nearly every datum apart, so this line cannot grow "
            "with these N data, and a longer code shows up in the marginal KL "
            f"({account.marginal_kl.value:.2f} nats), which only a prior that knows these very data "
            "could win. By itself no fault; if codes were to be shared between data, a larger --beta "
            "or fewer latent dimensions."
        )
    return ""


def _codes_below(account: "Account") -> list[str]:
    """The levels below the top that tell nothing of the datum beyond those above them."""
    joint, out = account.joint_information, []
    if joint is None or joint.ceiling <= TO_TELL_APART:
        return out
    for name, split in lower_levels(account).items():
        least = BARELY_USED * joint.ceiling
        level = int(name[1:])
        # Where the levels above tell all data apart, nothing is left to tell: only a level whose
        # posterior is p(z_l|z_l+1) as well is unused.
        used = split.information.value > least or (
            joint.above(level) > SATURATED * joint.ceiling and split.kl.value > least
        )
        if not used:
            out.append(
                f"Collapsed: {name}: I(n; {name}) given the levels above is "
                f"{abs(split.information.value):.2f} nats of at most "
                f"{joint.rows.ceiling_words(of_all=str(joint.n))}, on {joint.n} data: {name} is "
                "barely used. Try a KL warm-up (--warm-up 50), a smaller --beta, or fewer levels."
            )
    return out


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
    marginal = account.marginal_kl
    if not _prior_matters(account) or _too_few_rows(account) or not beyond_chance(marginal):
        return ""
    code = code_name(account)
    of_level = f" of {code}" if account.levels else ""
    whole = account.levels[f"kl_{code}"] if account.levels else account.average_kl
    return (
        f"Prior: the marginal KL{of_level} is {_said(account.marginal_kl)} of {whole.value:.2f} nats "
        f"of KL: {BOTH}, a better prior{of_level} can win at most that "
        f"({better_prior(account, prior)}){_coupling(account)}."
    )


def _prior_matters(account: "Account") -> bool:
    """Whether the marginal KL would be worth a verdict if its errors were small."""
    least = max(PRIOR_NATS, PRIOR_SHARE * account.average_kl.value)
    # Of rows that are all alike q(z) is one place, and its distance from p(z) is no fault of p(z).
    alike = account.n > 1 and account.index_ceiling <= TO_TELL_APART
    return (
        account.marginal_kl.value > least
        and not alike
        and not _share(account) > SATURATED
        and not _misplaced(account)
    )


def _too_few_rows(account: "Account") -> bool:
    """Whether the marginal KL is small without each datum's own share of q(z).

    A prior is not of these rows, so that what it could win is nearer to KL(q'(z) || p(z)) with q'
    the mixture over the other rows: (R q(z) - q(z|x_n)) / (R - 1), R rows in effect. At the average
    of log q(z|x_n) / q(z), I(n; z), that is lower than the marginal KL by
    log((R - exp I(n; z)) / (R - 1)): next to nothing for many rows, nearly all of it for five.
    """
    rows = math.exp(account.index_ceiling)
    rest = (rows - math.exp(account.index_information.value)) / max(rows - 1, 1e-12)
    won = account.marginal_kl.value + math.log(max(rest, 1e-12))
    return won <= max(PRIOR_NATS, PRIOR_SHARE * account.average_kl.value)


def _priors_below(account: "Account") -> list[str]:
    """The conditionals p(z_l|z_l+1) that are far from the aggregate of their level."""
    joint, out = account.joint_information, []
    for name, split in lower_levels(account).items():
        assert joint is not None
        won = split.aggregate_kl
        least = max(
            PRIOR_NATS,
            PRIOR_SHARE * split.kl.value,
            certain_errors(joint.n) * won.standard_error,
        )
        if won.value > least and not saturated_down_to(account, name):
            out.append(
                f"Prior of {name}: on {joint.n} of the data, {conditional(name)} is {won.value:.2f} "
                f"+- {won.standard_error:.2f} nats from the codes {name} given the levels above, of "
                f"{split.kl.value:.2f} nats of KL: {BOTH}, a better {conditional(name)} can win at "
                f"most that ({BETTER_CONDITIONAL})."
            )
    return out


def _misplaced(account: "Account") -> bool:
    """Whether the codes lie where they should not, by more than the prior could make up for: q(z) is then a fault of the encoder, not of the prior."""
    if account.gaps is None or not notable(account.jensen_gap, account.average_kl.value):
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
    if not notable(account.jensen_gap, account.average_kl.value):
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


def _by_size(account: "Account") -> dict[str, tuple[str, "Line"]]:
    """The verdicts that sizes and Monte Carlo errors alone would give: {verdict: (name, line)}."""
    candidates = {
        "Prior": ("marginal KL", account.marginal_kl, _prior_matters(account)),
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


def _undecided(account: "Account") -> str:
    """What is sizeable and sure to be so on these data, but not on others."""
    open_lines = [
        (name, line)
        for verdict, (name, line) in _by_size(account).items()
        if not beyond_chance(line) or (verdict == "Prior" and _too_few_rows(account))
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


def _nothing(account: "Account") -> str:
    code = code_name(account)
    gap = "at least" if account.jensen_gap.bound else "at most"
    of_level = f" of {code}" if account.levels else ""
    below = "".join(
        f"a better {conditional(name)} at most {max(split.aggregate_kl.value, 0):.2f}, "
        for name, split in lower_levels(account).items()
    )
    return (
        f"Nothing stands out: {BOTH}, a better prior{of_level} can win at most "
        f"{max(account.marginal_kl.value, 0):.2f} nats (the marginal KL), {below}a better posterior "
        f"{gap} {max(account.jensen_gap.value, 0):.2f} (the Jensen gap), and the code is used. "
        "What is left lies in the decoder and in the data."
    )
