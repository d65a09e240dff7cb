"""Two accounts side by side, paired on the same data points."""

import math
from dataclasses import dataclass

import numpy as np

from jensen.anatomy._lines import OF_Q_Z
from jensen.anatomy._record import Account
from jensen.anatomy.table import GAP_ROWS, ROWS, table_rows

GAPS = tuple(name for name, _, _ in GAP_ROWS)


@dataclass(frozen=True)
class Difference:
    """One line of two accounts: the values, second minus first, and the paired standard error of that difference (nats per datum)."""

    first: float
    second: float
    difference: float
    standard_error: float


@dataclass(frozen=True)
class Comparison:
    """Two accounts compared line by line; prints as a table."""

    names: tuple[str, str]
    split: str
    n: int
    lines: dict[str, Difference]
    rows: tuple[tuple[str, str, str], ...] = ROWS

    def to_json(self) -> dict:
        """Plain values: what `jensen compare A B --json` prints."""
        return {"first": self.names[0], "second": self.names[1], "split": self.split, "n": self.n, **{k: vars(v) for k, v in self.lines.items()}}

    def __str__(self) -> str:
        width = max(12, *(len(n) for n in self.names))
        out = [
            f"{self.names[1]} minus {self.names[0]}, {self.split} split, paired on the same {self.n} data; nats per datum",
            "",
            f"  {'line':<22}{self.names[0]:>{width}}  {self.names[1]:>{width}}  {'difference':>10}   {'+-':>6}",
            "  " + "-" * (46 + 2 * width),
        ]
        for name, label, _ in self.rows:
            d = self.lines[name]
            clear = "" if abs(d.difference) < 2 * d.standard_error or d.difference == 0 else "  *"
            out.append(f"  {label:<22}{d.first:>{width}.3f}  {d.second:>{width}.3f}  {d.difference:>+10.3f}   {d.standard_error:>6.3f}{clear}")
        if not self.lines.keys() & set(OF_Q_Z):
            out += ["", "  I(n; z) and the marginal KL are left out: the two q(z) are over different numbers of data."]
        elbo = self.lines["elbo"]
        better = self.names[1] if elbo.difference > 0 else self.names[0]
        clear = abs(elbo.difference) > 2 * elbo.standard_error
        out += ["", "  * differs by more than two standard errors of the paired difference", ""]
        out.append(
            f"  {better} has the higher ELBO, by {abs(elbo.difference):.3f} +- {elbo.standard_error:.3f} nats per datum."
            if clear
            else "  The two ELBOs do not differ by more than two standard errors."
        )
        return "\n".join(out)


def compare(first: Account, second: Account, *, names: tuple[str, str] = ("first", "second")) -> Comparison:
    """Second minus first, line by line; the standard error is that of the mean of the paired differences over the data.

    Raises:
        ValueError: the accounts are of different data points.

    I(n; z) and the marginal KL are left out where the two accounts take q(z) over different numbers of data, the parts of the Jensen gap where they are not of
    the same data; a family of posteriors may differ, as each encoder has its own.

        print(compare(run_a.account, run_b.account))
    """
    if first.n != second.n or first.fingerprint != second.fingerprint:
        raise ValueError(
            f"{names[0]} and {names[1]} were not evaluated on the same data points ({first.split}: {first.n}, {second.split}: {second.n} data; "
            "fingerprints differ): a paired comparison would be meaningless. Account for both on the same split of the same data."
        )
    lines = {}
    over = [a.aggregated_over or a.n for a in (first, second)]
    # Levels that only one of the two models has are left out: there is nothing to pair them with.
    rows = table_rows(first) if first.levels.keys() == second.levels.keys() else ROWS
    if over[0] != over[1]:  # I(n; z) of fewer data is lower by that alone
        rows = tuple(row for row in rows if row[0] not in OF_Q_Z)
    if not _same_gaps(first, second):
        rows = tuple(row for row in rows if row[0] not in GAPS)
    for name, _, _ in rows:
        a, b = first.line(name), second.line(name)
        d = b.per_datum - a.per_datum
        lines[name] = Difference(a.value, b.value, float(d.mean()), float(d.std(ddof=1) / math.sqrt(len(d))) if len(d) > 1 else math.nan)
    return Comparison(names, first.split, first.n, lines, rows)


def _same_gaps(first: Account, second: Account) -> bool:
    """Whether both Jensen gaps are split, on the same data."""
    one, other = first.gaps, second.gaps
    return one is not None and other is not None and np.array_equal(one.index, other.index) and one.own == other.own
