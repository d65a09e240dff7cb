"""An account, and two beside each other, as plain text."""

import textwrap
from typing import TYPE_CHECKING

from jensen.anatomy._lines import SIGN
from jensen.anatomy.ceilings import conditional, lower_levels
from jensen.anatomy.gaps import SUBSET_GAP
from jensen.anatomy.influence import influence_words

if TYPE_CHECKING:
    from jensen.anatomy._lines import Line
    from jensen.anatomy._record import Account
    from jensen.anatomy.ceilings import Ceiling
    from jensen.anatomy.gaps import Gaps
    from jensen.anatomy.generalisation import Generalisation

ROWS = (
    ("evidence", "log p(x)", "importance sampling; lower in expectation"),
    ("jensen_gap", "- Jensen gap", "KL(q || posterior): a richer q, a better encoder"),
    ("elbo", "= ELBO", "evidence lower bound, at beta = 1"),
    ("reconstruction", "    reconstruction", "E_q log p(x|z)"),
    ("average_kl", "  - average KL", "= I(n; z) + marginal KL"),
    ("index_information", "      - I(n; z)", "what the code tells of the datum"),
    ("marginal_kl", "      - marginal KL", "KL(q(z) || p(z)): a better prior"),
    ("expected_energy", "  - expected energy", "-E_q log p(x, z)"),
    ("entropy", "  + entropy", "of q(z|x)"),
)
GAP_ROWS = (
    (SUBSET_GAP, "    the Jensen gap of {n} data", "split below, over these data alone"),
    ("approximation_gap", "    - approximation", "what a richer family of q could win"),
    ("amortisation_gap", "    - amortisation", "what a better encoder could win"),
)
PART_ROWS = (
    ("total_correlation", "- total correlation", "dependence between the dimensions of q(z)"),
    ("dimension_wise_kl", "- dimension-wise KL", "sum of KL(q(z_j) || p(z_j))"),
)
WIDTH = 100
BOUND_NOTE = (
    "Data that k-hat distrusts may move the mean of log p(x) by more than two standard errors"
)
MISSED_NOTE = "Draws from the prior find more of log p(x) than those from q(z|x)"
NO_ERROR = "are lower bounds in expectation, and have no +-"


def table_rows(account: "Account") -> tuple[tuple[str, str, str], ...]:
    """(name, label, meaning) of every line of this account: ROWS, with the two parts of the Jensen gap where it is split, those of the marginal KL where it can
    be, and with a line for each level of a model of several.

    table_rows(acc)[0]  # ('evidence', 'log p(x)', ...)
    """
    top, here, out = len(account.levels), account.lines, []
    for name, label, meaning in ROWS:
        if name == "index_information" and top:
            out += [
                (f"kl_z{n}", f"      - KL of z{n}", f"q(z{n}|x, z{n + 1}) from p(z{n}|z{n + 1})")
                for n in range(1, top)
            ]
            out.append((f"kl_z{top}", f"      - KL of z{top}", f"= I(n; z{top}) + marginal KL"))
        if top:
            label = {
                "index_information": f"          - I(n; z{top})",
                "marginal_kl": "          - marginal KL",
            }.get(name, label)
            meaning = {
                "average_kl": "= sum of the KLs of its levels",
                "marginal_kl": f"KL(q(z{top}) || p(z{top})): a better prior",
            }.get(name, meaning)
        out.append((name, label, meaning))
        if name == "jensen_gap" and account.gaps is not None:
            out += _gap_rows(account.gaps)
        if name == "marginal_kl":
            indent = " " * (12 if top else 8)
            out += [
                (part, indent + label, meaning)
                for part, label, meaning in PART_ROWS
                if part in here
            ]
    return tuple(out)


def _gap_rows(gaps: "Gaps") -> list[tuple[str, str, str]]:
    """The parts of the Jensen gap; on a subset below the gap of that subset, whose parts they are."""
    if gaps.complete:
        return list(GAP_ROWS[1:])
    (whole, label, meaning), *parts = GAP_ROWS
    return [
        (whole, label.format(n=gaps.n), meaning),
        *((part, "  " + label, f"{what}, on {gaps.n} data") for part, label, what in parts),
    ]


def table(account: "Account") -> str:
    """The account as a table of text; what could be won, and the verdicts, below.

    print(table(acc))
    """
    out = [
        f"Account of the {account.split} split: {account.n} data, nats per datum; +- Monte Carlo "
        "standard error (other draws,",
        "the same data); data +-: that of a mean over the data (another split of the same size)",
        "",
        f"  {'line':<28}{'nats':>10}    {'+-':>6}  {'data +-':>7}   what it is",
        "  " + "-" * 92,
    ]
    for name, label, meaning in table_rows(account):
        line = account.line(name)
        if name == "index_information":
            meaning += f" (at most {account.ceiling})"
        data_error = "" if line.bound else f"{line.data_error:.3f}"
        out.append(f"  {label:<28}{_figures(line, 10, 4)}  {data_error:>7}   {meaning}")
    return "\n".join([*out, *_notes(account), "", *_won(account.ceilings), "", *_verdicts(account)])


def table_of_both(both: "Generalisation") -> str:
    """Train and test beside each other, and test minus train.

    print(table_of_both(found))
    """
    train, test = both.train, both.test
    out = [
        f"Account of the {train.split} split ({train.n} data) and the {test.split} split ({test.n} data), nats per datum, +- Monte Carlo standard error;",
        "the difference with the standard error of two samples of data",
        "",
        f"  {'line':<28}{train.split:>10}  {'+-':>6}  {test.split:>10}  {'+-':>6}  {test.split + ' - ' + train.split:>14}  {'+-':>6}",
        "  " + "-" * 92,
    ]
    for name, label in _rows_of_both(train, test):
        a, b, change = train.line(name), test.line(name), both.lines.get(name)
        difference, clear = f"{'':>14}  {'':>6}", ""
        if change is not None:
            text = f"{SIGN[change.bound]}{change.difference:+.3f}"
            error = "" if change.bound else f"{change.standard_error:.3f}"
            difference = f"{text:>14}  {error:>6}"
            clear = "  *" if change.clear else ""
        values = "  ".join(_figures(line, 10, 2) for line in (a, b))
        out.append(f"  {label:<28}{values}  {difference}{clear}".rstrip())
    out += ["", "  * differs by more than two standard errors"]
    if train.n != test.n:
        out += _wrapped(
            f"I(n; z) (at most {train.ceiling} on {train.split}, {test.ceiling} on {test.split}) "
            "grows with the data that q(z) is over, and the marginal KL falls: their differences "
            f"are of q(z) over {both.over} data, random subsets on the larger split, and sum to that "
            "of the KL that they split. Their own columns are of each split by itself."
        )
    for account in (train, test):
        out += _notes(account, f"{account.split}: ")
    return "\n".join([*out, "", *_won(test.ceilings), "", *_verdicts(test)])


def _rows_of_both(train: "Account", test: "Account") -> list[tuple[str, str]]:
    """(name, label) of the lines that both have. Where one of the two splits the Jensen gap on a
    subset, the gap that is split has a row; where that is all data, it is the Jensen gap again."""
    rows = [{name: label for name, label, _ in table_rows(a)} for a in (train, test)]
    of_subset = next((r for r in rows if SUBSET_GAP in r), rows[1])
    both = set(rows[0]) & set(rows[1])
    if train.gaps is not None and test.gaps is not None:
        both.add(SUBSET_GAP)
    return [
        (name, "    the Jensen gap split below" if name == SUBSET_GAP else label)
        for name, label in of_subset.items()
        if name in both
    ]


def _notes(account: "Account", where: str = "") -> list[str]:
    """What does not fit into columns: parts of the gap, bits per dimension, I(n; z) of all levels, units, what was left out."""
    out = []
    if account.gaps is not None:
        out += ["", *_wrapped(where + _gaps_note(account.gaps))]
    bits = account.bits_per_dimension
    if bits is not None:
        out += [
            "",
            f"  {where}in bits per dimension ({bits['dimensions']} dimensions; lower is better):",
        ]
        for name, label in (("evidence", "log p(x)"), ("elbo", "ELBO")):
            value = f"{SIGN[bits[name]['bound'] or '']}{bits[name]['value']:.4f}"
            error = bits[name]["standard_error"]
            out.append(
                f"  {label:<28}{value:>10}    {'' if error is None else f'{error:.4f}'}".rstrip()
            )
    joint = account.joint_information
    if joint is not None:
        codes = ", ".join(f"z{n}" for n in range(1, len(account.levels) + 1))
        out += [
            "",
            f"  {where}I(n; {codes}) on {joint.n} of the data: {joint.value:.3f} +- {joint.standard_error:.3f} "
            f"(at most {joint.rows.ceiling_words(of_all=str(joint.n))}).",
            *(line for note in level_notes(account) for line in _wrapped(where + note)),
        ]
    level = f" of z{len(account.levels)}" if account.levels else ""
    out += [
        "",
        *_wrapped(
            f"{where}{account.active_units} of {account.latent_dim} units{level} active; {_estimate(account)}."
        ),
    ]
    for note in data_notes(account):
        out += _wrapped(where + note)
    if account.evidence.bound:
        why = MISSED_NOTE if account.evidence_estimate.misses_modes else BOUND_NOTE
        out += _wrapped(f"{where}{why}: log p(x) and what rests on it (>=) {NO_ERROR}.")
    if account.left_out:
        reasons: dict[str, list[str]] = {}
        for name, reason in account.left_out.items():
            reasons.setdefault(reason, []).append(
                name.replace("dimension_wise_kl", "dimension-wise KL").replace("_", " ")
            )
        out += _wrapped(
            where
            + "left out: "
            + "; ".join(f"{_listed(names)}, since {reason}" for reason, names in reasons.items())
            + "."
        )
    return out


def data_notes(account: "Account") -> list[str]:
    """Rows that repeat, and data that carry a line; empty as a rule.

    data_notes(acc)  # ['Rows repeat: ...']
    """
    rows, out = account.rows, []
    if rows.distinct < account.n:
        out.append(
            f"Rows repeat: {rows.distinct} of the {account.n} rows are distinct, and the most "
            f"frequent one occurs {rows.most} times. I(n; z) is at most {account.ceiling}."
        )
    words = (influence_words(influence) for influence in account.influential)
    return out + [f"{text[0].upper()}{text[1:]}." for text in words]


def level_notes(account: "Account") -> list[str]:
    """The KL of every level below the top, split on the subset of I(n; z1, z2, ...).

    level_notes(acc)  # ['On these data the KL of z1 is ...']
    """
    out = []
    for name, split in lower_levels(account).items():
        above = ", ".join(f"z{n}" for n in range(int(name[1:]) + 1, len(account.levels) + 1))
        out.append(
            f"On these data the KL of {name} is {split.kl.value:.3f} = I(n; {name} | {above}) "
            f"{split.information.value:.3f} + KL(q({name}|{above}) || {conditional(name)}) "
            f"{split.aggregate_kl.value:.3f} +- {split.aggregate_kl.standard_error:.3f}."
        )
    return out


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _estimate(account: "Account") -> str:
    """How log p(x) was estimated, and for how many data it is not to be trusted."""
    estimate = account.evidence_estimate
    annealed = int((estimate.methods == "annealed").sum())
    if not annealed and estimate.misses_modes:
        return (
            f"{estimate.num_samples} importance samples per datum, "
            f"not to be trusted for {estimate.untrusted:.1%} of the data"
        )
    if not annealed:
        return (
            f"{estimate.num_samples} importance samples per datum, "
            f"k-hat too high for {estimate.untrusted:.1%} of the data"
        )
    return (
        f"{estimate.num_samples} importance samples per datum; {annealed} of the data, whose k-hat was too high, were annealed "
        f"instead; not to be trusted: {estimate.untrusted:.1%} of the data"
    )


def _figures(line: "Line", width: int, gap: int) -> str:
    """Value and standard error in columns; a bound has its sign and no error."""
    value = f"{SIGN[line.bound]}{round(line.value, 3) + 0.0:.3f}"
    error = "" if line.bound else f"{line.standard_error:.3f}"
    return f"{value:>{width}}{' ' * gap}{error:>6}"


def _won(ceilings: "tuple[Ceiling, ...]") -> list[str]:
    at_most = all(ceiling.bound == "upper" for ceiling in ceilings)
    title = "could be won here, at most, by" if at_most else "could be won here by"
    column = 34 if at_most else 44  # each label says "at most" or "at least" then
    out = [f"  {title:<{column}}{'nats':>8}    {'+-':>6}"]
    given = ""
    for ceiling in ceilings:
        label = ("    of it, " if ceiling.part_of else "  ") + ceiling.what
        if not at_most:
            label += {"upper": ", at most", "lower": ", at least"}[ceiling.bound]
        # What stays as it is, once for each run of ceilings that share it.
        same = "" if ceiling.given == given else ceiling.given
        given = ceiling.given
        words = "; ".join(filter(None, (same, ceiling.remedy)))
        first, *rest = textwrap.wrap(words, 50, break_on_hyphens=False) or [""]
        error = "" if ceiling.standard_error is None else f"{ceiling.standard_error:.3f}"
        figures = f"{ceiling.value + 0.0:>8.3f}    {error:>6}"
        out.append(f"  {label:<{column}}{figures}   {first}".rstrip())
        out += [" " * (column + 23) + line for line in rest]
    return out


def _verdicts(account: "Account") -> list[str]:
    return [
        textwrap.fill(
            v, WIDTH, initial_indent="  * ", subsequent_indent="    ", break_on_hyphens=False
        )
        for v in account.verdicts
    ]


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
    )


def _gaps_note(gaps: "Gaps") -> str:
    odd = (
        f" At {gaps.non_finite} of them the search met values that are not finite, and kept the best before."
        if gaps.non_finite
        else ""
    )
    return f"The Jensen gap is split at the best posterior of each datum: {gaps.where}; its ELBO is {gaps.refined_elbo.value:.3f}.{odd}"
