"""Options that several commands share."""

from typing import Annotated, Any

import typer

from jensen._rooms import Room


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
Split = Annotated[str, typer.Option(help="Which data: train, validation or test.")]
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
        "--data", help="Other data than the run's own: a name or a file.", show_default=False
    ),
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


def open_run_with_data(
    path: str,
    data: str | None,
    data_dir: str | None,
    checkpoint: int | None,
    trust_code: bool,
    *,
    writes: bool = False,
) -> tuple[Any, Any]:
    """(the run at `path`, its data set or the other one named); `writes` as in `open_run`."""
    run = open_run(path, checkpoint, trust_code, writes=writes)
    return run, run.load_data(data, data_dir=data_dir)


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
