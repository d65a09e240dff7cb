"""metrics.jsonl: one record per epoch, each line with its own checksum, so that a line costs the
same at every epoch, a kill cuts short the last one only, and a damaged one is told from the rest.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from jensen._checksums import DamageError, from_checked_json, to_checked_json
from jensen._files import write_atomically

NAME = "metrics.jsonl"


class History(NamedTuple):
    """The intact records of a metrics.jsonl, and a sentence for each thing that is wrong."""

    records: list[dict[str, Any]]
    damage: tuple[str, ...]


def read_history(run: Path) -> History:
    """The records in a run folder's metrics.jsonl. A last line that a kill cut short is left out,
    and is no damage; a line that is damaged is left out and named.

    read_history(Path("runs/digits")).records[-1]["epoch"]
    """
    path = run / NAME
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return History([], (f"{path} is missing: the run's history is lost.",))
    lines = text.split("\n")
    records, damage, last = [], [], 0
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            record = from_checked_json(line).values
            epoch = record.get("epoch")
            if not isinstance(epoch, int) or epoch <= last:
                raise DamageError(f"its epoch is {epoch!r}, after {last}")
            if not {"train", "validation", "seconds"} <= record.keys():
                raise DamageError("it lacks entries")
        except DamageError as error:
            if number < len(lines):
                damage.append(f"{path}: line {number} is damaged ({error}); it is left out.")
            continue
        last = epoch
        records.append(record)
    gaps = _gaps([record["epoch"] for record in records])
    if gaps:
        damage.append(f"{path} has no record of epoch {', '.join(gaps)}.")
    return History(records, tuple(damage))


def write_history(run: Path, records: Iterable[dict[str, Any]]) -> None:
    """Replaces a run folder's metrics.jsonl.

    write_history(Path("runs/digits"), [])
    """
    text = "".join(f"{to_checked_json(record)}\n" for record in records)
    write_atomically(run / NAME, text, parents=False)


class HistoryFile:
    """Within it, a function that adds an epoch's record to the metrics.jsonl of a run folder.

    with HistoryFile(lambda: Path("runs/digits")) as write: write(record)
    """

    def __init__(self, run: Callable[[], Path]):
        self._run = run

    def __enter__(self) -> Callable[[dict[str, Any]], None]:
        self._file = open(self._run() / NAME, "a", encoding="utf-8")
        return self._write

    def __exit__(self, *_: Any) -> None:
        self._file.close()

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(to_checked_json(record) + "\n")
        self._file.flush()


def _gaps(epochs: list[int]) -> list[str]:
    """The epochs that are missing before the last, as '3' or '5 to 7'."""
    out, expected = [], 1
    for epoch in epochs:
        if epoch > expected:
            one = epoch - 1 == expected
            out.append(str(expected) if one else f"{expected} to {epoch - 1}")
        expected = epoch + 1
    return out
