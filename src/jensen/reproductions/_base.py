"""What a reproduction is, and what it leaves behind: a table as text, results.md, results.json and a picture."""

import abc
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from jensen._files import write_atomically

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A column of a table: its heading, and a row's cell as text."""

    heading: str
    cell: Callable[[Row], str]


@dataclass(frozen=True)
class Results:
    """Rows of plain values, and how they are shown.

    Attributes:
        title: one line.
        columns: of the table.
        rows: one mapping of plain values each.
        notes: what a reader of the table has to know.
        details: further values for JSON.
        failed: how many rows have no figure although one was asked for.
        files: what was written, in the order in which a reader wants it.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    failed: int = 0
    files: tuple[str, ...] = ()

    def text(self) -> str:
        """The table for a terminal."""
        cells = self._cells()
        widths = [max(len(line[i]) for line in cells) for i in range(len(self.columns))]
        lines = [
            "  ".join(
                cell.ljust(w) if i in (0, len(widths) - 1) else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(line, widths))
            )
            for line in cells
        ]
        lines.insert(1, "-" * max(len(line.rstrip()) for line in lines))
        return "\n".join([self.title, "", *(line.rstrip() for line in lines), "", *self.notes])

    def markdown(self) -> str:
        """The table as Markdown."""
        head, *body = (
            f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |"
            for line in self._cells()
        )
        return "\n".join(
            [
                f"# {self.title}",
                "",
                head,
                "|" + "---|" * len(self.columns),
                *body,
                "",
                *(f"- {note}" for note in self.notes),
                "",
            ]
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values: what `--json` prints and results.json holds."""
        return {
            "title": self.title,
            **self.details,
            "rows": [dict(row) for row in self.rows],
            "notes": list(self.notes),
            "files": list(self.files),
        }

    def write(self, folder: Path) -> None:
        """Writes results.json and results.md into the folder, each whole or not at all."""
        write_atomically(folder / "results.json", json.dumps(finite(self.to_json()), indent=1))
        write_atomically(folder / "results.md", self.markdown())

    def _cells(self) -> list[list[str]]:
        return [
            [c.heading for c in self.columns],
            *([c.cell(row) for c in self.columns] for row in self.rows),
        ]


class AbstractReproduction(abc.ABC):
    """Published figures made again, or a claim put to the test.

    Constructed from context by name: `out` (the folder it works in), `seed`, `data_dir` (None: where the data are otherwise looked for); keyword-only arguments
    with a default are its options. Nothing is computed or written before `run`.

        class MyTable(AbstractReproduction):
            def __init__(self, out: Path, seed: int, data_dir: str | None, *, epochs: int = 100): ...
    """

    summary: ClassVar[str]

    @abc.abstractmethod
    def planned(self) -> Results:
        """What would be run, and what of it is done; nothing is run."""

    @abc.abstractmethod
    def run(self, *, progress: bool = True) -> Results:
        """Runs what is not done, goes on with what was interrupted, skips what is done; writes results into the folder.

        Raises:
            KeyboardInterrupt: the user stopped it; what is done is kept, and `run` goes on from there.
            ValueError, RunError: what is wrong for all rows; what is wrong for one is said in that row.
        """


def number(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """'-82.43', '+0.12' with a sign, and '' for None or NaN.

    number(-82.4312)  # '-82.43'
    """
    if value is None or math.isnan(value):
        return ""
    return f"{round(value, digits) + 0.0:{'+' if sign else ''}.{digits}f}"


def plus_minus(value: float | None, error: float | None, digits: int = 2) -> str:
    """'-82.43 +- .06' as a table shows it; without error, the value alone.

    plus_minus(-82.43, 0.06)  # '-82.43 +- 0.06'
    """
    return number(value, digits) + (
        f" +- {number(error, digits)}" if number(value) and number(error) else ""
    )


def finite(value: Any) -> Any:
    """The same plain values with NaN and infinities, which JSON lacks, as None."""
    if isinstance(value, Mapping):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
