"""Three and more accounts side by side, each paired with the first, and ranked.

With many comparisons some differences cross two standard errors by chance. Bonferroni's threshold
for m of them, z(1 - 0.05 / 2m) standard errors, is crossed by any of them with a probability of at
most 5% where there is no difference at all.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from jensen.anatomy.line_table import LineSpec, spec
from jensen.anatomy.lines import SIGN, clear_difference, plain_bounds

if TYPE_CHECKING:
    import xarray

TIE = 2.0  # standard errors
WIDTH = 112  # of a block of columns, in characters
RANKED = ("elbo", "evidence")


@dataclass(frozen=True)
class ComparedLine:
    """One line of one account beside the first account's, nats per datum.

    Attributes:
        value: of the line.
        difference: what it is above the first account's.
        standard_error: of the difference, paired over the data.
        bound: "lower" where the value is a lower bound.
        difference_bound: what the difference then is: "lower", "upper", or "unknown" where both
            values are lower bounds.
    """

    value: float
    difference: float
    standard_error: float
    bound: str = ""
    difference_bound: str = ""


@dataclass(frozen=True)
class RankedAccount:
    """One account in a ranking, nats per datum.

    Attributes:
        name: of the account.
        value: of the line that ranks it.
        behind: how far it is behind the best.
        standard_error: of `behind`, paired over the data.
        tied: whether it is not distinguishable from the best.
    """

    name: str
    value: float
    behind: float
    standard_error: float
    tied: bool


@dataclass(frozen=True)
class RankedComparison:
    """Three or more accounts compared line by line with the first, and ranked; prints as a table.

    Attributes:
        names: of the accounts; differences are to the first.
        split, n: which data, and how many.
        lines: for every line that all have, an `ComparedLine` for each account.
        rows: the entries of these lines in the table of lines, in order.
        left_out: {reason: the lines that are left out for it}.
        per_datum: the values per datum of ELBO and evidence, which the rankings pair.
    """

    names: tuple[str, ...]
    split: str
    n: int
    lines: Mapping[str, tuple[ComparedLine, ...]]
    rows: tuple[LineSpec, ...]
    left_out: Mapping[str, tuple[str, ...]]
    per_datum: Mapping[str, tuple[np.ndarray, ...]] = field(repr=False)

    @property
    def comparisons(self) -> int:
        """How many differences there are: lines times accounts, but for the first."""
        return len(self.lines) * (len(self.names) - 1)

    @property
    def bonferroni(self) -> float:
        """How many standard errors a difference must have to be marked.

        At this threshold all comparisons together err with a probability of at most 5%.
        """
        return NormalDist().inv_cdf(1 - 0.05 / (2 * max(1, self.comparisons)))

    def ranking(self, line: str = "elbo") -> tuple[RankedAccount, ...]:
        """The accounts by 'elbo' or 'evidence', the best first; each paired with the best.

        compare(a, b, c).ranking()[0].name
        """
        values = self.per_datum[line]
        order = sorted(range(len(values)), key=lambda i: -float(values[i].mean()))
        places = []
        for i in order:
            behind, error = paired(values[order[0]], values[i])
            # An unknown error (NaN, of one datum) tells nothing apart.
            tied = behind == 0 or not abs(behind) > TIE * error
            places.append(
                RankedAccount(self.names[i], float(values[i].mean()), behind, error, tied)
            )
        return tuple(places)

    def to_json(self) -> dict[str, Any]:
        """Plain values: what `jensen compare A B C --json` prints."""
        return {
            "runs": list(self.names),
            "split": self.split,
            "n": self.n,
            "unit": "nats per datum",
            "lines": {
                name: {
                    run: plain_bounds(vars(e)) for run, e in zip(self.names, entries, strict=True)
                }
                for name, entries in self.lines.items()
            },
            "left_out": {reason: list(names) for reason, names in self.left_out.items()},
            "ranking": {line: [vars(p) for p in self.ranking(line)] for line in RANKED},
            "comparisons": self.comparisons,
            "bonferroni_threshold": self.bonferroni,
        }

    def to_dataset(self) -> "xarray.Dataset":
        """An xarray Dataset over `run` and `line`, nats per datum.

        It holds the value, the difference to the first run and its paired standard error.

        compare(a, b, c).to_dataset()["difference"].sel(line="elbo")
        """
        return entries_dataset(self.names, self.split, self.n, self.lines)

    def __str__(self) -> str:
        width = max(17, *(len(name) for name in self.names))
        at_a_time = max(1, (WIDTH - 32 - width) // (width + 2))
        out = [
            (
                f"each minus {self.names[0]}, {self.split} split, paired on the same {self.n} "
                "data; nats per datum"
            ),
            "",
        ]
        columns = range(1, len(self.names))
        for start in range(0, len(columns), at_a_time):
            out += [*self._block((0, *columns[start : start + at_a_time]), width), ""]
        for reason, names in self.left_out.items():
            labels = ", ".join(spec(name).label for name in names)
            out.append(f"  Left out: {labels} ({reason}).")
        out += ["", *(self._ranked(line) for line in RANKED), ""]
        out += [
            (
                "  *  beyond two standard errors of the paired difference; of "
                f"{self.comparisons} comparisons, about {0.0455 * self.comparisons:.1f} would be "
                "by chance if nothing differed"
            ),
            (
                f"  ** beyond Bonferroni's threshold for {self.comparisons} comparisons at 5%: "
                f"{self.bonferroni:.2f} standard errors"
            ),
        ]
        return "\n".join(out)

    def _block(self, columns: Sequence[int], width: int) -> list[str]:
        head = f"  {'line':<28}" + "".join(f"  {self.names[i]:>{width}}" for i in columns)
        out = [head, "  " + "-" * (len(head) - 2)]
        for row in self.rows:
            entries = [self.lines[row.name][i] for i in columns]
            out.append(
                f"  {row.text_label:<28}"
                + "".join(
                    f"  {SIGN[e.bound] + f'{round(e.value, 3) + 0.0:.3f}':>{width}}"
                    for e in entries
                )
            )
            out.append(
                (
                    " " * (32 + width)
                    + "".join(f"  {self._marked(e):>{width}}" for e in entries[1:])
                ).rstrip()
            )
        return out

    def _marked(self, entry: ComparedLine) -> str:
        if entry.difference_bound:
            sure = clear_difference(entry.difference, entry.standard_error, entry.difference_bound)
            return f"{SIGN[entry.difference_bound]}{entry.difference:+.3f} {'* ' if sure else '  '}"
        size = (
            abs(entry.difference) / entry.standard_error
            if entry.standard_error > 0
            else math.inf
            if entry.difference
            else 0.0
        )
        mark = "**" if size > self.bonferroni else "* " if size > 2 else "  "
        return f"{entry.difference:+.3f} +- {entry.standard_error:.3f} {mark}"

    def _ranked(self, line: str) -> str:
        best, *rest = self.ranking(line)
        bounds = {
            name: entry.bound
            for name, entry in zip(self.names, self.lines.get(line, ()), strict=False)
            if entry.bound
        }
        if bounds:
            places = "; ".join(
                f"{p.name} {SIGN[bounds.get(p.name, '')]}{p.value:.3f}" for p in (best, *rest)
            )
            return (
                f"  By {spec(line).label}: {places}. No ranking: of {', '.join(bounds)} only lower "
                "bounds are known, since k-hat distrusts the estimate."
            )
        places = [
            f"{p.name} {p.value:.3f} ({p.behind:.3f} +- {p.standard_error:.3f} behind)"
            for p in rest
        ]
        ties = [p.name for p in rest if p.tied]
        end = (
            f"Not distinguishable from the best: {', '.join(ties)}."
            if ties
            else "The best is ahead of all others by more than two standard errors."
        )
        ranked = "; ".join([f"{best.name} {best.value:.3f}", *places])
        return f"  By {spec(line).label}: {ranked}. {end}"


def paired(values: np.ndarray, baseline: np.ndarray) -> tuple[float, float]:
    """Compute the mean of the differences datum by datum, and its standard error over the data.

    The standard error is NaN for one datum.

    paired(np.ones(4), np.zeros(4))  # (1.0, 0.0)
    """
    d = values - baseline
    return float(d.mean()), float(d.std(ddof=1) / math.sqrt(len(d))) if len(d) > 1 else math.nan


def entries_dataset(
    names: Sequence[str], split: str, n: int, lines: Mapping[str, Sequence[ComparedLine]]
) -> "xarray.Dataset":
    """Entries of several accounts as an xarray Dataset over `run` and `line`."""
    import xarray

    variables = {
        name: (
            ("run", "line"),
            np.array([[getattr(e, name) for e in entries] for entries in lines.values()]).T,
            {"units": "nats per datum"},
        )
        for name in ("value", "difference", "standard_error")
    }
    return xarray.Dataset(
        variables,
        coords={"run": list(names), "line": list(lines)},
        attrs={"split": split, "n": n, "difference_to": names[0]},
    )
