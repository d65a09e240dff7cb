"""The table of the ladder of priors, and the sentences under it."""

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
    rows: list[dict[str, Any]], n: dict[str, int], evidence_rows: dict[str, int]
) -> tuple[str, ...]:
    """Returns sentences about the rows.

    Args:
        rows: the first is N(0, I), the last the aggregated posterior.
        n: number of data by split.
        evidence_rows: number of data with an evidence, by split.
    """
    normal, aggregated = rows[0], rows[-1]
    information = {
        split: plus_minus(
            *(aggregated[split]["index_information"][key] for key in ("value", "standard_error"))
        )
        for split in SPLITS
    }
    marginal_kl = number(aggregated["train"]["marginal_kl"]["value"], 3)
    generalisation = [
        number(row["train"]["elbo"]["value"] - row["test"]["elbo"]["value"])
        for row in (normal, aggregated)
    ]
    subsets = [
        f"the first {evidence_rows[split]} of {n[split]} {split} data"
        for split in SPLITS
        if evidence_rows[split] < n[split]
    ]
    return (
        (
            f"I(n; z) is {information['train']} on train and {information['test']} on test for "
            "every prior: the encoder is frozen. q(z) of a split is the mixture over its own data."
        ),
        (
            f"At K = N = {n['train']} the marginal KL on train is {marginal_kl}: "
            "the prior regularises the codes no more. From N(0, I) to there, "
            f"train ELBO less test ELBO goes from {generalisation[0]} to {generalisation[1]}."
        ),
        *(_best_prior(rows, line) for line in ("elbo", "evidence")),
        *([f"log p(x) is that of {' and of '.join(subsets)}."] if subsets else []),
        (
            "+- is the Monte Carlo standard error; all priors see the same draws. "
            "gain: test log p(x) less that under N(0, I), paired, +- over the data."
        ),
    )


def name_of(row: Row) -> str:
    """Returns the prior's name: 'vamp, learned, K = 100'."""
    return KINDS[row["kind"]] + ("" if row["components"] is None else f", K = {row['components']}")


def progress_text(row: Row) -> str:
    """Returns marginal KL and evidence of one prior, in words."""
    return "; ".join(
        f"{split}: marginal KL {number(row[split]['marginal_kl']['value'], 3)}, "
        f"log p(x) {number(row[split]['evidence']['value'], 3)}"
        for split in SPLITS
    )


def _best_prior(rows: list[dict[str, Any]], line: str) -> str:
    best = max(rows, key=lambda row: row["test"][line]["value"])
    text = (
        f"Best for the test data by {LABELS[line]}: {name_of(best)}, "
        f"{number(best['test'][line]['value'], 3)}"
    )
    if best is rows[-1]:
        return f"{text}."
    difference = best["over_aggregated"]["test"][line]
    return (
        f"{text}; over the aggregated posterior {number(difference['value'], 3, sign=True)} +- "
        f"{number(difference['standard_error'], 3)} (paired, over the data)."
    )


def _line_column(split: str, line: str) -> Column:
    return Column(
        f"{split} {LABELS[line]}",
        lambda row: plus_minus(row[split][line]["value"], row[split][line]["standard_error"]),
    )


def _gain_cell(row: Row) -> str:
    if row["kind"] == "standard_normal":
        return ""
    gain = row["gain"]["test"]["evidence"]
    return f"{number(gain['value'], sign=True)} +- {number(gain['standard_error'])}"


COLUMNS = (
    Column("prior", lambda row: KINDS[row["kind"]]),
    Column("K", lambda row: "" if row["components"] is None else str(row["components"])),
    *(_line_column(split, line) for line in LABELS for split in SPLITS),
    Column("gain", _gain_cell),
)
