"""`jensen bounds`: every bound of a trained model, on the same draws."""

from typing import Annotated, Any

import typer

from jensen.cli.options import (
    Checkpoint,
    DataDir,
    Json,
    OtherData,
    RunArgument,
    Seed,
    Split,
    TrustCode,
    data_settings,
    names,
    open_run_with_rows,
    print_json,
    run_seed,
)

HELP = """Evaluate bounds on log p(x) of a run's model, all on the same posterior draws, in nats per
datum, at beta = 1.

Each line says what it guarantees: 'lower' bounds lie below log p(x) in expectation; cubo and eubo
approach it from above in the limit only, and their values certify nothing.

Example: jensen bounds runs/digits --num-samples 64 --bound iwae --bound renyi --set renyi.alpha=0.2
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("bounds", help=HELP)(bounds)


def bounds(
    run: RunArgument,
    bound: Annotated[
        list[str] | None,
        typer.Option(
            help=f"One of: {names('bounds')}, or a .py file; may be repeated. All by default."
        ),
    ] = None,
    num_samples: Annotated[int, typer.Option(min=1, help="Samples K per datum of one value.")] = 64,
    repeats: Annotated[
        int,
        typer.Option(help="Independent values per datum, averaged; they give the standard error."),
    ] = 4,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="BOUND.OPTION=VALUE",
            help="Or data.KEY=VALUE of how --data is read; may be repeated.",
            show_default=False,
        ),
    ] = None,
    split: Split = None,
    data: OtherData = None,
    data_dir: DataDir = None,
    seed: Seed = None,
    checkpoint: Checkpoint = None,
    trust_code: TrustCode = False,
    json: Json = False,
) -> None:
    """See HELP."""
    from jensen.bounds import bounds as room
    from jensen.config import assignments

    reading, settings = data_settings(set_)
    options: dict[str, dict[str, Any]] = assignments(settings)
    chosen = {name: room.build(name, options.pop(name, {}), {}) for name in (bound or room.names())}
    if options:
        raise ValueError(
            f"--set {next(iter(options))}...: no such bound among those evaluated: "
            f"{', '.join(chosen)}."
        )
    opened, rows = open_run_with_rows(run, split, data, data_dir, checkpoint, trust_code, reading)
    from jensen.evidence import evaluate_bounds
    from jensen.progress import CountProgress
    from jensen.sessions import stream_key

    skipped = (
        {}
        if bound
        else {name: reason for name, b in chosen.items() if (reason := b.objection(num_samples))}
    )
    chosen = {name: b for name, b in chosen.items() if name not in skipped}
    key = stream_key(run_seed(opened, seed), "evidence")
    with CountProgress() as bar:
        found = evaluate_bounds(
            opened.model,
            rows.values,
            chosen,
            key=key,
            num_samples=num_samples,
            repeats=repeats,
            on_progress=bar.advance,
        )
    if json:
        lines = {
            name: {
                "value": v.value,
                "standard_error": v.standard_error,
                "guarantee": chosen[name].guarantee,
                "sign": chosen[name].sign,
            }
            for name, v in found.items()
        }
        from jensen.cli.output import row_lists

        print_json(
            {
                "bounds": lines,
                "skipped": skipped,
                "num_samples": num_samples,
                "n": len(rows),
                "split": rows.name,
                "unit": "nats per datum",
                **({} if data is None else {"rows": row_lists(rows)}),
            }
        )
        return
    print(
        f"Bounds on log p(x), {num_samples} samples each, {len(rows)} {rows.name} data, "
        "nats per datum"
    )
    width = max(len(_title(name, b)) for name, b in chosen.items()) if chosen else 0
    for name, value in sorted(found.items(), key=lambda item: item[1].value):
        print(
            f"  {_title(name, chosen[name]):<{width}}  {value.value:10.3f} +- "
            f"{value.standard_error:.3f}  {_says(chosen[name])}"
        )
    for name, reason in skipped.items():
        print(f"  {name}: not evaluated: {reason}")


def _title(name: str, bound: Any) -> str:
    from dataclasses import fields

    options = ", ".join(f"{f.name} {getattr(bound, f.name)}" for f in fields(bound))
    return f"{name} ({options})" if options else name


def _says(bound: Any) -> str:
    return (
        "lower bound"
        if bound.guarantee == "lower"
        else "from above in the limit; the value certifies nothing"
    )
