"""The table of an account's lines: everything that is said of a line, once.

The text table, the rows and the waterfall of a report, JSON, the xarray Dataset, comparisons and
the table of docs/account.md are made from `LINES`. A new line that is computed from the posterior
draws is one more entry with its `values`; nothing else has to change:

    LineSpec("code_norm", "norm of z", values=lambda s: np.linalg.norm(s.z, axis=-1))

Some lines have no fixed wording, since they are as many as the model has levels or are over a
subset: `level_spec`, `with_levels` and `with_gap_subset` derive them from the entries here.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

    from jensen.anatomy.elbo_surgery import Surgery

# What a line is a mean over, besides the data.
POSTERIOR = "posterior draws"
IMPORTANCE = "importance samples"
REFINED = "draws of refined posteriors"
SUBSET_GAP = "subset_jensen_gap"  # the Jensen gap of the data on which it is split
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class LineSpec:
    """One line of the account.

    Attributes:
        name: its key in `Account.lines`, JSON, arrays and the Dataset.
        label: what it is called, in tables and sentences.
        sign: how it enters the line it is a part of: "+", "-", "=" for a total, or "".
        depth: how far it is indented in tables: 0 for log p(x) and the ELBO.
        part_of: the line that it is a part of, with `sign`; "" for a line that is no part.
        split: of two ways to split a line, to which this part belongs.
        formula: what it is, as a formula: the long name in the Dataset, and in the docs.
        short: what it is, in the few words that fit beside the text table.
        meaning: what it is, in a sentence, for reports.
        remedy: what addresses it, for reports.
        overfit_remedy: what addresses it where it is worse on test than on train.
        method: how it is computed, for the docs.
        draws: what it is a mean over: POSTERIOR, IMPORTANCE or REFINED.
        values: its values [N, draws] from the posterior draws, if it is made of these alone.
        of_aggregate: whether it depends on how many data q(z) is the mixture of. Such lines of
            different numbers of data are not compared.
        by_dimension: what the share of one latent dimension is, if it has shares.
        drawn: whether the waterfall shows it (a line all of whose parts are shown is not).
        optional: whether an account may lack it; the others are fields of the record.
    """

    name: str
    label: str
    sign: Literal["", "+", "-", "="] = ""
    depth: int = 1
    part_of: str = ""
    split: str = ""
    formula: str = ""
    short: str = ""
    meaning: str = ""
    remedy: str = ""
    overfit_remedy: str = ""
    method: str = ""
    draws: str = POSTERIOR
    values: "Callable[[Surgery], np.ndarray] | None" = None
    of_aggregate: bool = False
    by_dimension: str = ""
    drawn: bool = False
    optional: bool = True

    @property
    def text_label(self) -> str:
        """The label with sign and indentation, for tables of plain text.

        spec("marginal_kl").text_label  # '    - marginal KL'
        """
        indent = "  " * self.depth
        if not self.sign:
            # Under the letters of labels with a sign; the line at the very top needs no such space.
            return indent + ("  " if self.depth else "") + self.label
        return f"{indent}{self.sign} {self.label}"

    @property
    def report_label(self) -> str:
        """The label with its sign, for pages: indentation is the style's.

        spec("marginal_kl").report_label  # '− marginal KL'
        """
        return f"{self.sign.replace('-', MINUS)} {self.label}" if self.sign else self.label


LINES: tuple[LineSpec, ...] = (
    LineSpec(
        "evidence",
        "log p(x)",
        depth=0,
        formula="log p(x)",
        short="importance sampling; lower in expectation",
        meaning="Evidence: how probable the model makes a datum, estimated by importance sampling, "
        "whose expectation lies at or below it.",
        method="importance sampling, k-hat per datum; lower in expectation "
        "([evidence](evidence.md)); `>=` where k-hat distrusts data that matter to the mean",
        draws=IMPORTANCE,
        optional=False,
    ),
    LineSpec(
        "jensen_gap",
        "Jensen gap",
        "-",
        part_of="evidence",
        formula="log p(x) - ELBO = KL(q || posterior)",
        short="KL(q || posterior): a richer q, a better encoder",
        meaning="What the bound loses because q(z|x) is not the true posterior: "
        "KL(q || posterior).",
        remedy="A richer posterior, a larger encoder, or a tighter bound "
        "(--bound iwae --num-samples 10).",
        method="log p(x) - ELBO; in two parts with `--gaps 500`",
        draws=IMPORTANCE,
        drawn=True,
        optional=False,
    ),
    LineSpec(
        SUBSET_GAP,
        "Jensen gap of a subset",
        depth=2,
        formula="log p(x) - ELBO, over the data on which it is split",
        short="split below, over these data alone",
        meaning="The Jensen gap of the data on which it is split: its two parts sum to this one.",
        method="with `--gaps`, where these are not all data",
        draws=REFINED,
    ),
    LineSpec(
        "approximation_gap",
        "approximation gap",
        "-",
        depth=2,
        part_of="jensen_gap",
        formula="log p(x) - ELBO of the best posterior of the family",
        short="what a richer family of q could win",
        meaning="What the best posterior of the family for each datum leaves.",
        remedy="A richer posterior (--set encoder.name=full_normal, or flow).",
        method="with `--gaps`: what a richer family could win",
        draws=REFINED,
        drawn=True,
    ),
    LineSpec(
        "amortisation_gap",
        "amortisation gap",
        "-",
        depth=2,
        part_of="jensen_gap",
        formula="ELBO of the best posterior of the family - ELBO",
        short="what a better encoder could win",
        meaning="By how much the encoder misses that best posterior.",
        remedy="A better encoder: a larger network, longer training.",
        method="with `--gaps`: what a better encoder could win",
        draws=REFINED,
        drawn=True,
    ),
    LineSpec(
        "elbo",
        "ELBO",
        "=",
        depth=0,
        formula="reconstruction - average KL",
        short="evidence lower bound, at beta = 1",
        meaning="Evidence lower bound, at beta = 1: what training raises.",
        values=lambda s: s.log_likelihood + s.log_prior - s.log_posterior,
        optional=False,
    ),
    LineSpec(
        "reconstruction",
        "reconstruction",
        part_of="elbo",
        split="reconstruction - average KL",
        formula="E_q log p(x|z)",
        short="E_q log p(x|z)",
        meaning="How well the decoder describes a datum from its own code: E log p(x|z) under "
        "q(z|x).",
        remedy="A better decoder or likelihood; more latent dimensions if all are active.",
        overfit_remedy="the decoder fits the training data too closely: stop earlier "
        "(--patience 20), a smaller decoder, more data",
        values=lambda s: s.log_likelihood,
        optional=False,
    ),
    LineSpec(
        "average_kl",
        "average KL",
        "-",
        part_of="elbo",
        split="reconstruction - average KL",
        formula="KL(q(z|x) || p(z))",
        short="= I(n; z) + marginal KL",
        meaning="What the code costs: I(n; z) + marginal KL.",
        remedy="If near 0, the code is not used: see I(n; z).",
        method="with several levels the sum of theirs",
        values=lambda s: s.log_posterior - s.log_prior,
        by_dimension="KL(q(z_j|x) || p(z_j))",
        drawn=True,
        optional=False,
    ),
    LineSpec(
        "index_information",
        "I(n; z)",
        "-",
        depth=2,
        part_of="average_kl",
        split="I(n; z) + marginal KL",
        formula="I(n; z), at most log N, or the entropy of the distinct rows",
        short="what the code tells of the datum",
        meaning="What the code tells about which datum it came from.",
        remedy="A price to pay, not a loss. If near 0: a KL warm-up (--warm-up 50), a smaller "
        "--beta, or a weaker decoder.",
        overfit_remedy="codes of test data cost more bits than those of train: a larger --beta, "
        "more data",
        method="log q(z|x_n) - log q(z)",
        values=lambda s: s.index_information,
        of_aggregate=True,
        by_dimension="I(n; z_j)",
        drawn=True,
        optional=False,
    ),
    LineSpec(
        "marginal_kl",
        "marginal KL",
        "-",
        depth=2,
        part_of="average_kl",
        split="I(n; z) + marginal KL",
        formula="KL(q(z) || p(z))",
        short="KL(q(z) || p(z)): a better prior",
        meaning="How far all codes together, q(z), are from the prior: KL(q(z) || p(z)).",
        remedy="A better prior (--prior vamp, --prior mixture).",
        overfit_remedy="the prior knows the training codes: fewer components, or "
        "--prior standard_normal",
        method="log q(z) - log p(z)",
        values=lambda s: s.marginal_kl,
        of_aggregate=True,
        by_dimension="KL(q(z_j) || p(z_j))",
        drawn=True,
        optional=False,
    ),
    LineSpec(
        "total_correlation",
        "total correlation",
        "-",
        depth=3,
        part_of="marginal_kl",
        split="total correlation + dimension-wise KL",
        formula="KL(q(z) || product of its marginals q(z_j))",
        short="dependence between the dimensions of q(z)",
        meaning="How far the dimensions of q(z) are from being independent: KL(q(z) || product of "
        "its marginals).",
        remedy="A prior whose dimensions depend on each other (--prior vamp).",
        method="log q(z) - sum_j log q(z_j)",
        of_aggregate=True,
    ),
    LineSpec(
        "dimension_wise_kl",
        "dimension-wise KL",
        "-",
        depth=3,
        part_of="marginal_kl",
        split="total correlation + dimension-wise KL",
        formula="sum of KL(q(z_j) || p(z_j))",
        short="sum of KL(q(z_j) || p(z_j))",
        meaning="How far each dimension of q(z) by itself is from the prior's: the sum of "
        "KL(q(z_j) || p(z_j)).",
        remedy="Other means, scales or shapes, dimension by dimension; any learned prior.",
        method="for priors of independent dimensions",
        of_aggregate=True,
    ),
    LineSpec(
        "expected_energy",
        "expected energy",
        "-",
        part_of="elbo",
        split="- expected energy + entropy",
        formula="-E_q log p(x, z)",
        short="-E_q log p(x, z)",
        meaning=f"The other way to split the ELBO: energy is {MINUS}E log p(x, z) under q(z|x).",
        values=lambda s: -(s.log_likelihood + s.log_prior),
        optional=False,
    ),
    LineSpec(
        "entropy",
        "entropy",
        "+",
        part_of="elbo",
        split="- expected energy + entropy",
        formula="entropy of q(z|x)",
        short="of q(z|x)",
        meaning="How spread out q(z|x) is: with the energy it makes the ELBO.",
        values=lambda s: -s.log_posterior,
        optional=False,
    ),
)


def spec(name: str) -> LineSpec:
    """The entry of a line, those of levels included.

    spec("marginal_kl").formula  # 'KL(q(z) || p(z))'

    Raises:
        KeyError: no line has this name.
    """
    if is_level(name):
        return level_spec(int(name.removeprefix("kl_z")))
    return {line.name: line for line in LINES}[name]


def entries(levels: int = 0) -> list[LineSpec]:
    """The whole table as it reads for a model of several levels, their KLs behind the sum.

    [entry.name for entry in entries(2)]  # [..., 'average_kl', 'kl_z1', 'kl_z2', ...]
    """
    table = []
    for entry in LINES:
        table.append(with_levels(entry, levels))
        if entry.name == "average_kl":
            table += [level_spec(level, levels) for level in range(1, levels + 1)]
    return table


def field_names() -> tuple[str, ...]:
    """The names of the lines that every account has, in their order: fields of the record."""
    return tuple(line.name for line in LINES if not line.optional)


def aggregate_names() -> tuple[str, ...]:
    """The names of the lines that depend on how many data q(z) is the mixture of."""
    return tuple(line.name for line in LINES if line.of_aggregate)


def level_names(levels: int) -> tuple[str, ...]:
    """The names of the lines that hold the KL of each level, z_1 first.

    None for a model of one level, whose average KL is that of its only one.

    level_names(2)  # ('kl_z1', 'kl_z2')
    """
    return tuple(f"kl_z{level}" for level in range(1, levels + 1)) if levels > 1 else ()


def is_level(name: str) -> bool:
    """Whether a line is the KL of a level.

    is_level("kl_z1")  # True
    """
    return name.startswith("kl_z") and name.removeprefix("kl_z").isdigit()


def level_spec(level: int, levels: int | None = None) -> LineSpec:
    """The entry of the KL of one level of `levels`; `level` is the top one unless that is larger.

    level_spec(1, 2).short  # 'q(z1|x, z2) from p(z1|z2)'
    """
    above = level + 1
    if level < (levels or 0):
        short = f"q(z{level}|x, z{above}) from p(z{level}|z{above})"
        meaning = f"How far q(z{level}|x, z{above}) is from p(z{level}|z{above})."
    else:
        short = f"= I(n; z{level}) + marginal KL"
        meaning = f"What the top level costs: I(n; z{level}) + marginal KL."
    return LineSpec(
        f"kl_z{level}",
        f"KL of z{level}",
        "-",
        depth=2,
        part_of="average_kl",
        split="sum of the KLs of its levels",
        formula=f"KL of level z{level}",
        short=short,
        meaning=meaning,
        drawn=True,
    )


def with_levels(line: LineSpec, levels: int) -> LineSpec:
    """The entry as it reads in a model of several levels, whose q(z) is that of the top.

    with_levels(spec("marginal_kl"), 2).short  # 'KL(q(z2) || p(z2)): a better prior'
    """
    if not levels:
        return line
    if line.name == "average_kl":
        return replace(
            line,
            short="= sum of the KLs of its levels",
            meaning="What the code costs: the sum of the KLs of its levels.",
        )
    if not line.of_aggregate:
        return line
    top = f"z{levels}"

    def named(text: str) -> str:
        return (
            text.replace("I(n; z)", f"I(n; {top})")
            .replace("q(z)", f"q({top})")
            .replace("p(z)", f"p({top})")
        )

    return replace(
        line,
        label=named(line.label),
        depth=line.depth + 1,
        part_of=f"kl_{top}" if line.part_of == "average_kl" else line.part_of,
        short=named(line.short),
        meaning=named(line.meaning),
    )


def with_gap_subset(line: LineSpec, n: int) -> LineSpec:
    """The entry as it reads where the Jensen gap is split on `n` of the data.

    with_gap_subset(spec("approximation_gap"), 500).part_of  # 'subset_jensen_gap'
    """
    if line.name == SUBSET_GAP:
        return replace(line, label=f"Jensen gap of {n} data")
    if line.part_of != "jensen_gap":
        return line
    return replace(
        line, depth=line.depth + 1, part_of=SUBSET_GAP, short=f"{line.short}, on {n} data"
    )
