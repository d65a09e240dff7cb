"""When a size is worth a verdict.

All thresholds are in nats, or relative to a KL or to the ceiling of I(n; z): none moves with the
data's units. A size counts only beyond 3 standard errors: of the Monte Carlo one, and of the one
over the data, there in Student's quantile, which is larger where the data are few.
"""

import math

from scipy.special import stdtrit

from jensen.anatomy.lines import AT_LEAST, Line
from jensen.anatomy.record import AccountRecord

BARELY_USED = 0.05  # of the ceiling of I(n; z)
PART = 0.25  # of a whole: the least part that is named
TO_TELL_APART = 0.1  # nats: the least ceiling of I(n; z) under which a code can be called unused
PRIOR_NATS, PRIOR_SHARE = 0.5, 0.05  # nats; of the average KL
GAP_SHARE, GAP_LEAST, GAP_MOST = 0.1, 0.2, 1.0  # of the average KL; nats
BEYOND_CHANCE = 0.99865  # one-sided: 3 standard errors of a normal


def notable(line: Line, average_kl: float) -> bool:
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


def beyond_chance(line: Line) -> bool:
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


def value_words(line: Line) -> str:
    """A value with its standard error, or as the bound that it is."""
    if line.bound:
        return f"{AT_LEAST[line.bound]}{line.value:.2f}"
    return f"{line.value:.2f} +- {line.standard_error:.2f}"


def information_share(account: AccountRecord) -> float:
    """I(n; z) as a share of its ceiling; a half where the rows do not differ."""
    ceiling = account.index_ceiling
    return account.index_information.value / ceiling if ceiling > TO_TELL_APART else 0.5


def most_words(line: Line) -> str:
    """How much of a line can be won, in words: at most the line, unless it is a lower bound."""
    return "that or more" if line.bound else "at most that"
