"""Which data carry a line of the account, and the account without them.

A line is a mean over the data, so one row that is nothing like the others can make it. What a datum
carries of a line is its share of the deviations from the median,

    |v_n - median v| / sum_m |v_m - median v|,

which does not depend on the data's units: these shift log-densities by a constant. Influential are
the data farther from the median than FAR median absolute deviations, where they are few, carry more
than SHARE together, and move the mean by more than MOVED nats; of these as many, from the farthest
on, as leave the others no such share of what remains, or no such move. These alone must have such a
share and move: a long tail is no outlier. For normal values FAR is 6.7 standard deviations.
"""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from jensen.anatomy.gaps import GAP_LINES, Gaps
from jensen.anatomy.line_table import spec
from jensen.anatomy.lines import Line, line_from_data, with_shared_error
from jensen.anatomy.record import AccountRecord

AnyAccount = TypeVar("AnyAccount", bound=AccountRecord)

FAR = 10.0
SHARE = 0.2
MOVED = 0.1  # nats
FEW = 0.05  # of the data; more are a group of their own, not outliers
FEWEST = 8  # data of which a median absolute deviation says anything


@dataclass(frozen=True)
class Influence:
    """The few data that carry a line.

    Attributes:
        line: its name.
        data: their indices, the most influential first.
        share: of the deviations from the median, all of them together.
        value, without: the line with and without them, nats per datum.
    """

    line: str
    data: tuple[int, ...]
    share: float
    value: float
    without: float

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return vars(self) | {"data": list(self.data)}


def influences(account: AccountRecord) -> tuple[Influence, ...]:
    """The lines that a few data carry, in the order of the account; empty as a rule.

    influences(acc)[0].data  # (17,)
    """
    return tuple(
        Influence(name, tuple(map(int, data)), share, line.value, _without(line, data).value)
        for name, line in account.lines.items()
        for data, share in [influential_data(line.per_datum)]
        if len(data)
    )


def influential_data(values: np.ndarray) -> tuple[np.ndarray, float]:
    """(the indices of the few data that carry the mean of values [N], their share); none as a rule.

    influential_data(np.array([*np.linspace(0, 1, 99), 1000.0]))  # (array([99]), 0.976)
    """
    none = np.empty(0, int), 0.0
    if len(values) < FEWEST:
        return none
    deviations = np.abs(values - np.median(values))
    total = deviations.sum()
    order = np.argsort(-deviations, kind="stable")
    far = order[deviations[order] > FAR * np.median(deviations)]
    if not 0 < len(far) <= max(1, FEW * len(values)) or not deviations[far].sum() > SHARE * total:
        return none
    # No more than carry it: the tail that is left need not be of the same kind.
    tail = np.append(np.cumsum(deviations[far][::-1])[::-1][1:], 0.0)  # behind each of them
    near = np.delete(deviations, far).sum()
    # The mean without the first, without the first two, ...; the last is without all of them.
    means = (values.sum() - np.cumsum(values[far])) / (len(values) - 1 - np.arange(len(far)))
    if not abs(values.mean() - means[-1]) > MOVED:
        return none
    enough = (tail <= SHARE * (tail + near)) | (np.abs(means - means[-1]) <= MOVED)
    last = int(np.argmax(enough))
    share = float(deviations[far[: last + 1]].sum() / total)
    # A long tail carries much together, and none of it more than its like.
    if not (share > SHARE and abs(values.mean() - means[last]) > MOVED):
        return none
    return far[: last + 1], share


def account_without(account: AnyAccount, data: np.ndarray) -> AnyAccount:
    """The account with the lines over all other data; q(z) stays the mixture over all.

    account_without(acc, np.array([17])).elbo.value
    """
    lines: dict[str, Any] = {name: _without(line, data) for name, line in account.lines.items()}
    levels = {name: lines.pop(name) for name in account.levels}
    further = {name: lines.pop(name) for name in account.further_lines if name in lines}
    parts = account.marginals
    if parts is not None:
        names = tuple(parts.lines)
        parts = replace(parts, **{name: lines.pop(name) for name in names})
    gaps = account.gaps and _gaps_without(account.gaps, data)
    optional: dict[str, Any] = {"levels": levels, "further_lines": further, "marginals": parts}
    # Whoever reads the result asks for its lines alone: rows keep the numbers of all data.
    return replace(account, **lines, **optional, gaps=gaps)


def _gaps_without(gaps: Gaps, data: np.ndarray) -> Gaps | None:
    places = np.flatnonzero(np.isin(gaps.index, data))
    if len(places) == gaps.n:
        return None
    return replace(
        gaps,
        index=np.delete(gaps.index, places),
        **{name: _without(getattr(gaps, name), places) for name in GAP_LINES},
    )


def _without(line: Line, data: np.ndarray) -> Line:
    rest = line_from_data(
        np.delete(line.per_datum, data), np.delete(line.per_datum_error, data), bound=line.bound
    )
    return with_shared_error(rest, line.shared_error) if line.shared_error else rest


def influence_words(influence: Influence, account: AccountRecord) -> str:
    """One line and the data that carry it, in words.

    influence_words(influences(acc)[0], acc)  # 'datum 17 carries 99% of how the marginal KL ...'
    """
    label = spec(influence.line).label
    # Formulas such as log p(x) take no article.
    line = label if "(" in label else f"the {label}"
    verb = "carries" if len(influence.data) == 1 else "carry"
    return (
        f"{data_words(influence.data, account)} {verb} {influence.share:.0%} of how {line} varies "
        f"over the data: {influence.value:.2f} with, {influence.without:.2f} without"
    )


def data_words(data: tuple[int, ...], account: AccountRecord, most: int = 5) -> str:
    """Data by their row numbers and names, or by their positions where these are not recorded.

    data_words((3, 17), acc)  # 'rows 3 (id x-3), 17 (id x-17)'
    """
    noun = ("row", "rows") if account.row_columns else ("datum", "data")
    named = [_datum_words(names) for names in account.datum_names(data[:most])]
    if len(data) == 1:
        return f"{noun[0]} {named[0]}"
    more = f" and {len(data) - most} more" if len(data) > most else ""
    return f"{noun[1]} {', '.join(named)}{more}"


def _datum_words(names: dict[str, Any]) -> str:
    """`17`, or `412 (train, id x-3)`: the row number, and what else names the row."""
    columns = {name: value for name, value in names.items() if name not in ("index", "row")}
    split = [str(columns.pop("split"))] if "split" in columns else []
    beside = ", ".join([*split, *(f"{name} {value}" for name, value in columns.items())])
    number = names.get("row", names["index"])
    return f"{number} ({beside})" if beside else f"{number}"
