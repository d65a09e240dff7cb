"""The generalisation gap, line by line: test minus train.

I(n; z) grows with the number of data that q(z) is the mixture of, up to log N, and the marginal KL
falls. So both are compared over equally many: on the larger split q(z) is taken again over random
subsets of the size of the smaller one, each with the datum itself. I(n; z) is then still a mean over
all data of the split, the marginal KL is the rest of the KL that the two split, and their differences
sum to that of the KL. Total correlation and dimension-wise KL need one q(z) for all draws and have no
difference where the splits differ in size.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.anatomy._lines import (
    OF_Q_Z,
    Line,
    bound_of_difference,
    clear_difference,
    line_from_data,
    with_subset_error,
)
from jensen.anatomy._record import Account
from jensen.anatomy.account import cut_lines
from jensen.anatomy.ceilings import code_name
from jensen.anatomy.gaps import SUBSET_GAP
from jensen.anatomy.standings import plain_bounds
from jensen.anatomy.surgery import surgery
from jensen.anatomy.verdicts import PART, certain_errors, sizeable
from jensen.model import Model
from jensen.progress import OnProgress, renamed, silent

# What made the ELBO fall if a line of test is worse than that of train: sign with which it enters, and the remedy.
CAUSES = {
    "reconstruction": (
        1,
        "the decoder fits the training data too closely: stop earlier (--patience 20), a smaller decoder, more data",
    ),
    "index_information": (
        -1,
        "codes of test data cost more bits than those of train: a larger --beta, more data",
    ),
    "marginal_kl": (
        -1,
        "the prior knows the training codes: fewer components, or --prior standard_normal",
    ),
}

CALLED = {
    "reconstruction": "reconstruction",
    "index_information": "I(n; z)",
    "marginal_kl": "marginal KL",
}


@dataclass(frozen=True)
class Change:
    """One line on both splits, test minus train, and the standard error of that difference for two samples of data (nats per datum).

    `bound` is "lower" or "upper" where the line of one split is a bound, "unknown" where both are: of two lower bounds the difference
    may be anything.
    """

    train: float
    test: float
    difference: float
    standard_error: float
    bound: str = ""

    @property
    def clear(self) -> bool:
        """Whether the splits differ by more than two standard errors."""
        return clear_difference(self.difference, self.standard_error, self.bound)


@dataclass(frozen=True)
class Generalisation:
    """Two accounts of one model; prints as one table.

    Attributes:
        train, test: the accounts; verdicts on test, with overfitting if it is there, are those of `test`.
        lines: every line that both have.
        over: how many data q(z) is the mixture of in the differences of I(n; z) and the marginal KL.
    """

    train: Account
    test: Account
    lines: dict[str, Change]
    over: int

    def to_json(self) -> dict[str, Any]:
        """Plain values: what `jensen account RUN --split both --json` prints."""
        difference = {
            name: plain_bounds(asdict(change)) | {"unit": "nats per datum"}
            for name, change in self.lines.items()
        }
        return {
            "train": self.train.to_json(),
            "test": self.test.to_json(),
            "generalisation": {"aggregated_over": self.over, **difference},
        }

    def __str__(self) -> str:
        from jensen.anatomy.table import table_of_both

        return table_of_both(self)


def generalisation(
    model: Model,
    train: Account,
    test: Account,
    train_data: np.ndarray,
    test_data: np.ndarray,
    *,
    key: Key,
    on_progress: OnProgress = silent,
) -> Generalisation:
    """Test minus train, line by line.

    Args:
        model: of both accounts.
        train, test: its accounts.
        train_data, test_data: the data that they are of.
        key: chooses the subsets over which the larger split's q(z) is taken again, and draws.
        on_progress: called with what is being done, how much is done, and the total.

    Raises:
        ValueError: an account is of other data than those given.

        print(jensen.generalisation(model, train_account, test_account, data.train, data.test, key=key))
    """
    for account, data in ((train, train_data), (test, test_data)):
        if account.n != len(data):
            raise ValueError(
                f"the account of the {account.split} split is of {account.n} data; got {len(data)}."
            )
    over = min(a.aggregated_over or a.n for a in (train, test))
    of_q_z = [
        _over(model, a, data, over, key, on_progress)
        for a, data in ((train, train_data), (test, test_data))
    ]
    lines = {}
    for name in train.lines | ({} if train.gaps is None else train.gaps.lines):
        if not (name in test.lines or (test.gaps is not None and name in test.gaps.lines)):
            continue
        before, after = (
            found.get(name) if name in OF_Q_Z else account.line(name)
            for found, account in zip(of_q_z, (train, test), strict=True)
        )
        if before is not None and after is not None:
            lines[name] = _change(before, after)
    gaps = [a.gaps for a in (train, test) if a.gaps is not None]
    if len(gaps) == 2 and not all(g.complete for g in gaps):
        # The whole of the parts, on the data that they are of.
        lines[SUBSET_GAP] = _change(*(g.jensen_gap for g in gaps))
    verdict = overfitting(lines, min(train.n, test.n))
    if verdict:
        others = tuple(v for v in test.verdicts if not v.startswith("Nothing stands out"))
        test = replace(test, verdicts=(*others, verdict))
    return Generalisation(train, test, lines, over)


def _change(before: Line, after: Line) -> Change:
    return Change(
        before.value,
        after.value,
        after.value - before.value,
        math.hypot(before.data_error, after.data_error),
        bound_of_difference(after.bound, before.bound),
    )


def overfitting(lines: dict[str, Change], fewest: int) -> str:
    """The verdict, or nothing; `fewest`: how many data the smaller split has.

    overfitting(both.lines, 360)
    """
    elbo, errors = lines["elbo"], certain_errors(fewest)
    lost = -elbo.difference
    if not (sizeable(lost, lines["average_kl"].test) and lost > errors * elbo.standard_error):
        return ""
    named = []
    for name, (sign, remedy) in CAUSES.items():
        if name not in lines:
            continue
        loss, error = -sign * lines[name].difference, lines[name].standard_error
        if loss > max(PART * lost, errors * error):
            named.append((loss, f"{loss:.2f} +- {error:.2f} of it in the {CALLED[name]}: {remedy}"))
    named.sort(key=lambda pair: -pair[0])
    encoder, gap = "", lines["jensen_gap"]
    # A difference of two lower bounds, or from one, says nothing of what is the encoder's.
    if gap.bound in ("", "lower") and gap.difference > max(
        PART * lost, errors * gap.standard_error
    ):
        width = (
            f"at least {gap.difference:.2f} nats"
            if gap.bound
            else f"{gap.difference:.2f} +- {gap.standard_error:.2f}"
        )
        encoder = (
            f" The Jensen gap is {width} wider on test: that much is the encoder's, which more data or a smaller one "
            "would mend."
        )
    causes = "; ".join(text for _, text in named)
    return (
        f"Overfitting: the ELBO is {lost:.2f} +- {elbo.standard_error:.2f} nats lower on test than on "
        f"train{', ' + causes if causes else ''}.{encoder}"
    )


def _over(
    model: Model,
    account: Account,
    data: np.ndarray,
    over: int,
    key: Key,
    on_progress: OnProgress,
) -> dict[str, Line]:
    """The lines of q(z) over `over` data."""
    if (account.aggregated_over or account.n) == over:
        return {name: line for name, line in account.lines.items() if name in OF_Q_Z}
    cut = surgery(
        model,
        data,
        key=jr.fold_in(key, 5),
        num_draws=account.num_draws,
        aggregated_over=over,
        on_progress=renamed(on_progress, "aggregated posterior of equally many"),
    )
    information = cut_lines(cut)[0]["index_information"]
    # The KL that I(n; z) and the marginal KL split, on the account's own draws: the differences of
    # the two sum to its difference exactly.
    whole = account.levels[f"kl_{code_name(account)}"] if account.levels else account.average_kl
    marginal = with_subset_error(
        line_from_data(
            whole.per_datum - information.per_datum,
            np.hypot(whole.per_datum_error, information.per_datum_error),
        ),
        information.subset_error,
    )
    return {"index_information": information, "marginal_kl": marginal}
