"""Two accounts side by side, or any number of them, paired on the same data points."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, overload

import numpy as np

from jensen.anatomy.accounts import Account
from jensen.anatomy.line_table import SUBSET_GAP, LineSpec, aggregate_names
from jensen.anatomy.lines import SIGN, Line, bound_of_difference, clear_difference, plain_bounds
from jensen.anatomy.ranking import ComparedLine, RankedComparison, entries_dataset, paired

if TYPE_CHECKING:
    import xarray

GAPS = (SUBSET_GAP, "approximation_gap", "amortisation_gap")


@dataclass(frozen=True)
class Difference:
    """One line of two accounts, nats per datum.

    Attributes:
        first, second: the values.
        difference: second minus first.
        standard_error: of the difference, paired over the data.
        first_bound, second_bound: "lower" where that value is a lower bound.
        bound: what the difference then is: "lower", "upper", or "unknown" where both are.
    """

    first: float
    second: float
    difference: float
    standard_error: float
    first_bound: str = ""
    second_bound: str = ""
    bound: str = ""


@dataclass(frozen=True)
class Comparison:
    """Two accounts compared line by line; prints as a table."""

    names: tuple[str, str]
    split: str
    n: int
    lines: dict[str, Difference]
    rows: tuple[LineSpec, ...]

    def to_json(self) -> dict:
        """Plain values: what `jensen compare A B --json` prints."""
        return {
            "first": self.names[0],
            "second": self.names[1],
            "split": self.split,
            "n": self.n,
            **{k: plain_bounds(vars(v)) for k, v in self.lines.items()},
        }

    def to_dataset(self) -> "xarray.Dataset":
        """An xarray Dataset over `run` and `line`, nats per datum.

        It holds the value, the difference to the first run and its paired standard error.

        compare(a, b).to_dataset()["difference"].sel(run="second", line="elbo")
        """
        entries = {
            name: (
                ComparedLine(d.first, 0.0, 0.0),
                ComparedLine(d.second, d.difference, d.standard_error),
            )
            for name, d in self.lines.items()
        }
        return entries_dataset(self.names, self.split, self.n, entries)

    def __str__(self) -> str:
        width = max(12, *(len(n) for n in self.names))
        out = [
            (
                f"{self.names[1]} minus {self.names[0]}, {self.split} split, paired on the same "
                f"{self.n} data; nats per datum"
            ),
            "",
            (
                f"  {'line':<28}{self.names[0]:>{width}}  {self.names[1]:>{width}}"
                f"  {'difference':>10}   {'+-':>6}"
            ),
            "  " + "-" * (52 + 2 * width),
        ]
        for row in self.rows:
            d = self.lines[row.name]
            clear = "  *" if clear_difference(d.difference, d.standard_error, d.bound) else ""
            first, second = (
                f"{SIGN[bound]}{value:.3f}"
                for value, bound in ((d.first, d.first_bound), (d.second, d.second_bound))
            )
            change = f"{SIGN[d.bound]}{d.difference:+.3f}"
            error = "" if d.bound else f"{d.standard_error:.3f}"
            out.append(
                f"  {row.text_label:<28}{first:>{width}}  {second:>{width}}  {change:>10}   "
                f"{error:>6}{clear}".rstrip()
            )
        if not self.lines.keys() & set(aggregate_names()):
            out += [
                "",
                (
                    "  I(n; z) and the marginal KL are left out: the two q(z) are over different "
                    "numbers of data."
                ),
            ]
        if any(d.bound for d in self.lines.values()):
            out += [
                "",
                (
                    "  >=, <=: k-hat distrusts log p(x) of one of the two, so that these are "
                    "bounds in expectation, with no +-;"
                ),
                "  ~: it distrusts both, and their difference may be anything.",
            ]
        elbo = self.lines["elbo"]
        better = self.names[1] if elbo.difference > 0 else self.names[0]
        clear = abs(elbo.difference) > 2 * elbo.standard_error
        out += ["", "  * differs by more than two standard errors of the paired difference", ""]
        out.append(
            f"  {better} has the higher ELBO, by {abs(elbo.difference):.3f} +- "
            f"{elbo.standard_error:.3f} nats per datum."
            if clear
            else "  The two ELBOs do not differ by more than two standard errors."
        )
        return "\n".join(out)


@overload
def compare(
    first: Account, second: Account, /, *, names: Sequence[str] | None = None
) -> Comparison: ...


@overload
def compare(
    first: Account,
    second: Account,
    third: Account,
    /,
    *more: Account,
    names: Sequence[str] | None = None,
) -> RankedComparison: ...


def compare(
    *accounts: Account, names: Sequence[str] | None = None
) -> Comparison | RankedComparison:
    """Subtract the first account from each of the others, line by line.

    The standard error is that of the mean of the paired differences over the data. Lines that not
    all accounts have are left out: levels; I(n; z) and the marginal KL where q(z) is over different
    numbers of data; the parts of the Jensen gap where they are not of the same data (a family of
    posteriors may differ, as each encoder has its own).

    Args:
        accounts: two or more, of the same data points.
        names: what they are called, one name each.

    Returns:
        Of two accounts a `Comparison`; of more a `RankedComparison`, which also ranks them.

    Raises:
        ValueError: fewer than two accounts, another number of names, names that are not all
            different (of more than two), or accounts of different data points.

        print(compare(run_a.account, run_b.account))
        print(compare(a, b, c, names=("vae", "vamp", "mixture")))
    """
    if len(accounts) < 2:
        raise ValueError(f"a comparison wants at least two accounts; got {len(accounts)}.")
    if names is None:
        names = (
            ("first", "second")
            if len(accounts) == 2
            else tuple(f"run {i}" for i in range(1, len(accounts) + 1))
        )
    names = tuple(names)
    if len(names) != len(accounts):
        raise ValueError(
            f"a comparison of {len(accounts)} accounts wants as many names; got {len(names)}: "
            f"{', '.join(names)}."
        )
    if len(accounts) > 2 and len(set(names)) < len(names):
        raise ValueError(f"the names of compared accounts must differ; got {', '.join(names)}.")
    first = accounts[0]
    for other, name in zip(accounts[1:], names[1:], strict=True):
        if first.n != other.n or first.fingerprint != other.fingerprint:
            raise ValueError(
                f"{names[0]} and {name} were not evaluated on the same data points ({first.split}: "
                f"{first.n}, {other.split}: {other.n} data; fingerprints differ): a paired "
                "comparison would be meaningless. Account for both on the same split of the same "
                "data."
            )
    rows, left_out = common_rows(accounts)
    entries = {}
    for row in rows:
        base = first.line(row.name)
        entries[row.name] = tuple(_entry(a.line(row.name), base) for a in accounts)
    if len(accounts) > 2:
        columns = {
            line: tuple(a.line(line).per_datum for a in accounts) for line in ("elbo", "evidence")
        }
        return RankedComparison(names, first.split, first.n, entries, rows, left_out, columns)
    lines = {
        name: Difference(
            a.value,
            b.value,
            b.difference,
            b.standard_error,
            a.bound,
            b.bound,
            b.difference_bound,
        )
        for name, (a, b) in entries.items()
    }
    return Comparison((names[0], names[1]), first.split, first.n, lines, rows)


def _entry(line: Line, base: Line) -> ComparedLine:
    difference, error = paired(line.per_datum, base.per_datum)
    if line is not base:
        # Random data that q(z) is over move all data of an account together, which pairing does not
        # remove.
        error = math.hypot(error, line.shared_error, base.shared_error)
    bound = bound_of_difference(line.bound, base.bound) if line is not base else ""
    return ComparedLine(line.value, difference, error, line.bound, bound)


def common_rows(
    accounts: Sequence[Account],
) -> tuple[tuple[LineSpec, ...], dict[str, tuple[str, ...]]]:
    """Find (the lines that can be compared, {why not: the names of the other lines}).

    common_rows([a, b])[0][0].name  # 'evidence'
    """
    every = [a.lines.keys() | (set() if a.gaps is None else a.gaps.lines.keys()) for a in accounts]
    union = list(dict.fromkeys(entry.name for a in accounts for entry in a.line_specs))
    common = set.intersection(*(set(names) for names in every))
    why: dict[str, tuple[str, ...]] = {
        "not in every account": tuple(name for name in union if name not in common)
    }
    over = sorted({a.aggregated_over or a.n for a in accounts})
    if len(over) > 1:  # I(n; z) of fewer data is lower by that alone
        why[f"q(z) is over different numbers of data ({', '.join(map(str, over))})"] = tuple(
            name for name in union if name in aggregate_names()
        )
    if not _same_gaps(accounts):
        why["the Jensen gap is not split on the same data"] = tuple(
            name for name in union if name in GAPS and name in common
        )
    # Levels that only some of the models have are left out: there is nothing to pair them with.
    alike = all(a.levels.keys() == accounts[0].levels.keys() for a in accounts)
    candidates = (accounts[0] if alike else replace(accounts[0], levels={})).line_specs
    out = {name for names in why.values() for name in names}
    return tuple(entry for entry in candidates if entry.name not in out), {
        reason: names for reason, names in why.items() if names
    }


def _same_gaps(accounts: Sequence[Account]) -> bool:
    """Whether all Jensen gaps are split, on the same data, or none is."""
    gaps = [a.gaps for a in accounts if a.gaps is not None]
    same = all(np.array_equal(g.index, gaps[0].index) and g.own == gaps[0].own for g in gaps)
    return same and len(gaps) in (0, len(accounts))
