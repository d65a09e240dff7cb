"""How far something long is: what functions report, and what a person sees of it.

Every function that takes long takes `on_progress`, called as `on_progress(what, done, total)`;
`silent` is its default. People see one live line on stderr in a terminal, and now and then a plain
line elsewhere.
"""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # everything that reports progress imports this file
    from jensen.training import TrainingOptions

PLAIN_SECONDS = 10.0
OnProgress = Callable[[str, int, int], None]  # what is being done, how much is done, the total


def silent(what: str, done: int, total: int) -> None:
    """Shows no progress: the default of `on_progress`.

    silent("evidence", 5, 10)
    """
    del what, done, total


def of_task(on_progress: OnProgress, what: str) -> Callable[[int, int], None]:
    """What work that is one task reports to, by how much is done and the total alone.

    of_task(on_progress, "evidence")(5, 10)  # on_progress("evidence", 5, 10)
    """
    return lambda done, total: on_progress(what, done, total)


def renamed(on_progress: OnProgress, what: str) -> OnProgress:
    """The same, with another name for what is being done.

    renamed(bar.advance, "evidence, S = 5000")("evidence", 5, 10)
    """
    return lambda _, done, total: on_progress(what, done, total)


class FitProgress(AbstractContextManager):
    """The progress of a training: epoch, train and validation bound, beta, best epoch, time left;
    first of all the objective, where it is not the bound.

    with FitProgress(options) as line: line.epoch(record)
    """

    def __init__(
        self,
        options: "TrainingOptions",
        *,
        shown: bool = True,
        first_epoch: int = 0,
        objective: str = "",
    ):
        self._options = options
        self._objective = objective
        self._shown = shown
        self._first = first_epoch
        self._began = self._plain_at = time.monotonic()
        self._live = None

    def __enter__(self):
        if self._shown:
            from rich.console import Console
            from rich.live import Live
            from rich.text import Text

            if self._objective:
                print(f"training {self._objective}", file=sys.stderr)
            console = Console(stderr=True)
            if console.is_terminal:
                self._live = Live(
                    Text("compiling ..."), console=console, refresh_per_second=4, transient=False
                )
                self._live.start()
            else:
                print("compiling ...", file=sys.stderr)
        return self

    def __exit__(self, *_):
        if self._live is not None:
            self._live.stop()

    def compiled(self, seconds: float) -> None:
        """Says how long compiling took."""
        self._began = time.monotonic()
        if self._shown and self._live is None:
            print(f"compiled in {seconds:.1f} s", file=sys.stderr)

    def epoch(self, record: dict[str, Any]) -> None:
        """Shows one epoch's record."""
        if not self._shown:
            return
        now = time.monotonic()
        last = record["epoch"] == self._options.epochs
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(self._text(record, now)))
        elif last or now - self._plain_at > PLAIN_SECONDS or record["epoch"] == self._first + 1:
            self._plain_at = now
            print(self._text(record, now), file=sys.stderr)

    def _text(self, record: dict[str, Any], now: float) -> str:
        epoch, total = record["epoch"], self._options.epochs
        seconds_left = (now - self._began) / max(1, epoch - self._first) * (total - epoch)
        validation = (
            f"  validation {record['validation']['bound']:9.3f}" if record["validation"] else ""
        )
        at_most = "at most " if self._options.patience and epoch < total else ""
        return (
            f"epoch {epoch:>{len(str(total))}}/{total}  "
            f"bound (nats): train {record['train']['bound']:9.3f}{validation}  "
            f"beta {record['beta']:.2f}  best epoch {record['best_epoch']}  "
            f"{at_most}{clock(seconds_left)} left"
        )


class CountProgress(AbstractContextManager):
    """The progress of work that is counted: `advance` is an `on_progress`. A bar with the time left
    on a terminal, elsewhere a plain line every ten seconds.

    with CountProgress() as bar: account(..., on_progress=bar.advance)
    """

    def __init__(self, *, shown: bool = True):
        self._shown = shown
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}
        self._began: dict[str, float] = {}
        self._plain_at = time.monotonic()

    def __enter__(self):
        if self._shown and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            columns = (
                TextColumn("{task.description:<22}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.stop()

    def advance(self, what: str, done: int, total: int) -> None:
        """Shows that `done` of `total` is done."""
        if self._bar is None:
            self._plain(what, done, total)
            return
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=total)
        self._bar.update(self._tasks[what], completed=done)

    def _plain(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        began = self._began.setdefault(what, self._plain_at)
        if self._shown and done < total and now - self._plain_at > PLAIN_SECONDS:
            self._plain_at = now
            seconds_left = (now - began) / max(done, 1) * (total - done)
            print(f"{what}: {done} of {total}, {clock(seconds_left)} left", file=sys.stderr)


def clock(seconds: float) -> str:
    """'12 s', '3:05', '2:10:00'.

    clock(185)  # '3:05'
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def tell(notes: Sequence[str]) -> None:
    """Prints on stderr what was assumed of data, but not where they were read: that was said."""
    for note in notes:
        if not note.startswith("read from "):
            print(f"note: {note}", file=sys.stderr)
