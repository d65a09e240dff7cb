"""`jensen gradients`: signal and noise of the gradient estimators at a run's parameters."""

from pathlib import Path
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

HELP = """Signal and noise of gradient estimators at a run's parameters, for encoder, decoder and prior, against the number of samples K.

signal is the length of the expected gradient of one step, noise the length of its standard deviation over posterior draws, s/n their ratio with a standard
error. For iwae the encoder's ratio falls with K under pathwise and does not under doubly_reparameterised (Rainforth et al. 2018; Tucker et al. 2019). A
picture of the ratios is written to the run's figures.

Example: jensen gradients runs/digits --bound iwae --num-samples 1,8,64 --gradient pathwise --gradient doubly_reparameterised
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("gradients", help=HELP)(gradients)


def gradients(
    run: RunArgument,
    bound: Annotated[
        str | None,
        typer.Option(help=f"One of: {names('bounds')}, or a .py file.", show_default="the run's"),
    ] = None,
    gradient: Annotated[
        list[str] | None,
        typer.Option(
            help=f"One of: {names('gradients')}; may be repeated.", show_default="all valid ones"
        ),
    ] = None,
    num_samples: Annotated[
        str, typer.Option(help="Numbers K of samples per datum, separated by commas.")
    ] = "1,8,64",
    draws: Annotated[
        int,
        typer.Option(help="Independent gradients whose mean and variance are taken; at least 20."),
    ] = 100,
    rows: Annotated[
        int, typer.Option(min=1, help="Data in the step: the first so many of the split.")
    ] = 20,
    beta: Annotated[float, typer.Option(min=0, help="The weight of the KL term.")] = 1.0,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="bound.alpha=0.2, gradient.floor=0.5, or data.KEY of how --data is read ...",
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
    reading, settings = data_settings(set_)
    opened, of_split = open_run_with_rows(
        run, split, data, data_dir, checkpoint, trust_code, reading
    )
    from jensen._files import write_atomically
    from jensen.config import assignments
    from jensen.reports import draw_signal
    from jensen.sessions import stream_key

    counts = _counts(num_samples)
    options: dict[str, Any] = assignments(settings)
    kept = opened.config["bound"]
    name = bound or kept["name"]
    chosen_bound = _build(
        "bound", name, (kept if name == kept["name"] else {}) | options.get("bound", {})
    )
    data_rows = of_split.values[:rows]
    key = stream_key(run_seed(opened, seed), "gradients")
    found, refused = _measure(
        opened.model,
        chosen_bound,
        gradient,
        options.get("gradient", {}),
        data_rows,
        counts,
        draws,
        beta,
        key,
    )
    folder = Path(opened.path) / "figures"
    folder.mkdir(exist_ok=True)
    for file, content in draw_signal(found).items():
        write_atomically(folder / file, content)
    picture = folder / "gradients.png"
    if json:
        record = {
            "bound": name,
            "lines": found,
            "refused": refused,
            "n": len(data_rows),
            "draws": draws,
            "beta": beta,
            "split": of_split.name,
            "rows": of_split.numbers[:rows].tolist(),
        }
        print_json(record | {"picture": str(picture)})
        return
    print(
        f"Gradients of the {name} bound at beta = {beta:g}, {len(data_rows)} {of_split.name} data, "
        f"{draws} draws of each"
    )
    print(f"  {'estimator':<24}{'K':>6}  {'part':<8}{'signal':>11}{'noise':>11}{'s/n':>9}")
    for line in found:
        ratio = f"{line['ratio']:9.3f} +- {line['standard_error']:.3f}"
        print(
            f"  {line['gradient']:<24}{line['num_samples']:>6}  {line['part']:<8}{line['signal']:11.4g}{line['deviation']:11.4g}{ratio}"
        )
    for reason in refused:
        print(f"  not measured: {reason}")
    print(f"picture: {picture}")


def _measure(
    model, bound, wanted, options, data, counts, draws, beta, key
) -> tuple[list[dict[str, Any]], list[str]]:
    from dataclasses import asdict

    from jensen._rooms import nearest
    from jensen.gradients import gradient_noise, gradients
    from jensen.progress import CountProgress, renamed

    lines, refused = [], []
    chosen = wanted or gradients.names()
    known = {option for name in chosen for option in gradients.options(name)}
    for option in options:
        if option not in known:
            raise ValueError(
                f"--set gradient.{option}: none of {', '.join(chosen)} has it{nearest(option, tuple(known))}; they have: {', '.join(known) or 'none'}."
            )
    for name in chosen:
        estimator = _build("gradient", name, options)
        for count in counts:
            try:
                estimator.check(bound, model, count)
            except ValueError as error:
                if wanted and len(counts) == 1:
                    raise
                if wanted:
                    refused.append(f"K = {count}: {error}")
                continue
            with CountProgress() as bar:
                found = gradient_noise(
                    model,
                    data,
                    bound,
                    estimator,
                    key=key,
                    num_samples=count,
                    draws=draws,
                    beta=beta,
                    on_progress=renamed(bar.advance, f"{name}, K = {count}"),
                )
            lines += [
                {"gradient": name, "num_samples": count, "part": part, **asdict(noise)}
                for part, noise in found.items()
            ]
    if not lines:
        why = (
            "; ".join(refused)
            or bound.objection(min(counts))
            or "try more samples, for instance --num-samples 8,64."
        )
        raise ValueError(f"no estimator goes with this bound, model and numbers of samples: {why}")
    return lines, refused


def _build(section: str, name: str, options: dict[str, Any]) -> Any:
    from jensen._rooms import ROOMS

    room = ROOMS[section]
    if section == "gradient":  # one set of options for several estimators
        options = {key: value for key, value in options.items() if key in room.options(name)}
    return room.resolve({**options, "name": name}).build({})


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise ValueError(
            f"--num-samples wants numbers of 1 or more, separated by commas, for instance 1,8,64; got {text!r}."
        )
    return counts
