"""The lines of an account: what each is, how it is made from draws, and the identities that hold between them."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

LINES = (
    "evidence",
    "jensen_gap",
    "elbo",
    "reconstruction",
    "average_kl",
    "index_information",
    "marginal_kl",
    "expected_energy",
    "entropy",
)
PARTS = ("total_correlation", "dimension_wise_kl")  # of the marginal KL, where its q(z) has them
OF_Q_Z = (
    "index_information",
    "marginal_kl",
    *PARTS,
)  # what depends on how many data q(z) is taken over
MEANING = {
    "evidence": "log p(x)",
    "jensen_gap": "log p(x) - ELBO = KL(q || posterior)",
    "elbo": "reconstruction - average KL",
    "reconstruction": "E_q log p(x|z)",
    "average_kl": "KL(q(z|x) || p(z))",
    "index_information": "I(n; z), at most log N, or the entropy of the distinct rows",
    "marginal_kl": "KL(q(z) || p(z))",
    "total_correlation": "KL(q(z) || product of its marginals q(z_j))",
    "dimension_wise_kl": "sum of KL(q(z_j) || p(z_j))",
    "expected_energy": "-E_q log p(x, z)",
    "entropy": "entropy of q(z|x)",
}


# Before a value, in a sentence and in a table, by what it is where no standard error covers it.
AT_LEAST = {"": "", "lower": "at least ", "upper": "at most ", "unknown": "about "}
SIGN = {"": "", "lower": ">= ", "upper": "<= ", "unknown": "~ "}


@dataclass(frozen=True)
class Line:
    """One line of the account: value, Monte Carlo standard error and data error (nats per datum), and the values per datum [N].

    Attributes:
        bound: "lower" where the line rests on evidence that k-hat does not trust: the value is then a lower bound in expectation, and
            `standard_error`, that of the draws that came, covers nothing; otherwise "".
        subset_error: the part of both errors that all data have in common: that of the random data that q(z) is taken over.
    """

    value: float
    standard_error: float
    data_error: float
    per_datum: np.ndarray = field(repr=False)
    per_datum_error: np.ndarray = field(repr=False)
    bound: str = ""
    subset_error: float = 0.0

    @property
    def error(self) -> float:
        """`standard_error` where it covers; NaN where the value is a bound."""
        return math.nan if self.bound else self.standard_error

    def figures(self) -> dict[str, float | str | None]:
        """value, standard_error (None where the value is a bound, which has none), data_error, and bound, as plain values."""
        out: dict[str, float | str | None] = {
            "value": self.value,
            "standard_error": None if self.bound else self.standard_error,
            "data_error": self.data_error,
            "bound": self.bound or None,
        }
        return out | ({"subset_error": self.subset_error} if self.subset_error else {})


def line_of_figures(figures: dict[str, Any], per_datum: np.ndarray, errors: np.ndarray) -> Line:
    """The line that `Line.figures` and its values per datum describe; the standard error of a bound, which is not told, from the latter."""
    bound = figures.get("bound") or ""  # accounts of earlier versions do not say
    error = figures["standard_error"]
    if error is None:
        error = line_from_data(per_datum, errors).standard_error
    subset_error = figures.get("subset_error", 0.0)
    return Line(
        figures["value"], error, figures["data_error"], per_datum, errors, bound, subset_error
    )


def bound_of_difference(of: str, subtracted: str) -> str:
    """What a difference is, by the bounds that the two values are: of two lower bounds nothing is known.

    bound_of_difference("lower", "")  # 'lower'
    bound_of_difference("", "lower")  # 'upper'
    """
    if of and subtracted:
        return "unknown"
    return {"": of, "lower": "upper", "upper": "lower"}[subtracted]


def clear_difference(difference: float, standard_error: float, bound: str) -> bool:
    """Whether a difference is beyond two standard errors; a bound only where it lies beyond them on its own side."""
    above, below = difference > 2 * standard_error, difference < -2 * standard_error
    return {"": above or below, "lower": above, "upper": below, "unknown": False}[bound]


def level_names(levels: int) -> tuple[str, ...]:
    """The names of the lines that hold the KL of each level, z_1 first; none for a model of one level, whose average KL is that of its only one.

    level_names(2)  # ('kl_z1', 'kl_z2')
    """
    return tuple(f"kl_z{level}" for level in range(1, levels + 1)) if levels > 1 else ()


def line_from_draws(draws: np.ndarray, again: np.ndarray | None = None) -> Line:
    """From values [N, draws]; with one draw per datum, `again` holds two draws [M, 2] of some of the data.

    One draw says nothing of the spread within a datum, and the spread over the data is far larger: with two draws of some of them their mean variance is known,
    which is all that the standard error of the mean over the data needs.
    """
    per_datum = draws.mean(axis=1)
    if draws.shape[1] > 1:
        return line_from_data(per_datum, draws.std(axis=1, ddof=1) / math.sqrt(draws.shape[1]))
    within = (
        math.nan
        if again is None
        else math.sqrt(float(np.mean(np.square(again[:, 1] - again[:, 0]) / 2)))
    )
    return line_from_data(per_datum, np.full(len(per_datum), within))


def line_from_data(per_datum: np.ndarray, errors: np.ndarray, *, bound: str = "") -> Line:
    """From values [N] and their Monte Carlo standard errors [N]; `bound` says what the value is where those cover nothing."""
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


def with_subset_error(line: Line, error: float) -> Line:
    """The line, its errors enlarged by one that all data share."""
    return replace(
        line,
        standard_error=math.hypot(line.standard_error, error),
        data_error=math.hypot(line.data_error, error),
        subset_error=error,
    )


def check_closure(values: dict[str, float]) -> None:
    """The identities hold on the same draws to rounding, or there is no account.

    Raises:
        ArithmeticError: naming the identity and what is missing.
    """
    scale = max(1.0, *(abs(v) for v in values.values()))
    levels = [v for name, v in values.items() if name.startswith("kl_z")]
    top = levels[-1] if levels else values["average_kl"]
    parts = [values[name] for name in PARTS if name in values]
    residuals = {
        "ELBO = reconstruction - average KL": values["elbo"]
        - (values["reconstruction"] - values["average_kl"]),
        "average KL = sum of the KLs of the levels": values["average_kl"]
        - sum(levels or [values["average_kl"]]),
        "KL of the top level = I(n; z) + marginal KL": top
        - (values["index_information"] + values["marginal_kl"]),
        "ELBO = - expected energy + entropy": values["elbo"]
        - (values["entropy"] - values["expected_energy"]),
        "marginal KL = total correlation + dimension-wise KL": values["marginal_kl"] - sum(parts)
        if len(parts) == len(PARTS)
        else 0.0,
    }
    for identity, residual in residuals.items():
        if not abs(residual) <= 1e-9 * scale:
            raise ArithmeticError(
                f"the account does not close: {identity} is off by {residual:.3g} nats. Please report this."
            )
