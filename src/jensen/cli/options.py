"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from jensen._rooms import Room, source_defaults

# The defaults of `TrainingOptions`, read in its file: help texts import no library of arrays.
TRAINING_DEFAULTS = source_defaults(Path(__file__).parents[1] / "training" / "options.py")
READING_KEYS = ("binarise", "columns", "header", "index", "key", "seed")


def names(package: str) -> str:
    """The names of a room's members for a help text; imports none of them."""
    return ", ".join(Room(f"jensen.{package}", "").names())


RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help="A run folder, as `jensen fit` writes it.", show_default=False
    ),
]
OptionalRun = Annotated[
    str | None,
    typer.Argument(
        metavar="RUN", help="A run folder, as `jensen fit` writes it.", show_default=False
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Which of the run's own data: train, validation, test or all.", show_default="test"
    ),
]
Reading = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="How --data FILE is read, for instance data.header=false; may be repeated.",
        show_default=False,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
]
Seed = Annotated[
    int | None,
    typer.Option(
        min=0, help="Of everything random here; by default the run's seed.", show_default=False
    ),
]
DataDir = Annotated[
    str | None,
    typer.Option(
        envvar="JENSEN_DATA", help="Where the files of named data sets lie.", show_default=False
    ),
]
OtherData = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Other data than the run's own, a name or a file: all its rows, in their order.",
        show_default=False,
    ),
]
OwnData = Annotated[
    str | None,
    typer.Option("--data", help="The file where the run's own data lie now.", show_default=False),
]
Checkpoint = Annotated[
    int | None,
    typer.Option(
        help="The epoch of the checkpoint to take; the newest by default.", show_default=False
    ),
]
TrustCode = Annotated[
    bool,
    typer.Option(
        "--trust-code",
        help="Allow the .py files outside jensen that the run names (parts, data) to be imported.",
    ),
]


def open_run(
    path: str, checkpoint: int | None = None, trust_code: bool = False, *, writes: bool = False
) -> Any:
    """The run at `path`, quietly; with `writes` its lock is held until the command ends."""
    from jensen.runs import load

    run = load(path, checkpoint=checkpoint, trust_code=trust_code)
    if writes:
        hold_until_the_end(run)
    return run


def open_run_with_rows(
    path: str,
    split: str | None,
    data: str | None,
    data_dir: str | None,
    checkpoint: int | None,
    trust_code: bool,
    reading: dict[str, Any] | None = None,
    *,
    writes: bool = False,
) -> tuple[Any, Any]:
    """(the run at `path`, the rows to evaluate); how other data were read is told on stderr, and
    `writes` is as in `open_run`."""
    run = open_run(path, checkpoint, trust_code, writes=writes)
    from jensen.progress import tell
    from jensen.sessions import rows_to_evaluate

    rows = rows_to_evaluate(run, split, data, data_dir=data_dir, reading=reading)
    tell(rows.notes)
    return run, rows


def data_settings(settings: Sequence[str] | None) -> tuple[dict[str, Any], list[str]]:
    """(what --set data.KEY=VALUE says of reading --data, the other settings).

    Raises:
        ValueError: a key that says nothing of it.

        data_settings(["data.header=false", "alpha=1"])  # ({"header": False}, ["alpha=1"])
    """
    from jensen._rooms import nearest
    from jensen.config import assignments

    settings = settings or []
    own = [setting for setting in settings if setting.partition("=")[0].startswith("data.")]
    reading = assignments(own).get("data", {})
    for key in reading:
        if key not in READING_KEYS:
            raise ValueError(
                f"--set data.{key}: says nothing of how --data FILE is read"
                f"{nearest(key, READING_KEYS)}; known: {', '.join(READING_KEYS)}."
            )
    return reading, [setting for setting in settings if setting not in own]


HELD: list[Any] = []  # runs whose locks this command holds


def hold_until_the_end(run: Any) -> None:
    """Holds a run's lock until the command ends, however it ends."""
    HELD.append(run)
    run.acquire()


def release_held() -> None:
    """Lets go what `hold_until_the_end` held."""
    while HELD:
        HELD.pop().release()


def run_seed(run: Any, seed: int | None) -> int:
    """The given seed, or the run's."""
    return int(run.config.get("seed", 0)) if seed is None else seed


def print_json(value: Any) -> None:
    """One JSON object on stdout; NaN and infinities, which JSON lacks, become null."""
    import json
    import math

    def clean(v: Any) -> Any:
        if isinstance(v, dict):
            return {k: clean(x) for k, x in v.items()}
        if isinstance(v, list | tuple):
            return [clean(x) for x in v]
        return None if isinstance(v, float) and not math.isfinite(v) else v

    print(json.dumps(clean(value), indent=1))
