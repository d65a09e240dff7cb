"""The generalisation gap, line by line: test minus train.

I(n; z) grows with the number of data that q(z) is the mixture of, up to log N, and the marginal KL
falls. So both are compared over equally many: on the larger split q(z) is taken again over random
subsets of the size of the smaller one, each with the datum itself. I(n; z) is then still a mean
over all data of the split, the marginal KL is the rest of the KL that the two split, and their
differences sum to that of the KL. Total correlation and dimension-wise KL need one q(z) for all
draws and have no difference where the splits differ in size.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.anatomy.accounts import Account
from jensen.anatomy.elbo_surgery import surgery
from jensen.anatomy.line_table import SUBSET_GAP, aggregate_names, entries
from jensen.anatomy.lines import (
    Change,
    Line,
    bound_of_difference,
    line_from_data,
    plain_bounds,
    with_shared_error,
)
from jensen.anatomy.remedy_ceilings import code_name
from jensen.anatomy.surgery_lines import surgery_lines
from jensen.anatomy.text_table import table_of_both
from jensen.anatomy.verdicts import NOTHING
from jensen.anatomy.verdicts.thresholds import PART, certain_errors, sizeable
from jensen.model import Model
from jensen.progress import OnProgress, renamed, silent


@dataclass(frozen=True)
class Generalisation:
    """Two accounts of one model; prints as one table.

    Attributes:
        train, test: the accounts; overfitting is among the verdicts of `test`.
        lines: every line that both have.
        over: how many data q(z) is the mixture of in the differences of I(n; z) and the marginal
            KL.
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
        return table_of_both(self.train, self.test, self.lines, self.over)


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

        print(jensen.generalisation(model, train, test, data.train, data.test, key=key))
    """
    for account, data in ((train, train_data), (test, test_data)):
        if account.n != len(data):
            raise ValueError(
                f"the account of the {account.split} split is of {account.n} data; got {len(data)}."
            )
    over = min(account.aggregated_over or account.n for account in (train, test))
    of_aggregate, of_train, of_test = (
        aggregate_names(),
        _lines_over(model, train, train_data, over, key, on_progress),
        _lines_over(model, test, test_data, over, key, on_progress),
    )
    lines = {}
    of_gaps = [{} if account.gaps is None else account.gaps.lines for account in (train, test)]
    for name in train.lines | of_gaps[0]:
        if name not in test.lines | of_gaps[1]:
            continue
        if name in of_aggregate:
            before, after = of_train.get(name), of_test.get(name)
        else:
            before, after = train.line(name), test.line(name)
        if before is not None and after is not None:
            lines[name] = _change(before, after)
    gaps = [a.gaps for a in (train, test) if a.gaps is not None]
    if len(gaps) == 2 and not all(g.complete for g in gaps):
        # The whole of the parts, on the data that they are of.
        lines[SUBSET_GAP] = _change(*(g.jensen_gap for g in gaps))
    verdict = overfitting(lines, min(train.n, test.n))
    if verdict:
        faults = tuple(v for v in test.verdicts if not v.startswith(NOTHING))
        test = replace(test, verdicts=(*faults, verdict))
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
    """The verdict on overfitting, or ""; `fewest` is how many data the smaller split has.

    overfitting(both.lines, 360)
    """
    elbo, errors = lines["elbo"], certain_errors(fewest)
    lost = -elbo.difference
    if not (sizeable(lost, lines["average_kl"].test) and lost > errors * elbo.standard_error):
        return ""
    named = []
    for entry in entries():
        if not entry.overfit_remedy or entry.name not in lines:
            continue
        change = lines[entry.name]
        loss = change.difference if entry.sign == "-" else -change.difference
        if loss > max(PART * lost, errors * change.standard_error):
            figures = f"{loss:.2f} +- {change.standard_error:.2f}"
            named.append((loss, f"{figures} of it in the {entry.label}: {entry.overfit_remedy}"))
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
            f" The Jensen gap is {width} wider on test: that much is the encoder's, which more "
            "data or a smaller one would mend."
        )
    causes = "; ".join(text for _, text in named)
    return (
        f"Overfitting: the ELBO is {lost:.2f} +- {elbo.standard_error:.2f} nats lower on test than "
        f"on train{', ' + causes if causes else ''}.{encoder}"
    )


def _lines_over(
    model: Model,
    account: Account,
    data: np.ndarray,
    over: int,
    key: Key,
    on_progress: OnProgress,
) -> dict[str, Line]:
    """The lines that depend on how many data q(z) is over, for `over` data."""
    if (account.aggregated_over or account.n) == over:
        return {name: line for name, line in account.lines.items() if name in aggregate_names()}
    draws = surgery(
        model,
        data,
        key=jr.fold_in(key, 5),
        num_draws=account.num_draws,
        aggregated_over=over,
        on_progress=renamed(on_progress, "aggregated posterior of equally many"),
    )
    information = surgery_lines(draws)["index_information"]
    # The KL that I(n; z) and the marginal KL split, on the account's own draws: the differences of
    # the two sum to its difference exactly.
    whole = account.levels[f"kl_{code_name(account)}"] if account.levels else account.average_kl
    marginal = with_shared_error(
        line_from_data(
            whole.per_datum - information.per_datum,
            np.hypot(whole.per_datum_error, information.per_datum_error),
        ),
        information.shared_error,
    )
    return {"index_information": information, "marginal_kl": marginal}
