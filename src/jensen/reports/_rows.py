"""The account as rows of a table: what each line is, and the remedy that addresses it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jensen.anatomy import Account
from jensen.anatomy.line_table import SUBSET_GAP, aggregate_names
from jensen.anatomy.lines import bound_of_difference


@dataclass(frozen=True)
class Beside:
    """The same line on another split, and main minus other with the error of two samples of data.

    There is no difference where q(z) is over other numbers of data.
    """

    value: float
    standard_error: float
    difference: float | None
    difference_error: float
    bound: str = ""
    difference_bound: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table, nats per datum, and the same line of other accounts beside it.

    None stands where another account lacks the line.
    """

    name: str
    label: str
    depth: int
    value: float
    standard_error: float
    data_error: float
    beside: tuple[Beside | None, ...]
    meaning: str
    remedy: str
    bound: str = ""


def account_rows(accounts: Mapping[str, Account]) -> list[Row]:
    """The rows of the first account, every other one beside it."""
    main, *others = accounts.values()
    rows = []
    for entry in main.line_specs:
        line, meaning = main.line(entry.name), entry.meaning or entry.short
        if entry.name == "index_information":
            meaning += f" At most {main.ceiling}."
        if main.gaps is not None and entry.name in main.gaps.lines:
            meaning += f" Best of the {main.gaps.where}."
        rows.append(
            Row(
                entry.name,
                entry.report_label,
                entry.depth,
                line.value,
                line.standard_error,
                line.data_error,
                tuple(_beside(main, other, entry.name) for other in others),
                meaning,
                entry.remedy,
                line.bound,
            )
        )
    return rows


def _beside(main: Account, other: Account, name: str) -> Beside | None:
    # The gap that is split, where the other account splits that of all its data, is its Jensen gap.
    of_gaps = () if other.gaps is None else (*other.gaps.lines, SUBSET_GAP)
    if name not in other.lines and name not in of_gaps:
        return None
    line, o = main.line(name), other.line(name)
    comparable = name not in aggregate_names() or (main.aggregated_over or main.n) == (
        other.aggregated_over or other.n
    )
    return Beside(
        o.value,
        o.standard_error,
        line.value - o.value if comparable else None,
        math.hypot(line.data_error, o.data_error),
        o.bound,
        bound_of_difference(line.bound, o.bound),
    )


@dataclass(frozen=True)
class Datum:
    """One of the worst data: its index in the split, its numbers, and its picture or values.

    An image has its picture as PNG bytes, all other data have their values as text.
    """

    index: int
    evidence: float
    elbo: float
    pareto_k: float
    image: bytes | None
    values: str


def worst_data(account: Account, count: int = 12) -> np.ndarray:
    """The indices of the data with the lowest log p(x), the lowest first."""
    return np.argsort(account.evidence.per_datum, kind="stable")[:count]


def median_datum(account: Account) -> int:
    """The index of a datum whose log p(x) is the median: neither easy nor hard for the model."""
    return int(np.argsort(account.evidence.per_datum, kind="stable")[(account.n - 1) // 2])


def values_text(datum: np.ndarray, most: int = 8) -> str:
    """The first values of a datum, as text."""
    flat = np.asarray(datum).ravel()
    text = ", ".join(f"{v:.4g}" for v in flat[:most])
    return text + (f", ... ({flat.size} values)" if flat.size > most else "")


@dataclass(frozen=True)
class TailShape:
    """How k-hat is distributed: counts of each kind, and the finite values."""

    finite: np.ndarray
    equal_weights: int
    unknown: int
    one_draw: int
    untrusted: int
    share: float
    threshold: float


def tail_shape(account: Account) -> TailShape:
    """Returns the distribution of k-hat of the account's evidence.

    Three values count apart: -inf (equal weights), NaN (too few samples to tell) and +inf (one
    draw has all the weight).
    """
    from jensen.evidence import pareto_k_threshold

    k, threshold = (
        account.evidence_estimate.pareto_k,
        pareto_k_threshold(account.evidence_estimate.num_samples),
    )
    of_k_hat = account.evidence_estimate.methods != "annealed"
    untrusted = int(np.sum(~(k <= threshold) & of_k_hat))
    return TailShape(
        k[np.isfinite(k)],
        int(np.sum(k == -np.inf)),
        int(np.sum(np.isnan(k) & of_k_hat)),
        int(np.sum(k == np.inf)),
        untrusted,
        untrusted / account.n,
        threshold,
    )
