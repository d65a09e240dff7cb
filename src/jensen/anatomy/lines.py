"""The figures of a line: how they are made from draws, and the identities between the lines.

What the lines are is in `anatomy.line_table`.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from jensen.anatomy.line_table import LineSpec, entries, is_level

# Before a value, in a sentence and in a table, by what it is where no standard error covers it.
AT_LEAST = {"": "", "lower": "at least ", "upper": "at most ", "unknown": "about "}
SIGN = {"": "", "lower": ">= ", "upper": "<= ", "unknown": "~ "}


@dataclass(frozen=True)
class Line:
    """One line of the account, nats per datum.

    Attributes:
        value: the mean over the data.
        standard_error: its Monte Carlo standard error: of other draws on the same data.
        data_error: its standard error over the data: of another sample of data of the same size.
        per_datum: the values of each datum, [N].
        per_datum_error: their Monte Carlo standard errors, [N].
        bound: "lower" where the line rests on evidence that k-hat does not trust: the value is then
            a lower bound in expectation, and `standard_error`, that of these draws, does not cover
            the truth; otherwise "".
        shared_error: the part of both errors that all data have in common: of the random data that
            q(z) is taken over, or of tails that the weights behind log p(x) have not reached.
    """

    value: float
    standard_error: float
    data_error: float
    per_datum: np.ndarray = field(repr=False)
    per_datum_error: np.ndarray = field(repr=False)
    bound: str = ""
    shared_error: float = 0.0

    @property
    def error(self) -> float:
        """`standard_error` where it covers; NaN where the value is a bound."""
        return math.nan if self.bound else self.standard_error

    def figures(self) -> dict[str, float | str | None]:
        """Value, standard errors and bound as plain values; the error of a bound is None."""
        out: dict[str, float | str | None] = {
            "value": self.value,
            "standard_error": None if self.bound else self.standard_error,
            "data_error": self.data_error,
            "bound": self.bound or None,
        }
        return out | ({"shared_error": self.shared_error} if self.shared_error else {})


def line_of_figures(figures: dict[str, Any], per_datum: np.ndarray, errors: np.ndarray) -> Line:
    """The line that `Line.figures` and its values per datum describe.

    The standard error of a bound is not among the figures and is computed from the values.

    line_of_figures(line.figures(), line.per_datum, line.per_datum_error)
    """
    bound = figures.get("bound") or ""  # accounts of earlier versions have no such key
    error = figures["standard_error"]
    if error is None:
        error = line_from_data(per_datum, errors).standard_error
    # Accounts of earlier versions call it the subset error.
    shared_error = figures.get("shared_error", figures.get("subset_error", 0.0))
    return Line(
        figures["value"], error, figures["data_error"], per_datum, errors, bound, shared_error
    )


def bound_of_difference(of: str, subtracted: str) -> str:
    """Which bound a difference is, from the bounds that the two values are.

    The difference of two lower bounds may be anything: "unknown".

    bound_of_difference("lower", "")  # 'lower'
    bound_of_difference("", "lower")  # 'upper'
    """
    if of and subtracted:
        return "unknown"
    return {"": of, "lower": "upper", "upper": "lower"}[subtracted]


def clear_difference(difference: float, standard_error: float, bound: str) -> bool:
    """Whether a difference is beyond two standard errors.

    A difference that is a bound is so only on its own side: a lower bound above 0.

    clear_difference(-1.0, 0.1, "lower")  # False: the difference may be larger than 0
    """
    above, below = difference > 2 * standard_error, difference < -2 * standard_error
    return {"": above or below, "lower": above, "upper": below, "unknown": False}[bound]


@dataclass(frozen=True)
class Change:
    """One line on both splits, test minus train, nats per datum.

    Attributes:
        train, test: the line on each.
        difference: test minus train.
        standard_error: of that difference, for two samples of data.
        bound: "lower" or "upper" where the line of one split is a bound, "unknown" where both are:
            the difference of two lower bounds may be anything.
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


def plain_bounds(values: dict[str, Any]) -> dict[str, Any]:
    """Convert fields of a difference for JSON: null where a value is no bound.

    A difference that is a bound has no standard error (null) either.

    plain_bounds({"difference": 1.0, "standard_error": 0.1, "bound": "lower"})["standard_error"]
    """
    out = {k: v or None if k.endswith("bound") else v for k, v in values.items()}
    if out.get("difference_bound" if "difference_bound" in out else "bound"):
        out["standard_error"] = None
    return out


def line_from_draws(draws: np.ndarray, second_draws: np.ndarray | None = None) -> Line:
    """Make a line from values [N, draws].

    With one draw per datum, `second_draws` holds two draws [M, 2] of some of the data. One draw
    says nothing of the spread within a datum, and the spread over the data is far larger: two draws
    of some data give the mean variance within a datum, which is all that the standard error of the
    mean over the data needs.

    line_from_draws(np.random.randn(100, 8)).value
    """
    per_datum = draws.mean(axis=1)
    if draws.shape[1] > 1:
        return line_from_data(per_datum, draws.std(axis=1, ddof=1) / math.sqrt(draws.shape[1]))
    within = (
        math.nan
        if second_draws is None
        else math.sqrt(float(np.mean(np.square(second_draws[:, 1] - second_draws[:, 0]) / 2)))
    )
    return line_from_data(per_datum, np.full(len(per_datum), within))


def line_from_data(per_datum: np.ndarray, errors: np.ndarray, *, bound: str = "") -> Line:
    """Make a line from values [N] and their Monte Carlo standard errors [N].

    `bound` is "lower" where the values are lower bounds in expectation.

    line_from_data(np.ones(4), np.zeros(4)).value  # 1.0
    """
    n = len(per_datum)
    data_error = float(per_datum.std(ddof=1) / math.sqrt(n)) if n > 1 else math.nan
    return Line(
        float(per_datum.mean()),
        float(np.sqrt(np.sum(errors**2)) / n),
        data_error,
        per_datum,
        errors,
        bound,
    )


def with_shared_error(line: Line, error: float) -> Line:
    """The line with both errors enlarged by one that all data have in common.

    with_shared_error(line, 0.1).shared_error  # 0.1
    """
    return replace(
        line,
        standard_error=math.hypot(line.standard_error, error),
        data_error=math.hypot(line.data_error, error),
        shared_error=error,
    )


def check_closure(values: dict[str, float]) -> None:
    """Check the identities between the lines, which hold on the same draws to rounding.

    The identities follow from the table: every line is the sum of its parts, each with its sign. A
    split of which a part is missing is not checked.

    Args:
        values: the lines made of posterior draws, {name: nats per datum}.

    Raises:
        ArithmeticError: an identity does not hold; the message names it and the residual.

        check_closure({"elbo": -1.0, "reconstruction": 1.0, "average_kl": 2.0})
    """
    by_name = {entry.name: entry for entry in entries(sum(map(is_level, values)))}
    splits: dict[tuple[str, str], list[LineSpec]] = {}
    for entry in by_name.values():
        if entry.split:
            splits.setdefault((entry.part_of, entry.split), []).append(entry)
    scale = max(1.0, *(abs(value) for value in values.values()))
    for (whole, split), parts in splits.items():
        if not values.keys() >= {whole, *(part.name for part in parts)}:
            continue
        # Signs in the table are those towards log p(x): parts of a line that is subtracted add up.
        sign = -1 if by_name[whole].sign == "-" else 1
        total = sum((-sign if p.sign == "-" else sign) * values[p.name] for p in parts)
        residual = values[whole] - total
        if not abs(residual) <= 1e-9 * scale:
            label = by_name[whole].label
            raise ArithmeticError(
                f"the account does not close: {label} = {split} is off by {residual:.3g} nats. "
                "Please report this."
            )
