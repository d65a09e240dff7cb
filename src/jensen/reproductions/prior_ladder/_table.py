"""The ladder of priors as a table, with what its figures say."""

from typing import Any

from jensen.reproductions._base import Column, Row, number, plus_minus

SPLITS = ("train", "test")
LABELS = {"marginal_kl": "marginal KL", "elbo": "ELBO", "evidence": "log p(x)"}
KINDS = {
    "standard_normal": "N(0, I)",
    "own": "the run's own prior",
    "learned": "vamp, learned",
    "fixed": "vamp, K training rows",
    "aggregated": "aggregated posterior",
}


def notes(
    rows: list[dict[str, Any]], sizes: dict[str, int], evidence_rows: dict[str, int]
) -> tuple[str, ...]:
    """What the rows say, in sentences; the first is N(0, I), the last the aggregated posterior, K = N. `sizes` and `evidence_rows`: data by split."""
    near, far = rows[0], rows[-1]
    information = [
        plus_minus(*(far[s]["index_information"][k] for k in ("value", "standard_error")))
        for s in SPLITS
    ]
    gap = [
        number(row["train"]["elbo"]["value"] - row["test"]["elbo"]["value"]) for row in (near, far)
    ]
    part = [
        f"the first {evidence_rows[s]} of {sizes[s]} {s} data"
        for s in SPLITS
        if evidence_rows[s] < sizes[s]
    ]
    return (
        f"I(n; z) is {information[0]} on train and {information[1]} on test for every prior: the encoder is frozen. "
        "q(z) of a split is the mixture over its own data.",
        f"At K = N = {sizes['train']} the marginal KL on train is {number(far['train']['marginal_kl']['value'], 3)}: the prior regularises the codes no more. "
        f"From N(0, I) to there, train ELBO less test ELBO goes from {gap[0]} to {gap[1]}.",
        *(_best(rows, line) for line in ("elbo", "evidence")),
        *([f"log p(x) is that of {' and of '.join(part)}."] if part else []),
        "+- is the Monte Carlo standard error; all priors see the same draws. gain: test log p(x) less that under N(0, I), paired, +- over the data.",
    )


def name_of(row: Row) -> str:
    """'vamp, learned, K = 100'."""
    return KINDS[row["kind"]] + ("" if row["components"] is None else f", K = {row['components']}")


def in_words(row: Row) -> str:
    """Marginal KL and evidence of one prior."""
    return "; ".join(
        f"{s}: marginal KL {number(row[s]['marginal_kl']['value'], 3)}, log p(x) {number(row[s]['evidence']['value'], 3)}"
        for s in SPLITS
    )


def _best(rows: list[dict[str, Any]], line: str) -> str:
    best = max(rows, key=lambda row: row["test"][line]["value"])
    said = f"Best for the test data by {LABELS[line]}: {name_of(best)}, {number(best['test'][line]['value'], 3)}"
    if best is rows[-1]:
        return said + "."
    against = best["over_aggregated"]["test"][line]
    return (
        said
        + f"; over the aggregated posterior {number(against['value'], 3, sign=True)} +- {number(against['standard_error'], 3)} (paired, over the data)."
    )


def _cell(split: str, line: str) -> Column:
    return Column(
        f"{split} {LABELS[line]}",
        lambda row: plus_minus(row[split][line]["value"], row[split][line]["standard_error"]),
    )


def _gain(row: Row) -> str:
    gain = row["gain"]["test"]["evidence"]
    return (
        f"{number(gain['value'], sign=True)} +- {number(gain['standard_error'])}"
        if row["kind"] != "standard_normal"
        else ""
    )


COLUMNS = (
    Column("prior", lambda row: KINDS[row["kind"]]),
    Column("K", lambda row: "" if row["components"] is None else str(row["components"])),
    *(_cell(split, line) for line in LABELS for split in SPLITS),
    Column("gain", _gain),
)
