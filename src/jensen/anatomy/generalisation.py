"""The generalisation gap, line by line: test minus train.

I(n; z) grows with the number of data that q(z) is the mixture of, up to log N, and the marginal KL falls. So both are compared over equally many: on the larger
split they are taken again on a random subset of the size of the smaller one.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.anatomy._lines import OF_Q_Z, Line, bound_of_difference, clear_difference
from jensen.anatomy._record import Account
from jensen.anatomy.account import cut_lines
from jensen.anatomy.marginals import marginals
from jensen.anatomy.standings import plain_bounds
from jensen.anatomy.surgery import surgery
from jensen.anatomy.verdicts import PART, notable
from jensen.model import Model

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
        over: how many data q(z) is the mixture of in the differences.
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
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Generalisation:
    """Test minus train, line by line.

    Args:
        model: of both accounts.
        train, test: its accounts.
        train_data, test_data: the data that they are of.
        key: chooses the subset on which the larger split's I(n; z) and marginal KL are taken again.
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
            lines[name] = Change(
                before.value,
                after.value,
                after.value - before.value,
                math.hypot(before.data_error, after.data_error),
                bound_of_difference(after.bound, before.bound),
            )
    verdict = overfitting(lines)
    if verdict:
        kept = tuple(v for v in test.verdicts if not v.startswith("Nothing stands out"))
        test = replace(test, verdicts=(*kept, verdict))
    return Generalisation(train, test, lines, over)


def overfitting(lines: dict[str, Change]) -> str:
    """The verdict, or nothing.

    overfitting(found.lines)
    """
    elbo = lines["elbo"]
    if not notable(_loss(-elbo.difference, elbo.standard_error), elbo.test):
        return ""
    named = []
    for name, (sign, remedy) in CAUSES.items():
        loss = (
            _loss(-sign * lines[name].difference, lines[name].standard_error)
            if name in lines
            else None
        )
        if loss is not None and loss.value > max(-PART * elbo.difference, 3 * loss.standard_error):
            named.append(
                (
                    loss,
                    f"{loss.value:.2f} +- {loss.standard_error:.2f} of it in the {name.replace('index_information', 'I(n; z)').replace('_', ' ')}: {remedy}",
                )
            )
    named.sort(key=lambda pair: -pair[0].value)
    encoder, gap = "", lines["jensen_gap"]
    # A difference of two lower bounds, or from one, says nothing of what is the encoder's.
    if gap.bound in ("", "lower") and gap.difference > max(
        -PART * elbo.difference, 3 * gap.standard_error
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
    lost = "; ".join(text for _, text in named)
    return f"Overfitting: the ELBO is {-elbo.difference:.2f} +- {elbo.standard_error:.2f} nats lower on test than on train{', ' + lost if lost else ''}.{encoder}"


def _loss(value: float, standard_error: float) -> Line:
    return Line(value, standard_error, math.nan, np.empty(0), np.empty(0))


def _over(
    model: Model,
    account: Account,
    data: np.ndarray,
    over: int,
    key: Key,
    on_progress: Callable[[str, int, int], None],
) -> dict[str, Line]:
    """The lines of q(z) over `over` data."""
    if (account.aggregated_over or account.n) == over:
        return {name: line for name, line in account.lines.items() if name in OF_Q_Z}
    key_choice, key_draws = jr.split(jr.fold_in(key, 5))
    chosen = np.sort(np.asarray(jr.permutation(key_choice, len(data)))[:over])
    cut = surgery(
        model,
        data[chosen],
        key_draws,
        on_progress=lambda *a: on_progress("aggregated posterior of equally many", *a),
    )
    parts, _ = marginals(cut)
    found = cut_lines(cut)[0] | ({} if parts is None else parts.lines)
    return {name: found[name] for name in OF_Q_Z if name in found}
