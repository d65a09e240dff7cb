"""The table of the divergences, the sentences under it, and the contents of the page."""

from typing import Any

from jensen.reproductions._base import Column, Row, bounded_below, number, plus_minus
from jensen.reproductions.divergences._divergences import IWAE_SAMPLES
from jensen.reproductions.divergences._targets import RHO, TARGETS

TITLE = "The choice of f, and of the family"
NARROW, WIDE = 0.95, 1.05  # sd ratios below are too narrow, above too wide


def notes(rows: list[dict[str, Any]], settings: str) -> tuple[str, ...]:
    """Returns sentences about the rows, and what a reader of the table has to know.

    Args:
        rows: of the table.
        settings: a sentence about the settings of the fits.
    """
    done = [row for row in rows if row["status"] == "done"]
    failed = [row for row in rows if row["status"] != "done"]
    not_converged = [name_of(row) for row in done if not row["converged"]]
    sentences = [
        _two_normals_note(done),
        *(_target_note(done, target) for target in TARGETS if target != "two_normals"),
        _infinite_divergence_note(done),
    ]
    return (
        *(sentence for sentence in sentences if sentence),
        (
            "Not converged, their figures are those where they stopped: "
            f"{'; '.join(not_converged) or 'none'}."
        ),
        *(f"Failed: {name_of(row)}: {row['message']}" for row in failed),
        (
            "Mean error: the larger of two, in sds of the target; sd ratio: q's sd over the "
            "target's, of both coordinates that are drawn. Evidence: by importance sampling with "
            "q; log Z: the truth. k-hat above .7: q is no proposal for this target. Verdict: the "
            "fit's own, its first word (Biased: the weights are good, and move q's moments)."
        ),
        settings,
    )


def page(rows: list[dict[str, Any]], texts: tuple[str, ...]) -> dict[str, Any]:
    """Returns the contents of the page beside the pictures.

    Args:
        rows: of the table.
        texts: the notes under it; those about targets go to the sections.

    Returns:
        'title', 'notes', and two sections, 'two_normals' and 'targets', each a mapping of
        'title', 'paragraphs', 'caption', 'headings' and 'lines' (the cells of the table).
    """
    two_normals = [row for row in rows if row["target"] == "two_normals"]
    others = [row for row in rows if row["target"] != "two_normals"]
    starts = tuple(f"{_capitalised(name)}," for name in TARGETS if name != "two_normals")
    about_two_normals = [text for text in texts if text.startswith("Two normals")]
    about_others = [text for text in texts if text.startswith(starts)]
    return {
        "title": TITLE,
        "notes": [text for text in texts if text not in about_two_normals + about_others],
        "two_normals": _section(
            "Two normals",
            about_two_normals,
            "Shaded: the target, within 1 and 2 sd. "
            "Lines: q at 1 and 2 sd, from the narrowest to the widest.",
            {"target", "family", "mean error", "sd ratio"},
            two_normals,
        ),
        "targets": _section(
            "Three targets",
            about_others,
            "Shaded: the target, where it is densest, as much of it as lies within 1 and 2 sd "
            "of a normal. Lines: q at 1 and 2 sd.",
            {"variance", "exact", "difference"},
            others,
        ),
    }


def name_of(row: Row) -> str:
    """Returns the name of a fit: 'banana, full rank, eubo'."""
    return f"{_spaced(row['target'])}, {_spaced(row['family'])}, {row['divergence']}"


def progress_text(row: Row) -> str:
    """Returns the ELBO and the verdict of a fit, or why it failed."""
    if row["status"] != "done":
        return row["message"]
    return f"ELBO {row['elbo']:.3f}, {_verdict_word(row)}"


def width(row: Row) -> str:
    """Returns 'too narrow', 'too wide', 'both' or 'right', by the sd ratios.

    width({"sd_ratios": [0.5, 1.0]})  # 'too narrow'
    """
    low, high = min(row["sd_ratios"]), max(row["sd_ratios"])
    if low < NARROW:
        return "too narrow" if high <= WIDE else "both"
    return "too wide" if high > WIDE else "right"


def mean_variance(row: Row) -> float:
    """Returns the mean of the two fitted variances."""
    return (row["covariance"][0][0] + row["covariance"][1][1]) / 2


def _section(
    title: str,
    paragraphs: list[str],
    caption: str,
    hidden_columns: set[str],
    rows: list[dict[str, Any]],
) -> dict[str, Any]:
    columns = [column for column in COLUMNS if column.heading not in hidden_columns]
    return {
        "title": title,
        "paragraphs": paragraphs,
        "caption": caption,
        "headings": [column.heading for column in columns],
        "lines": [[column.cell(row) for column in columns] for row in rows],
    }


def _two_normals_note(done: list[dict[str, Any]]) -> str:
    rows = [row for row in done if "best_variance" in row]
    if not rows:
        return ""
    rows = sorted(rows, key=lambda row: row["best_variance"])
    variances = ", ".join(
        f"{row['divergence']} {mean_variance(row):.3f} ({row['best_variance']:.3f})" for row in rows
    )
    return (
        f"Two normals, correlation {RHO}, variance 1: the mean-field variance, with the exact "
        f"minimiser in brackets, goes from below {1 - RHO**2:.2f} = 1/L_ii (reverse KL) through "
        f"1 = S_ii (forward KL) to more than 1: {variances}. Every symmetric f (Hellinger, "
        "Jensen-Shannon, Renyi 1/2) has the same minimiser, sqrt(1 - rho^2), in the limit; the "
        "f_divergence bound of 250 draws has another, for E log Z_K comes to its f, and that "
        "wants weights without tails, as iwae does."
    )


def _target_note(done: list[dict[str, Any]], target: str) -> str:
    rows = [row for row in done if row["target"] == target and row["converged"]]
    if not rows:
        return ""
    labels = {
        "too narrow": "too narrow",
        "both": "narrow in one direction and wide in the other",
        "right": "right",
        "too wide": "too wide",
    }
    widths = []
    for kind, label in labels.items():
        fits = [_fit_name(row) for row in rows if width(row) == kind]
        if fits:
            widths.append(f"{label}: {', '.join(fits)}")
    lowest, highest = (extreme(rows, key=lambda row: row["evidence"]) for extreme in (min, max))
    return (
        f"{_capitalised(target)}, of the fits that converged: {'; '.join(widths)}. "
        f"log Z is {rows[0]['log_z']:.3f}; by importance sampling it comes out from "
        f"{lowest['evidence']:.3f} ({lowest['divergence']}, {_spaced(lowest['family'])}) to "
        f"{highest['evidence']:.3f} ({highest['divergence']}, {_spaced(highest['family'])})."
    )


def _infinite_divergence_note(done: list[dict[str, Any]]) -> str:
    targets = list(dict.fromkeys(_spaced(row["target"]) for row in done if row["infinite"]))
    if not targets:
        return ""
    return (
        f"On {' and '.join(targets)} the chi^2 divergence from every normal is infinite (their "
        "tails are heavier): cubo has nothing to converge to there, and what its finite draws "
        "settle on, converged or not, depends on their number. k-hat sees only the tails that "
        "its draws reach, and may stay below .5."
    )


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _capitalised(name: str) -> str:
    return _spaced(name).capitalize()


def _fit_name(row: Row) -> str:
    return f"{row['divergence']} ({_spaced(row['family'])})"


def _verdict_word(row: Row) -> str:
    return row["verdict"].partition(":")[0]


def _variance_cell(row: Row) -> str:
    if "best_variance" not in row:
        return ""
    return plus_minus(mean_variance(row), row["variance_error"], 4)


def _difference_cell(row: Row) -> str:
    if "best_variance" not in row:
        return ""
    return number(mean_variance(row) - row["best_variance"], 4, sign=True)


def _verdict_cell(row: Row) -> str:
    if row["status"] != "done":
        return f"{row['status']}: {row['message']}"
    return f"{_verdict_word(row)}{'; chi^2 is infinite' if row['infinite'] else ''}"


def _divergence_cell(row: Row) -> str:
    return row["divergence"] + (f" (K = {IWAE_SAMPLES})" if row["divergence"] == "iwae" else "")


COLUMNS = (
    Column("target", lambda row: _spaced(row["target"])),
    Column("family", lambda row: _spaced(row["family"])),
    Column("f", _divergence_cell),
    Column("ELBO", lambda row: plus_minus(row.get("elbo"), row.get("elbo_error"), 3)),
    Column(
        "evidence", lambda row: bounded_below(row.get("evidence"), row.get("evidence_error"), 3)
    ),
    Column("log Z", lambda row: number(row.get("log_z"), 3)),
    Column("k-hat", lambda row: number(row.get("pareto_k"))),
    Column("mean error", lambda row: number(row.get("mean_error"), 3)),
    Column("sd ratio", lambda row: ", ".join(number(sd) for sd in row.get("sd_ratios", ()))),
    Column("variance", _variance_cell),
    Column("exact", lambda row: number(row.get("best_variance"), 4)),
    Column("difference", _difference_cell),
    Column("evaluations", lambda row: f"{row['evaluations']:,}" if "evaluations" in row else ""),
    Column("seconds", lambda row: number(row.get("seconds"), 1)),
    Column("verdict", _verdict_cell),
)
