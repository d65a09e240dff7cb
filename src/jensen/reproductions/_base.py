"""The base class of reproductions, and what one writes: a table as text, Markdown and JSON."""

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
    """A column of a table: its heading, and the function that writes a row's cell."""

    heading: str
    cell: Callable[[Row], str]


@dataclass(frozen=True)
class Results:
    """Rows of plain values, and the table that shows them.

    Attributes:
        title: one line.
        columns: of the table.
        rows: each a mapping of plain values.
        notes: sentences under the table.
        details: further values for JSON.
        failed: the number of rows that should have a value and have none.
        files: paths of the files written, the most useful first.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    failed: int = 0
    files: tuple[str, ...] = ()

    def text(self) -> str:
        """Returns the table for a terminal."""
        cells = self._cells()
        widths = [max(len(line[i]) for line in cells) for i in range(len(self.columns))]
        # The first and the last column hold names and remarks, the others numbers.
        lines = [
            "  ".join(
                cell.ljust(width) if i in (0, len(widths) - 1) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths))
            )
            for line in cells
        ]
        lines.insert(1, "-" * max(len(line.rstrip()) for line in lines))
        return "\n".join([self.title, "", *(line.rstrip() for line in lines), "", *self.notes])

    def markdown(self) -> str:
        """Returns the table as Markdown."""
        heading, *body = (
            f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |"
            for line in self._cells()
        )
        rule = "|" + "---|" * len(self.columns)
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([f"# {self.title}", "", heading, rule, *body, "", *notes, ""])

    def to_json(self) -> dict[str, Any]:
        """Returns plain values: what `--json` prints and results.json holds."""
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
        headings = [column.heading for column in self.columns]
        return [headings, *([column.cell(row) for column in self.columns] for row in self.rows)]


class AbstractReproduction(abc.ABC):
    """Published results made again, or an experiment that tests a claim.

    The constructor takes its context by name: `out` (the folder in which it works), `seed` and
    `data_dir` (None: the default places are searched). Keyword-only arguments with a default are
    options. Nothing is computed or written before `run`.

        class MyTable(AbstractReproduction):
            summary = "one line for `jensen reproduce`"

            def __init__(self, out: Path, seed: int, data_dir: str | None, *, epochs: int = 100):
                ...
    """

    summary: ClassVar[str]

    @abc.abstractmethod
    def planned(self) -> Results:
        """Returns a table of what `run` computes, and how much of it is done."""

    @abc.abstractmethod
    def run(self, *, progress: bool = True) -> Results:
        """Computes what is not done yet, and writes the results into the folder.

        Rows that are done are skipped, interrupted trainings are resumed.

        Raises:
            KeyboardInterrupt: the user stopped it. What is done stays, and `run` resumes there.
            ValueError, RunError: an error that concerns all rows. An error of one row is the
                message of that row.
        """


def number(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """Formats a number: '-82.43', '+0.12' with `sign`, and '' for None or NaN.

    number(-82.4312)  # '-82.43'
    """
    if value is None or math.isnan(value):
        return ""
    # Adding 0.0 turns a rounded -0.0 into 0.0.
    return f"{round(value, digits) + 0.0:{'+' if sign else ''}.{digits}f}"


def plus_minus(value: float | None, error: float | None, digits: int = 2) -> str:
    """Formats a value with its error; the value alone when there is no error.

    plus_minus(-82.43, 0.06)  # '-82.43 +- 0.06'
    """
    text, error_text = number(value, digits), number(error, digits)
    return f"{text} +- {error_text}" if text and number(error) else text


def bounded_below(value: float | None, error: float | None, digits: int = 2) -> str:
    """Formats a log p(x) with its error, and as a lower bound when no error covers it.

    bounded_below(-82.43, None)  # '>= -82.43'
    """
    text = plus_minus(value, error, digits)
    return f">= {text}" if text and not number(error) else text


def finite(value: Any) -> Any:
    """Returns the same plain values with None for NaN and infinities, which JSON lacks."""
    if isinstance(value, Mapping):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def store_row(path: Path, settings: Mapping[str, Any], row: Row) -> None:
    """Writes a row beside the settings that it was computed with; `read_stored_row` reads it."""
    write_atomically(path, json.dumps({"settings": settings, "row": finite(row)}))


def read_stored_row(path: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the row stored at `path`; None if there is none that was computed so.

    A file that is damaged or has other settings counts as none: the row is computed again.
    """
    try:
        stored = json.loads(path.read_text())
        return stored["row"] if stored["settings"] == settings else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def paired_difference(values: Any, baseline: Any) -> dict[str, float]:
    """Returns the mean difference of two arrays [N], and its standard error over the data.

    paired_difference(np.ones(4), np.zeros(4))  # {'value': 1.0, 'standard_error': 0.0}
    """
    difference = values - baseline
    return {
        "value": float(difference.mean()),
        "standard_error": float(difference.std(ddof=1) / math.sqrt(len(difference))),
    }


def without(row: Row, *keys: str) -> dict[str, Any]:
    """Returns the row without some of its keys."""
    return {key: value for key, value in row.items() if key not in keys}
