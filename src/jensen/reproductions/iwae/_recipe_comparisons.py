"""Compares recipes by their means over trainings, in standard errors of the difference."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jensen.reproductions._base import number

# Rows are compared only where all of these agree.
SCHEDULE_KEYS = ("at_most_epochs", "batch_size", "learning_rate", "rate_stages", "num_samples")


def compare_recipes(
    rows: Sequence[dict[str, Any]], claims: Iterable[tuple[str, str]]
) -> list[dict[str, Any]]:
    """Compares the mean log p(x) over seeds of two recipes, for each claim and each schedule.

    Rows are compared only with rows of the same schedule and number of importance samples. A
    claim without trained rows of both recipes is left out.

    Args:
        rows: of the table.
        claims: pairs of recipes, the one claimed to be better first.

    Returns:
        For each comparison a mapping with `difference` in nats per datum; `standard_error`,
        sqrt(s1^2/n1 + s2^2/n2) over trainings (Welch 1947), None with a single training of
        either; and `verdict`: 'higher', 'lower' or 'undecided' (within two standard errors, or
        no standard error).

        claims = [("mnist-1layer-iwae-k5", "mnist-1layer-vae-k1")]
        compare_recipes(rows, claims)[0]["verdict"]
    """
    done = [row for row in rows if row["status"] == "done"]
    comparisons = []
    for schedule in dict.fromkeys(_schedule_of(row) for row in done):
        log_p: dict[str, list[float]] = {}
        for row in done:
            if _schedule_of(row) == schedule:
                log_p.setdefault(row["recipe"], []).append(row["log_p"])
        comparisons += [
            {
                "better": better,
                "worse": worse,
                **dict(zip(SCHEDULE_KEYS, schedule, strict=True)),
                **_difference_of_means(log_p[better], log_p[worse]),
            }
            for better, worse in claims
            if better in log_p and worse in log_p
        ]
    return comparisons


def comparison_text(comparison: dict[str, Any]) -> str:
    """Writes one comparison as a line under the table."""
    (n, m), error = comparison["trainings"], comparison["standard_error"]
    difference = number(comparison["difference"], sign=True)
    difference += f" +- {number(error)}" if error is not None else ""
    text = (
        f"{comparison['better']} over {comparison['worse']}: {difference} "
        f"({n} and {m} training{'s' * (n + m > 2)}, {comparison['at_most_epochs']} epochs)"
    )
    if error is None:
        return f"{text}; the spread over trainings is not known from one: take more seeds."
    verdict = {
        "higher": "higher, outside two standard errors",
        "lower": "LOWER, outside two standard errors",
        "undecided": "not decided: within two standard errors",
    }
    return f"{text}: {verdict[comparison['verdict']]}."


def _schedule_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in SCHEDULE_KEYS)


def _difference_of_means(better: list[float], worse: list[float]) -> dict[str, Any]:
    difference = float(np.mean(better) - np.mean(worse))
    error = None
    if min(len(better), len(worse)) > 1:
        error = math.sqrt(
            sum(float(np.var(group, ddof=1)) / len(group) for group in (better, worse))
        )
    decided = error is not None and abs(difference) > 2 * error
    verdict = ("higher" if difference > 0 else "lower") if decided else "undecided"
    return {
        "difference": difference,
        "standard_error": error,
        "trainings": (len(better), len(worse)),
        "verdict": verdict,
    }
