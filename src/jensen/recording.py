"""Where the records of a training go while it runs, and how it is asked to stop."""

import contextlib
import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jensen.anatomy.in_training import accounts_of


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Within it, the first SIGINT or SIGTERM asks the training to stop after its epoch; a second SIGINT stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def handler(number, frame):
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {s: signal.signal(s, handler) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for s, old in before.items():
            signal.signal(s, old)


@contextlib.contextmanager
def metrics_file(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Within it, a function that adds an epoch's record to the run folder's metrics.jsonl."""
    with open(path / "metrics.jsonl", "a") as file:

        def write(record: dict[str, Any]) -> None:
            file.write(json.dumps(record) + "\n")
            file.flush()

        yield write


@contextlib.contextmanager
def tensorboard(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Within it, a function that writes an epoch's record as scalars for TensorBoard.

    Raises:
        ValueError: the extra is not installed.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise ValueError(
            "record.tensorboard needs the extra: pip install 'jensen[tensorboard]'."
        ) from None
    with SummaryWriter(str(path / "tensorboard")) as writer:

        def write(record: dict[str, Any]) -> None:
            writer.add_scalar("beta", record["beta"], record["epoch"])
            for split in ("train", "validation"):
                for term, value in (record[split] or {}).items():
                    writer.add_scalar(f"{term}/{split}", value, record["epoch"])
            for account in accounts_of([record]):
                values = {
                    name: entry["value"]
                    for name, entry in account.items()
                    if isinstance(entry, dict)
                }
                for name, value in (
                    values
                    | {
                        name: account[name]
                        for name in ("log_n", "index_ceiling", "active_units")
                        if name in account  # records of earlier versions have no index_ceiling
                    }
                ).items():
                    writer.add_scalar(
                        f"{name}/{account['n']}_training_data", value, record["epoch"]
                    )

        yield write
