"""Verdicts on the prior, and on the conditional priors of lower levels."""

import math

from jensen.anatomy.record import AccountRecord
from jensen.anatomy.remedy_ceilings import (
    BETTER_CONDITIONAL,
    ENCODER_AND_DECODER,
    SATURATED,
    better_prior,
    code_name,
    conditional,
    lower_levels,
    saturated_down_to,
)
from jensen.anatomy.verdicts.posterior import misplaced_codes
from jensen.anatomy.verdicts.thresholds import (
    PART,
    PRIOR_NATS,
    PRIOR_SHARE,
    TO_TELL_APART,
    beyond_chance,
    certain_errors,
    information_share,
    value_words,
)


def prior_verdict(account: AccountRecord) -> str:
    """The verdict on the prior of the (top level of the) code, or ""."""
    marginal = account.marginal_kl
    if not prior_is_sizeable(account) or too_few_rows(account) or not beyond_chance(marginal):
        return ""
    code = code_name(account)
    of_level = f" of {code}" if account.levels else ""
    whole = account.levels[f"kl_{code}"] if account.levels else account.average_kl
    return (
        f"Prior: the marginal KL{of_level} is {value_words(account.marginal_kl)} of "
        f"{whole.value:.2f} nats of KL: {ENCODER_AND_DECODER}, a better prior{of_level} can win at "
        f"most that ({better_prior(account)}){_coupling(account)}."
    )


def prior_is_sizeable(account: AccountRecord) -> bool:
    """Whether the marginal KL would be worth a verdict if its errors were small."""
    least = max(PRIOR_NATS, PRIOR_SHARE * account.average_kl.value)
    # Of rows that are all alike q(z) is one place, and its distance from p(z) is no fault of p(z).
    alike = account.n > 1 and account.index_ceiling <= TO_TELL_APART
    return (
        account.marginal_kl.value > least
        and not alike
        and not information_share(account) > SATURATED
        and not misplaced_codes(account)
    )


def too_few_rows(account: AccountRecord) -> bool:
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


def conditional_prior_verdicts(account: AccountRecord) -> list[str]:
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
                f"Prior of {name}: on {joint.n} of the data, {conditional(name)} is "
                f"{won.value:.2f} +- {won.standard_error:.2f} nats from the codes {name} given the "
                f"levels above, of {split.kl.value:.2f} nats of KL: {ENCODER_AND_DECODER}, a "
                f"better {conditional(name)} can win at most that ({BETTER_CONDITIONAL})."
            )
    return out


def _coupling(account: AccountRecord) -> str:
    """How much of it a prior of independent dimensions could win."""
    parts = account.marginals
    if parts is None or parts.dimension_wise_kl is None:
        return ""
    apart, together = parts.dimension_wise_kl.value, parts.total_correlation.value
    if apart < PART * account.marginal_kl.value:
        return (
            f"; {together:.2f} of it is dependence between dimensions (total correlation), which "
            "no prior of independent ones can win"
        )
    if together < PART * account.marginal_kl.value:
        return (
            f"; {apart:.2f} of it lies in the dimensions one by one, where it takes no more than "
            "other means, scales or shapes"
        )
    return (
        f"; {apart:.2f} of it lies in the dimensions one by one, {together:.2f} in their "
        "dependence (total correlation)"
    )
