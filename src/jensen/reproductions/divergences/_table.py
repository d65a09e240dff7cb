"""The table of the divergences, and what its rows say together."""

from typing import Any

from jensen.reproductions._base import Column, Row, number, plus_minus
from jensen.reproductions._divergences._choices import IWAE_SAMPLES
from jensen.reproductions._divergences._targets import RHO, TARGETS

TITLE = "The choice of f, and of the family"
NARROW, WIDE = 0.95, 1.05  # sd ratios outside are said to be too narrow, or too wide


def notes(rows: list[dict[str, Any]], settings: str) -> tuple[str, ...]:
    """What the rows say, in sentences, and what a reader of the table has to know."""
    done = [r for r in rows if r["status"] == "done"]
    not_converged = [name_of(r) for r in done if not r["converged"]]
    said = [
        _two_normals(done),
        *(_of_target(done, target) for target in TARGETS if target != "two_normals"),
        _infinite(done),
    ]
    return (
        *(sentence for sentence in said if sentence),
        f"Not converged, their figures are those where they stopped: {'; '.join(not_converged) or 'none'}.",
        *(f"Failed: {name_of(r)}: {r['message']}" for r in rows if r["status"] != "done"),
        "Mean error: the larger of two, in sds of the target; sd ratio: q's sd over the target's, of both coordinates that are drawn. Evidence: by importance "
        "sampling with q; log Z: the truth. k-hat above .7: q is no proposal for this target. Verdict: the fit's own, its "
        "first word (Biased: the weights are good, and move q's moments).",
        settings,
    )


def page(rows: list[dict[str, Any]], said: tuple[str, ...]) -> dict[str, Any]:
    """What the page shows beside the pictures: for the two normals and for the other targets a title, sentences, and the table's cells; and the notes."""
    two, others = (
        [r for r in rows if (r["target"] == "two_normals") is wanted] for wanted in (True, False)
    )
    exact = {"variance", "exact", "difference"}
    about_two = tuple(
        c for c in COLUMNS if c.heading not in {"target", "family", "mean error", "sd ratio"}
    )
    about_others = tuple(c for c in COLUMNS if c.heading not in exact)
    drawn = (
        "Shaded: the target, within 1 and 2 sd. Lines: q at 1 and 2 sd, from the narrowest to the widest.",
        "Shaded: the target, where it is densest, as much of it as lies within 1 and 2 sd of a normal. Lines: q at 1 and 2 sd.",
    )
    first = [note for note in said if note.startswith("Two normals")]
    rest = [
        note
        for note in said
        if note.startswith(
            tuple(t.replace("_", " ").capitalize() + "," for t in TARGETS if t != "two_normals")
        )
    ]
    sections = {
        "two_normals": _section("Two normals", first, drawn[0], about_two, two),
        "targets": _section("Three targets", rest, drawn[1], about_others, others),
    }
    return {
        "title": TITLE,
        "notes": [note for note in said if note not in first + rest],
        **sections,
    }


def _section(
    title: str,
    said: list[str],
    caption: str,
    columns: tuple[Column, ...],
    rows: list[dict[str, Any]],
) -> dict[str, Any]:
    lines = [[c.cell(row) for c in columns] for row in rows]
    return {
        "title": title,
        "said": said,
        "caption": caption,
        "headings": [c.heading for c in columns],
        "lines": lines,
    }


def name_of(row: Row) -> str:
    """'banana, full_rank, eubo'."""
    return (
        f"{row['target'].replace('_', ' ')}, {row['family'].replace('_', ' ')}, {row['divergence']}"
    )


def width(row: Row) -> str:
    """'too narrow', 'too wide', 'both' or 'right', by the sd ratios.

    width({"sd_ratios": [0.5, 1.0]})  # 'too narrow'
    """
    low, high = min(row["sd_ratios"]), max(row["sd_ratios"])
    if low < NARROW:
        return "too narrow" if high <= WIDE else "both"
    return "too wide" if high > WIDE else "right"


def _two_normals(done: list[dict[str, Any]]) -> str:
    rows = [r for r in done if "best_variance" in r]
    if not rows:
        return ""
    ordered = sorted(rows, key=lambda r: r["best_variance"])
    said = ", ".join(
        f"{r['divergence']} {variance(r):.3f} ({r['best_variance']:.3f})" for r in ordered
    )
    return (
        f"Two normals, correlation {RHO}, variance 1: the mean-field variance, with the exact minimiser in brackets, goes from below {1 - RHO**2:.2f} = "
        f"1/L_ii (reverse KL) through 1 = S_ii (forward KL) to more than 1: {said}. Every symmetric f (Hellinger, Jensen-Shannon, Renyi 1/2) has the same "
        "minimiser, sqrt(1 - rho^2), in the limit; the f_divergence bound of 250 draws has another, for E log Z_K comes to its f, and that "
        "wants weights without tails, as iwae does."
    )


def _of_target(done: list[dict[str, Any]], target: str) -> str:
    rows = [r for r in done if r["target"] == target and r["converged"]]
    if not rows:
        return ""
    parts = []
    for kind in ("too narrow", "both", "right", "too wide"):
        named = [f"{r['divergence']} ({_family(r)})" for r in rows if width(r) == kind]
        if named:
            parts.append(
                f"{'narrow in one direction and wide in the other' if kind == 'both' else kind}: {', '.join(named)}"
            )
    low, high = (choose(rows, key=lambda r: r["evidence"]) for choose in (min, max))
    return (
        f"{target.replace('_', ' ').capitalize()}, of the fits that converged: {'; '.join(parts)}. log Z is {rows[0]['log_z']:.3f}; by importance sampling it "
        f"comes out from {low['evidence']:.3f} ({low['divergence']}, {_family(low)}) to {high['evidence']:.3f} ({high['divergence']}, {_family(high)})."
    )


def _infinite(done: list[dict[str, Any]]) -> str:
    named = list(dict.fromkeys(r["target"].replace("_", " ") for r in done if r["infinite"]))
    if not named:
        return ""
    return (
        f"On {' and '.join(named)} the chi^2 divergence from every normal is infinite (their tails are heavier): cubo has nothing to converge to there, and "
        "what its finite draws settle on, converged or not, depends on their number. k-hat sees only the tails that its draws reach, and may stay below .5."
    )


def _family(row: Row) -> str:
    return row["family"].replace("_", " ")


def variance(row: Row) -> float:
    """The mean of the two fitted variances."""
    return (row["covariance"][0][0] + row["covariance"][1][1]) / 2


def _variance(row: Row) -> str:
    return plus_minus(variance(row), row["variance_error"], 4) if "best_variance" in row else ""


def _difference(row: Row) -> str:
    return (
        number(variance(row) - row["best_variance"], 4, sign=True) if "best_variance" in row else ""
    )


def _last(row: Row) -> str:
    if row["status"] != "done":
        return f"{row['status']}: {row['message']}"
    said = row["verdict"].partition(":")[0]
    return f"{said}{'; chi^2 is infinite' if row['infinite'] else ''}"


def _label(row: Row) -> str:
    return row["divergence"] + (f" (K = {IWAE_SAMPLES})" if row["divergence"] == "iwae" else "")


COLUMNS = (
    Column("target", lambda r: r["target"].replace("_", " ")),
    Column("family", _family),
    Column("f", _label),
    Column("ELBO", lambda r: plus_minus(r.get("elbo"), r.get("elbo_error"), 3)),
    Column("evidence", lambda r: plus_minus(r.get("evidence"), r.get("evidence_error"), 3)),
    Column("log Z", lambda r: number(r.get("log_z"), 3)),
    Column("k-hat", lambda r: number(r.get("pareto_k"))),
    Column("mean error", lambda r: number(r.get("mean_error"), 3)),
    Column("sd ratio", lambda r: ", ".join(number(s) for s in r.get("sd_ratios", ()))),
    Column("variance", _variance),
    Column("exact", lambda r: number(r.get("best_variance"), 4)),
    Column("difference", _difference),
    Column("evaluations", lambda r: f"{r['evaluations']:,}" if "evaluations" in r else ""),
    Column("seconds", lambda r: number(r.get("seconds"), 1)),
    Column("verdict", _last),
)
