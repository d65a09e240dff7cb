"""Where the records of a training go beside its history, and how it is asked to stop."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jensen.anatomy.in_training import accounts_of


@contextlib.contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Within it, the first SIGINT, SIGTERM or SIGHUP asks the training to stop after its epoch; a
    SIGINT after that stops at once. Where SIGHUP is ignored (`nohup`) it stays so."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def handler(number, frame):
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    numbers = [
        getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
    ]
    before = {
        number: signal.signal(number, handler)
        for number in numbers
        if not (number.name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN)
    }
    try:
        yield asked.is_set
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)


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
