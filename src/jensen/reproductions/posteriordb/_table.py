"""The table of posteriordb: what is measured of a fit against the reference draws, its columns, and what the rows say together."""

from typing import Any

from jensen.reproductions._base import Column, Row, number, plus_minus

VERDICTS = {
    "passes": "within the tolerances, and trusted",
    "warned": "outside the tolerances, and says that it is not to be trusted",
    "over-cautious": "within the tolerances, and says that it is not to be trusted",
    "SILENT FAILURE": "outside the tolerances, and says nothing",
}
OURS = ("mean_field", "full_rank")
GUIDES = {"mean_field": "AutoNormal", "full_rank": "AutoMultivariateNormal"}
REACHED = 0.1


def measure(posterior: Any, fitted: Any, reference: Any, density: Any) -> dict[str, Any]:
    """A fit against reference draws [chains, draws, *shape] by name, or None: plain values.

    measure(posterior, fit_svi(posterior, "AutoNormal", seed=0), reference, UnconstrainedDensity(posterior))
    """
    import numpy as np

    from jensen.reproductions._posteriors._agreement import agreement, moments, predicted_sd_ratio

    row: dict[str, Any] = {
        **{
            k: getattr(fitted, k)
            for k in (
                "elbo",
                "elbo_error",
                "evidence",
                "evidence_error",
                "evaluations",
                "outcome",
                "converged",
                "trusted",
            )
        },
        "pareto_k": fitted.pareto_k,
        "stan_evidence": None
        if fitted.evidence is None
        else fitted.evidence + posterior.stan_offset,
        "seconds": round(fitted.seconds, 3),
        "seconds_fitting": round(fitted.seconds_fitting, 3),
        "trace": [list(point) for point in fitted.trace],
        "warnings": list(fitted.warnings),
    }
    if reference is None:
        return row
    sites = {name: fitted.draws[name] for name in density.sites}
    named = posterior.coordinates.to_named(sites)
    found = agreement(*moments(named), reference)
    if fitted.weights is not None:
        weighted = agreement(*moments(named, fitted.weights), reference)
        row["weighted_mean_error"] = weighted.largest_mean_error
        row["weighted_sd_ratios"] = [
            float(weighted.sd_ratios.min()),
            float(weighted.sd_ratios.max()),
        ]
    theirs = density.unconstrain({k: v.reshape(-1, *v.shape[2:]) for k, v in reference.items()})
    ratios = density.unconstrain(named).std(axis=0, ddof=1) / theirs.std(axis=0, ddof=1)
    return row | {
        "largest_mean_error": found.largest_mean_error,
        "worst_parameter": found.labels[int(np.argmax(np.abs(found.mean_errors)))],
        "sd_ratios": [float(found.sd_ratios.min()), float(found.sd_ratios.max())],
        "unconstrained_sd_ratio": float(ratios.min()),
        "predicted_sd_ratio": float(predicted_sd_ratio(theirs).min()),
        "verdict": verdict(found.passes, trusted=fitted.trusted),
    }


def verdict(passes: bool, *, trusted: bool) -> str:
    """Which of VERDICTS a fit is.

    verdict(False, trusted=True)  # 'SILENT FAILURE'
    """
    if passes:
        return "passes" if trusted else "over-cautious"
    return "SILENT FAILURE" if trusted else "warned"


def seconds_to(target: float, row: Row) -> float | None:
    """When the mean ELBO of a window of steps was first within REACHED nats of `target`, or above; None: never.

    seconds_to(-195.0, row)
    """
    return next((seconds for seconds, elbo, _ in row["trace"] if elbo >= target - REACHED), None)


def compare_speed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each posterior and family that both sides have: our seconds until q was found and with all that is measured of it, NumPyro's to our ELBO, and how
    often ours go into them.

    compare_speed(rows)[0]["ratio"]
    """
    done = {(r["posterior"], r["method"]): r for r in rows if r["status"] == "done"}
    found = []
    for (posterior, method), ours in done.items():
        theirs = done.get((posterior, GUIDES.get(method, "")))
        if theirs is not None:
            reached = seconds_to(ours["elbo"], theirs)
            # Where NumPyro never came to our ELBO, the time that it was given is the least that it would take.
            least = reached if reached is not None else theirs["trace"][-1][0]
            figures = {
                "ours": ours["seconds_fitting"],
                "ours_measured": ours["seconds"],
                "theirs": reached,
                "theirs_at_least": least,
            }
            ratios = {
                "ratio": least / ours["seconds_fitting"],
                "ratio_measured": least / ours["seconds"],
            }
            found.append({"posterior": posterior, "family": method, **figures, **ratios})
    return found


def notes(rows: list[dict[str, Any]], settings: str) -> tuple[str, ...]:
    """What a reader of the table has to know."""
    import statistics

    judged = [r for r in rows if r["status"] == "done" and "verdict" in r]
    lines = []
    for method in (*OURS, *GUIDES.values()):
        of_method = [r for r in judged if r["method"] == method]
        if of_method:
            counts = ", ".join(f"{sum(r['verdict'] == v for r in of_method)} {v}" for v in VERDICTS)
            lines.append(f"{method}, {len(of_method)} posteriors with reference draws: {counts}.")
    speed = compare_speed(rows)
    for family in OURS:
        ratios = [s["ratio"] for s in speed if s["family"] == family]
        if ratios:
            never = sum(s["theirs"] is None for s in speed if s["family"] == family)
            measured = statistics.median(
                s["ratio_measured"] for s in speed if s["family"] == family
            )
            lines.append(
                f"{family}: to our ELBO NumPyro's {GUIDES[family]} takes {statistics.median(ratios):.1f} times as long as we (median of {len(ratios)}; within "
                f"{REACHED} nats, compilation included on both sides), {measured:.1f} times with all that we measure of it afterwards; {never} never reach it "
                "and count with the time of all steps that they were given."
            )
    return (
        *lines,
        "error: max |mean error| in reference sds; sd ratio: smallest and largest, of the parameters as posteriordb names them. Passing: error <= .05, "
        "ratios in .95-1.05.",
        "both, reweighted: the same of the draws with their smoothed importance weights; k-hat speaks of these, and only indirectly of q's own moments.",
        "smallest / predicted: the smallest sd ratio on the unconstrained space, beside that of the best mean-field normal by the reference's correlations.",
        "evidence is that of the density with normalised priors; '-' where a flat prior leaves it undefined. Stan's: that of the density of the Stan program.",
        "trusted: ours by its own verdict; NumPyro's by its stopping rule and by k-hat of its fresh draws, which it does not look at by itself.",
        "seconds: until q was found; measured: with what is measured of it on fresh draws. Compilation included.",
        settings,
        *(
            f"{v}: {meaning}."
            for v, meaning in VERDICTS.items()
            if any(r["verdict"] == v for r in judged)
        ),
    )


def _ratios(row: Row) -> str:
    return "-".join(number(r) for r in row["sd_ratios"]) if "sd_ratios" in row else ""


def _weighted(row: Row) -> str:
    return (
        f"{number(row['weighted_mean_error'], 3)}, {'-'.join(number(r) for r in row['weighted_sd_ratios'])}"
        if "weighted_sd_ratios" in row
        else ""
    )


def _predicted(row: Row) -> str:
    if "predicted_sd_ratio" not in row or row["method"] not in ("mean_field", "AutoNormal"):
        return ""
    return f"{number(row['unconstrained_sd_ratio'], 3)} / {number(row['predicted_sd_ratio'], 3)}"


def _evidence(row: Row, key: str) -> str:
    if row["status"] != "done":
        return ""
    return "-" if row[key] is None else plus_minus(row[key], row["evidence_error"], 3)


def _last(row: Row) -> str:
    if row["status"] != "done":
        return f"{row['status']}: {row['message']}"
    said = [
        row["verdict"]
        if "verdict" in row
        else f"no reference draws, {'trusted' if row['trusted'] else 'not trusted'}"
    ]
    return "; ".join([*said, *([] if row["converged"] else [row["outcome"]])])


COLUMNS = (
    Column("posterior", lambda r: r["posterior"]),
    Column("method", lambda r: r["method"]),
    Column("error", lambda r: number(r.get("largest_mean_error"), 3)),
    Column("sd ratio", _ratios),
    Column("both, reweighted", _weighted),
    Column("smallest / predicted", _predicted),
    Column("k-hat", lambda r: number(r.get("pareto_k"))),
    Column("ELBO", lambda r: plus_minus(r.get("elbo"), r.get("elbo_error"), 3)),
    Column("evidence", lambda r: _evidence(r, "evidence")),
    Column("Stan's", lambda r: _evidence(r, "stan_evidence")),
    Column("evaluations", lambda r: f"{r['evaluations']:,}" if "evaluations" in r else ""),
    Column("seconds", lambda r: number(r.get("seconds_fitting"), 1)),
    Column("measured", lambda r: number(r.get("seconds"), 1)),
    Column("", _last),
)
