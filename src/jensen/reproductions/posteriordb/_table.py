"""The table of posteriordb, the comparison of speed, and the sentences under the table."""

import statistics
from typing import Any

from jensen.reproductions._base import Column, Row, bounded_below, number, plus_minus

VERDICTS = {
    "passes": "within the tolerances, and trusted",
    "warned": "outside the tolerances, and says that it is not to be trusted",
    "over-cautious": "within the tolerances, and says that it is not to be trusted",
    "SILENT FAILURE": "outside the tolerances, and says nothing",
}
FAMILIES = ("mean_field", "full_rank")
# The guide of NumPyro that is the same family.
GUIDES = {"mean_field": "AutoNormal", "full_rank": "AutoMultivariateNormal"}
REACHED = 0.1  # nats below our ELBO at which NumPyro has reached it


def notes(rows: list[dict[str, Any]], settings: str) -> tuple[str, ...]:
    """Returns sentences about the rows, and what a reader of the table has to know.

    Args:
        rows: of the table.
        settings: a sentence about the settings of the fits.
    """
    judged = [row for row in rows if row["status"] == "done" and "verdict" in row]
    verdicts = {row["verdict"] for row in judged}
    return (
        *_verdict_counts(judged),
        *_speed_notes(rows),
        (
            "error: max |mean error| in reference sds; sd ratio: smallest and largest, of the "
            "parameters as posteriordb names them. Passing: error <= .05, ratios in .95-1.05."
        ),
        (
            "both, reweighted: the same of the draws with their smoothed importance weights; k-hat "
            "speaks of these, and only indirectly of q's own moments."
        ),
        (
            "smallest / predicted: the smallest sd ratio on the unconstrained space, beside that "
            "of the best mean-field normal by the reference's correlations."
        ),
        (
            "evidence is that of the density with normalised priors; '-' where a flat prior leaves "
            "it undefined. Stan's: that of the density of the Stan program."
        ),
        (
            "trusted: ours by its own verdict; NumPyro's by its stopping rule and by k-hat of its "
            "fresh draws, which it does not look at by itself."
        ),
        (
            "seconds: until q was found; measured: with what is measured of it on fresh draws. "
            "Compilation included."
        ),
        settings,
        *(f"{verdict}: {meaning}." for verdict, meaning in VERDICTS.items() if verdict in verdicts),
    )


def progress_text(row: Row) -> str:
    """Returns ELBO and k-hat of a fit, or why it failed."""
    if row["status"] != "done":
        return row["message"]
    # JSON lacks infinity: a stored k-hat of None was infinite.
    return f"ELBO {row['elbo']:.3f}, k-hat {row['pareto_k'] or float('inf'):.2f}"


def seconds_to(elbo: float, row: Row) -> float | None:
    """Returns when the mean ELBO of a window of steps first came within REACHED nats of `elbo`.

    None when it never did.

    seconds_to(-195.0, row)
    """
    return next((seconds for seconds, mean, _ in row["trace"] if mean >= elbo - REACHED), None)


def compare_speed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compares seconds for each posterior and family that jensen and NumPyro both fitted.

    Returns:
        For each 'ours', the seconds until q was found; 'ours_measured', with all measurements of
        it; 'theirs', NumPyro's until it reached our ELBO (None: never); 'theirs_at_least', the
        same or the time of all its steps; and the ratios of the last to the first two.

        compare_speed(rows)[0]["ratio"]
    """
    done = {(row["posterior"], row["method"]): row for row in rows if row["status"] == "done"}
    comparisons = []
    for (posterior, method), ours in done.items():
        theirs = done.get((posterior, GUIDES.get(method, "")))
        if theirs is None:
            continue
        reached = seconds_to(ours["elbo"], theirs)
        # If NumPyro never reached our ELBO, it needs at least the time that it was given.
        at_least = reached if reached is not None else theirs["trace"][-1][0]
        comparisons.append(
            {
                "posterior": posterior,
                "family": method,
                "ours": ours["seconds_fitting"],
                "ours_measured": ours["seconds"],
                "theirs": reached,
                "theirs_at_least": at_least,
                "ratio": at_least / ours["seconds_fitting"],
                "ratio_measured": at_least / ours["seconds"],
            }
        )
    return comparisons


def _verdict_counts(judged: list[dict[str, Any]]) -> list[str]:
    lines = []
    for method in (*FAMILIES, *GUIDES.values()):
        verdicts = [row["verdict"] for row in judged if row["method"] == method]
        if verdicts:
            counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in VERDICTS)
            number_of = f"{len(verdicts)} posteriors with reference draws"
            lines.append(f"{method}, {number_of}: {counts}.")
    return lines


def _speed_notes(rows: list[dict[str, Any]]) -> list[str]:
    comparisons = compare_speed(rows)
    lines = []
    for family in FAMILIES:
        of_family = [speed for speed in comparisons if speed["family"] == family]
        if not of_family:
            continue
        ratio = statistics.median(speed["ratio"] for speed in of_family)
        ratio_measured = statistics.median(speed["ratio_measured"] for speed in of_family)
        never = sum(speed["theirs"] is None for speed in of_family)
        lines.append(
            f"{family}: to our ELBO NumPyro's {GUIDES[family]} takes {ratio:.1f} times as long as "
            f"we (median of {len(of_family)}; within {REACHED} nats, compilation included on both "
            f"sides), {ratio_measured:.1f} times with all that we measure of it afterwards; "
            f"{never} never reach it and count with the time of all steps that they were given."
        )
    return lines


def _sd_ratio_cell(row: Row) -> str:
    return _range_text(row["sd_ratios"]) if "sd_ratios" in row else ""


def _weighted_cell(row: Row) -> str:
    if "weighted_sd_ratios" not in row:
        return ""
    error = number(row["weighted_mean_error"], 3)
    return f"{error}, {_range_text(row['weighted_sd_ratios'])}"


def _predicted_cell(row: Row) -> str:
    if "predicted_sd_ratio" not in row or row["method"] not in ("mean_field", "AutoNormal"):
        return ""
    return f"{number(row['unconstrained_sd_ratio'], 3)} / {number(row['predicted_sd_ratio'], 3)}"


def _evidence_cell(row: Row, key: str) -> str:
    if row["status"] != "done":
        return ""
    return "-" if row[key] is None else bounded_below(row[key], row["evidence_error"], 3)


def _remarks_cell(row: Row) -> str:
    if row["status"] != "done":
        return f"{row['status']}: {row['message']}"
    trusted = "trusted" if row["trusted"] else "not trusted"
    text = row.get("verdict", f"no reference draws, {trusted}")
    return text if row["converged"] else f"{text}; {row['outcome']}"


def _range_text(ratios: list[float]) -> str:
    return "-".join(number(ratio) for ratio in ratios)


COLUMNS = (
    Column("posterior", lambda row: row["posterior"]),
    Column("method", lambda row: row["method"]),
    Column("error", lambda row: number(row.get("largest_mean_error"), 3)),
    Column("sd ratio", _sd_ratio_cell),
    Column("both, reweighted", _weighted_cell),
    Column("smallest / predicted", _predicted_cell),
    Column("k-hat", lambda row: number(row.get("pareto_k"))),
    Column("ELBO", lambda row: plus_minus(row.get("elbo"), row.get("elbo_error"), 3)),
    Column("evidence", lambda row: _evidence_cell(row, "evidence")),
    Column("Stan's", lambda row: _evidence_cell(row, "stan_evidence")),
    Column("evaluations", lambda row: f"{row['evaluations']:,}" if "evaluations" in row else ""),
    Column("seconds", lambda row: number(row.get("seconds_fitting"), 1)),
    Column("measured", lambda row: number(row.get("seconds"), 1)),
    Column("", _remarks_cell),
)
