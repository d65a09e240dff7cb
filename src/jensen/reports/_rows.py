"""The account as rows of a table: what each line is, and the remedy that addresses it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jensen.anatomy import Account
from jensen.anatomy._lines import OF_Q_Z, PARTS, bound_of_difference
from jensen.anatomy.gaps import SUBSET_GAP

# name, label, depth, what it is, what addresses it
LINES = (
    (
        "evidence",
        "log p(x)",
        0,
        "Evidence: how probable the model makes a datum, estimated by importance sampling, whose "
        "expectation lies at or below it.",
        "",
    ),
    (
        "jensen_gap",
        "\N{MINUS SIGN} Jensen gap",
        1,
        "What the bound loses because q(z|x) is not the true posterior: KL(q || posterior).",
        "A richer posterior, a larger encoder, or a tighter bound (--bound iwae --num-samples 10).",
    ),
    (
        SUBSET_GAP,
        "the Jensen gap of a subset",
        2,
        "The Jensen gap of the data on which it is split: its two parts sum to this one.",
        "",
    ),
    (
        "approximation_gap",
        "\N{MINUS SIGN} approximation gap",
        2,
        "What the best posterior of the family for each datum leaves.",
        "A richer posterior (--set encoder.name=full_normal, or flow).",
    ),
    (
        "amortisation_gap",
        "\N{MINUS SIGN} amortisation gap",
        2,
        "By how much the encoder misses that best posterior.",
        "A better encoder: a larger network, longer training.",
    ),
    ("elbo", "= ELBO", 0, "Evidence lower bound, at beta = 1: what training raises.", ""),
    (
        "reconstruction",
        "reconstruction",
        1,
        "How well the decoder describes a datum from its own code: E log p(x|z) under q(z|x).",
        "A better decoder or likelihood; more latent dimensions if all are active.",
    ),
    (
        "average_kl",
        "\N{MINUS SIGN} average KL",
        1,
        "What the code costs: I(n; z) + marginal KL.",
        "If near 0, the code is not used: see I(n; z).",
    ),
    (
        "index_information",
        "\N{MINUS SIGN} I(n; z)",
        2,
        "What the code tells about which datum it came from.",
        "A price to pay, not a loss. If near 0: a KL warm-up (--warm-up 50), a smaller --beta, or "
        "a weaker decoder.",
    ),
    (
        "marginal_kl",
        "\N{MINUS SIGN} marginal KL",
        2,
        "How far all codes together, q(z), are from the prior: KL(q(z) || p(z)).",
        "A better prior (--prior vamp, --prior mixture).",
    ),
    (
        "total_correlation",
        "\N{MINUS SIGN} total correlation",
        3,
        "How far the dimensions of q(z) are from being independent: KL(q(z) || product of its "
        "marginals).",
        "A prior whose dimensions depend on each other (--prior vamp).",
    ),
    (
        "dimension_wise_kl",
        "\N{MINUS SIGN} dimension-wise KL",
        3,
        "How far each dimension of q(z) by itself is from the prior's: the sum of KL(q(z_j) || "
        "p(z_j)).",
        "Other means, scales or shapes, dimension by dimension; any learned prior.",
    ),
    (
        "expected_energy",
        "\N{MINUS SIGN} expected energy",
        1,
        "The other way to split the ELBO: energy is \N{MINUS SIGN}E log p(x, z) under q(z|x).",
        "",
    ),
    ("entropy", "+ entropy", 1, "How spread out q(z|x) is: with the energy it makes the ELBO.", ""),
)


@dataclass(frozen=True)
class Beside:
    """The same line on another split, and main minus other with the error of two samples of data.

    There is no difference where q(z) is over other numbers of data.
    """

    value: float
    standard_error: float
    difference: float | None
    difference_error: float
    bound: str = ""
    difference_bound: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table, nats per datum, and the same line of other accounts beside it.

    None stands where another account lacks the line.
    """

    name: str
    label: str
    depth: int
    value: float
    standard_error: float
    data_error: float
    beside: tuple[Beside | None, ...]
    meaning: str
    remedy: str
    bound: str = ""


def account_rows(accounts: Mapping[str, Account]) -> list[Row]:
    """The rows of the first account, every other one beside it."""
    main, *others = accounts.values()
    rows = []
    for name, label, depth, meaning, remedy in _lines_of(main):
        line = main.line(name)
        beside = tuple(_beside(main, other, name) for other in others)
        if name == "index_information":
            meaning += f" At most {main.ceiling}."
        if main.gaps is not None and name in main.gaps.lines:
            meaning += f" Best of the {main.gaps.where}."
        rows.append(
            Row(
                name,
                label,
                depth,
                line.value,
                line.standard_error,
                line.data_error,
                beside,
                meaning,
                remedy,
                line.bound,
            )
        )
    return rows


def _beside(main: Account, other: Account, name: str) -> Beside | None:
    # The gap that is split, where the other account splits that of all its data, is its Jensen gap.
    of_gaps = () if other.gaps is None else (*other.gaps.lines, SUBSET_GAP)
    if name not in other.lines and name not in of_gaps:
        return None
    line, o = main.line(name), other.line(name)
    comparable = name not in OF_Q_Z or (main.aggregated_over or main.n) == (
        other.aggregated_over or other.n
    )
    return Beside(
        o.value,
        o.standard_error,
        line.value - o.value if comparable else None,
        math.hypot(line.data_error, o.data_error),
        o.bound,
        bound_of_difference(line.bound, o.bound),
    )


def _lines_of(account: Account) -> list[tuple[str, str, int, str, str]]:
    """Returns LINES, with a line for each level of a model of several.

    The two parts of the top level's KL lie under it, those of the Jensen gap under that if it is
    split.
    """
    here = account.lines.keys() | (set() if account.gaps is None else account.gaps.lines.keys())
    lines = [line for line in LINES if line[0] in here]
    if account.gaps is not None and not account.gaps.complete:
        lines = [_over_subset(line, account.gaps.n) for line in lines]
    if not account.levels:
        return lines
    top, out = len(account.levels), []
    for name, label, depth, meaning, remedy in lines:
        if name == "index_information":
            for n in range(1, top + 1):
                what = (
                    f"How far q(z{n}|x, z{n + 1}) is from p(z{n}|z{n + 1})."
                    if n < top
                    else f"What the top level costs: I(n; z{n}) + marginal KL."
                )
                out.append((f"kl_z{n}", f"\N{MINUS SIGN} KL of z{n}", 2, what, ""))
        if name in ("index_information", "marginal_kl"):
            label, depth = label.replace("; z)", f"; z{top})"), 3
            meaning = meaning.replace("q(z)", f"q(z{top})").replace("p(z)", f"p(z{top})")
        depth += name in PARTS
        if name == "average_kl":
            meaning = "What the code costs: the sum of the KLs of its levels."
        out.append((name, label, depth, meaning, remedy))
    return out


def _over_subset(line: tuple[str, str, int, str, str], n: int) -> tuple[str, str, int, str, str]:
    """The parts of the Jensen gap below the gap of the n data on which it is split."""
    name, label, depth, meaning, remedy = line
    if name == SUBSET_GAP:
        return name, f"the Jensen gap of {n} data", depth, meaning, remedy
    return name, label, depth + (name in ("approximation_gap", "amortisation_gap")), meaning, remedy


@dataclass(frozen=True)
class Datum:
    """One of the worst data: its index in the split, its numbers, and its picture or values.

    An image has its picture as PNG bytes, all other data have their values as text.
    """

    index: int
    evidence: float
    elbo: float
    pareto_k: float
    image: bytes | None
    values: str


def worst_data(account: Account, count: int = 12) -> np.ndarray:
    """The indices of the data with the lowest log p(x), the lowest first."""
    return np.argsort(account.evidence.per_datum, kind="stable")[:count]


def median_datum(account: Account) -> int:
    """The index of a datum whose log p(x) is the median: neither easy nor hard for the model."""
    return int(np.argsort(account.evidence.per_datum, kind="stable")[(account.n - 1) // 2])


def values_text(datum: np.ndarray, most: int = 8) -> str:
    """The first values of a datum, as text."""
    flat = np.asarray(datum).ravel()
    text = ", ".join(f"{v:.4g}" for v in flat[:most])
    return text + (f", ... ({flat.size} values)" if flat.size > most else "")


@dataclass(frozen=True)
class TailShape:
    """How k-hat is distributed: counts of each kind, and the finite values."""

    finite: np.ndarray
    equal_weights: int
    unknown: int
    one_draw: int
    untrusted: int
    share: float
    threshold: float


def tail_shape(account: Account) -> TailShape:
    """Returns the distribution of k-hat of the account's evidence.

    Three values count apart: -inf (equal weights), NaN (too few samples to tell) and +inf (one
    draw has all the weight).
    """
    from jensen.evidence import pareto_k_threshold

    k, threshold = (
        account.evidence_estimate.pareto_k,
        pareto_k_threshold(account.evidence_estimate.num_samples),
    )
    of_k_hat = account.evidence_estimate.methods != "annealed"
    untrusted = int(np.sum(~(k <= threshold) & of_k_hat))
    return TailShape(
        k[np.isfinite(k)],
        int(np.sum(k == -np.inf)),
        int(np.sum(np.isnan(k) & of_k_hat)),
        int(np.sum(k == np.inf)),
        untrusted,
        untrusted / account.n,
        threshold,
    )
