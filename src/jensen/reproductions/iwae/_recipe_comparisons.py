"""Is one estimator better than another? Means over trainings, compared in standard errors of the difference of two means."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jensen.reproductions._base import number

ALIKE = ("at_most_epochs", "batch_size", "learning_rate", "rate_stages", "num_samples")


def orders(
    rows: Sequence[dict[str, Any]], claims: Iterable[tuple[str, str]]
) -> list[dict[str, Any]]:
    """For every claim (better recipe, worse recipe) and every schedule that has trained rows of both: the difference of their means over seeds, nats per datum.

    Rows are compared only with rows of the same schedule and number of importance samples. `standard_error` is sqrt(s1^2/n1 + s2^2/n2) over trainings
    (Welch 1947), None with a single training of either; `verdict` is 'higher', 'lower' or 'undecided' (within two standard errors, or no standard error).

        orders(rows, [("mnist-1layer-iwae-k5", "mnist-1layer-vae-k1")])[0]["verdict"]
    """
    done = [row for row in rows if row["status"] == "done"]
    found = []
    for schedule in dict.fromkeys(tuple(row[k] for k in ALIKE) for row in done):
        alike = [row for row in done if tuple(row[k] for k in ALIKE) == schedule]
        for better, worse in claims:
            ours, theirs = (
                [row["log_p"] for row in alike if row["recipe"] == name] for name in (better, worse)
            )
            if ours and theirs:
                found.append(
                    {
                        "better": better,
                        "worse": worse,
                        **dict(zip(ALIKE, schedule, strict=True)),
                        **_difference(ours, theirs),
                    }
                )
    return found


def in_words(order: dict[str, Any]) -> str:
    """One order as a line under a table."""
    (n, m), error = order["trainings"], order["standard_error"]
    said = f"{order['better']} over {order['worse']}: {number(order['difference'], sign=True)}"
    said += f" +- {number(error)}" if error is not None else ""
    counts = f"{n} and {m} training{'s' * (n + m > 2)}, {order['at_most_epochs']} epochs"
    if error is None:
        return (
            f"{said} ({counts}); the spread over trainings is not known from one: take more seeds."
        )
    verdict = {
        "higher": "higher, outside two standard errors",
        "lower": "LOWER, outside two standard errors",
        "undecided": "not decided: within two standard errors",
    }
    return f"{said} ({counts}): {verdict[order['verdict']]}."


def _difference(ours: list[float], theirs: list[float]) -> dict[str, Any]:
    difference = float(np.mean(ours) - np.mean(theirs))
    error = None
    if min(len(ours), len(theirs)) > 1:
        error = math.sqrt(
            sum(float(np.var(group, ddof=1)) / len(group) for group in (ours, theirs))
        )
    decided = error is not None and abs(difference) > 2 * error
    verdict = ("higher" if difference > 0 else "lower") if decided else "undecided"
    return {
        "difference": difference,
        "standard_error": error,
        "trainings": (len(ours), len(theirs)),
        "verdict": verdict,
    }
