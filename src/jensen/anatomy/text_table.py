"""Accounts as tables of plain text."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace

from jensen.anatomy.gaps import Gaps
from jensen.anatomy.influence import influence_words, influences
from jensen.anatomy.line_table import SUBSET_GAP, LineSpec, spec
from jensen.anatomy.lines import SIGN, Change, Line
from jensen.anatomy.record import AccountRecord
from jensen.anatomy.remedy_ceilings import (
    Ceiling,
    conditional,
    lower_levels,
    remedy_ceilings,
)

WIDTH = 100
BOUND_NOTE = (
    "Data that k-hat distrusts may move the mean of log p(x) by more than two standard errors"
)
MISSED_NOTE = "Draws from the prior find more of log p(x) than those from q(z|x)"
NO_ERROR = "are lower bounds in expectation, and have no +-"


def account_table(account: AccountRecord) -> str:
    """Write the account as a table of text, with what can be won and the verdicts below.

    print(account_table(acc))
    """
    out = [
        (
            f"Account of the {account.split} split: {account.n} data, nats per datum; +- Monte "
            "Carlo standard error (other draws,"
        ),
        "the same data); data +-: that of a mean over the data (another split of the same size)",
        "",
        f"  {'line':<28}{'nats':>10}    {'+-':>6}  {'data +-':>7}   what it is",
        "  " + "-" * 92,
    ]
    for entry in account.line_specs:
        line, meaning = account.line(entry.name), entry.short
        if entry.name == "index_information":
            meaning += f" (at most {account.ceiling})"
        data_error = "" if line.bound else f"{line.data_error:.3f}"
        out.append(
            f"  {entry.text_label:<28}{_figures(line, 10, 4)}  {data_error:>7}   {meaning}".rstrip()
        )
    ceilings = _ceilings(remedy_ceilings(account))
    return "\n".join([*out, *_notes(account), "", *ceilings, "", *_verdicts(account)])


def table_of_both(
    train: AccountRecord, test: AccountRecord, changes: Mapping[str, Change], over: int
) -> str:
    """Write two accounts of one model beside each other, and test minus train.

    Args:
        train, test: the accounts.
        changes: the differences of the lines that have one.
        over: how many data q(z) is the mixture of in the differences of its lines.

        both = jensen.generalisation(model, train, test, x_train, x_test, key=key)
        print(table_of_both(train, test, both.lines, both.over))
    """
    difference = f"{test.split} - {train.split}"
    out = [
        (
            f"Account of the {train.split} split ({train.n} data) and the {test.split} split "
            f"({test.n} data), nats per datum, +- Monte Carlo standard error;"
        ),
        "the difference with the standard error of two samples of data",
        "",
        (
            f"  {'line':<28}{train.split:>10}  {'+-':>6}  {test.split:>10}  {'+-':>6}  "
            f"{difference:>14}  {'+-':>6}"
        ),
        "  " + "-" * 92,
    ]
    for entry in _specs_of_both(train, test):
        values = "  ".join(_figures(account.line(entry.name), 10, 2) for account in (train, test))
        change, text, error, mark = changes.get(entry.name), "", "", ""
        if change is not None:
            text = f"{SIGN[change.bound]}{change.difference:+.3f}"
            error = "" if change.bound else f"{change.standard_error:.3f}"
            mark = "  *" if change.clear else ""
        out.append(f"  {entry.text_label:<28}{values}  {text:>14}  {error:>6}{mark}".rstrip())
    out += ["", "  * differs by more than two standard errors"]
    if train.n != test.n:
        parts = [entry.label for entry in test.line_specs if entry.part_of == "marginal_kl"]
        named = _listed(parts)
        none = (
            f" {named[:1].upper()}{named[1:]} need one q(z) for all draws, and have no difference "
            "between splits of different sizes."
            if parts
            else ""
        )
        out += _wrapped(
            f"I(n; z) (at most {train.ceiling} on {train.split}, {test.ceiling} on {test.split}) "
            "grows with the data that q(z) is over, and the marginal KL falls: their differences "
            f"are of q(z) over {over} data, random subsets on the larger split, and sum to "
            "that of the KL that they split. Their own columns are of each split by itself." + none
        )
    for account in (train, test):
        out += _notes(account, f"{account.split}: ")
    return "\n".join([*out, "", *_ceilings(remedy_ceilings(test)), "", *_verdicts(test)])


def _specs_of_both(train: AccountRecord, test: AccountRecord) -> list[LineSpec]:
    """The entries of the lines that both have.

    Where one of the two splits the Jensen gap on a subset, the gap that is split has a row; where
    that is all data, it is the Jensen gap again.
    """
    specs = [{entry.name: entry for entry in account.line_specs} for account in (train, test)]
    of_subset = next((s for s in specs if SUBSET_GAP in s), specs[1])
    both = set(specs[0]) & set(specs[1])
    if train.gaps is not None and test.gaps is not None:
        both.add(SUBSET_GAP)
    # The two subsets need not be of one size: their number is left out.
    general = replace(spec(SUBSET_GAP), label="Jensen gap split below")
    return [
        general if name == SUBSET_GAP else entry
        for name, entry in of_subset.items()
        if name in both
    ]


def _notes(account: AccountRecord, where: str = "") -> list[str]:
    """What does not fit into columns.

    The family of the gaps, bits per dimension, I(n; z) of all levels, active units, lines left out.
    """
    out = []
    if account.gaps is not None:
        out += ["", *_wrapped(where + _gaps_note(account.gaps))]
    bits = account.bits_per_dimension
    if bits is not None:
        out += [
            "",
            f"  {where}in bits per dimension ({bits['dimensions']} dimensions; lower is better):",
        ]
        for name in ("evidence", "elbo"):
            value = f"{SIGN[bits[name]['bound'] or '']}{bits[name]['value']:.4f}"
            error = bits[name]["standard_error"]
            shown = "" if error is None else f"{error:.4f}"
            out.append(f"  {spec(name).label:<28}{value:>10}    {shown}".rstrip())
    joint = account.joint_information
    if joint is not None:
        codes = ", ".join(f"z{n}" for n in range(1, len(account.levels) + 1))
        out += [
            "",
            (
                f"  {where}I(n; {codes}) on {joint.n} of the data: {joint.value:.3f} +- "
                f"{joint.standard_error:.3f} (at most "
                f"{joint.rows.ceiling_words(of_all=str(joint.n))})."
            ),
            *(line for note in level_notes(account) for line in _wrapped(where + note)),
        ]
    level = f" of z{len(account.levels)}" if account.levels else ""
    out += [
        "",
        *_wrapped(
            f"{where}{account.active_units} of {account.latent_dim} units{level} active; "
            f"{_estimate(account)}."
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
            reasons.setdefault(reason, []).append(_label(name))
        out += _wrapped(
            where
            + "left out: "
            + "; ".join(f"{_listed(names)}, since {reason}" for reason, names in reasons.items())
            + "."
        )
    return out


def data_notes(account: AccountRecord) -> list[str]:
    """Rows that repeat, and data that carry a line; empty as a rule.

    data_notes(acc)  # ['Rows repeat: ...']
    """
    rows, out = account.rows, []
    if rows.distinct < account.n:
        out.append(
            f"Rows repeat: {rows.distinct} of the {account.n} rows are distinct, and the most "
            f"frequent one occurs {rows.most} times. I(n; z) is at most {account.ceiling}."
        )
    words = (influence_words(influence, account) for influence in influences(account))
    return out + [f"{text[0].upper()}{text[1:]}." for text in words]


def level_notes(account: AccountRecord) -> list[str]:
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


def _label(name: str) -> str:
    """What a line is called; a name that no line has, as it reads."""
    try:
        return spec(name).label
    except KeyError:
        return name.replace("_", " ")


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _estimate(account: AccountRecord) -> str:
    """How log p(x) was estimated, and for how many data it is not to be trusted."""
    estimate = account.evidence_estimate
    annealed = int((estimate.methods == "annealed").sum())
    if not annealed and estimate.misses_modes:
        return (
            f"{estimate.num_samples} importance samples per datum, not to be trusted for "
            f"{estimate.untrusted:.1%} of the data"
        )
    if not annealed:
        return (
            f"{estimate.num_samples} importance samples per datum, k-hat too high for "
            f"{estimate.untrusted:.1%} of the data"
        )
    return (
        f"{estimate.num_samples} importance samples per datum; {annealed} of the data, whose k-hat "
        f"was too high, were annealed instead; not to be trusted: {estimate.untrusted:.1%} of the "
        "data"
    )


def _figures(line: Line, width: int, gap: int) -> str:
    """Value and standard error in columns; a bound has its sign and no error."""
    value = f"{SIGN[line.bound]}{round(line.value, 3) + 0.0:.3f}"
    error = "" if line.bound else f"{line.standard_error:.3f}"
    return f"{value:>{width}}{' ' * gap}{error:>6}"


def _ceilings(ceilings: Sequence[Ceiling]) -> list[str]:
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


def _verdicts(account: AccountRecord) -> list[str]:
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


def _gaps_note(gaps: Gaps) -> str:
    odd = (
        f" At {gaps.non_finite} of them the search met values that are not finite, and took the "
        "best posterior before that."
        if gaps.non_finite
        else ""
    )
    return (
        f"The Jensen gap is split at the best posterior of each datum: {gaps.where}; its ELBO is "
        f"{gaps.refined_elbo.value:.3f}.{odd}"
    )
