"""`jensen reproduce`: published figures made again."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from jensen.cli.options import DataDir, Json, TrustCode, names, print_json

HELP = """Make published figures again, and see them beside ours; without a NAME, list what there is.

vampprior: the VampPrior paper's table, each row a recipe that `jensen fit --config` runs alone. Rows take hours on CPUs; --epochs shortens the schedule, and
the row says so.

prior-ladder: priors in the order in which they look at the data, from N(0, I) to the aggregated posterior, on one frozen encoder; minutes for digits, far
longer for mnist. By --set: components=[1,10,100] (the K to measure; K = N is always there), rows=1500 (data of each split whose evidence is estimated),
base_epochs=100 (of the first training).

temperature: one VAE for each KL weight beta = 1/4 ... 16, accounted for at beta = 1, and one for each prior variance 1/beta at beta = 1; minutes for digits,
hours for mnist. By --set: betas=[0.5,1,2], rows=500 (test data to account for).

iwae: the tables of importance weighted auto-encoders, 1 and 2 layers, VAE and IWAE, k = 1, 5, 50, and the doubly reparameterised gradient; the order of the
rows is said below the table. The paper's 3280 epochs are for GPUs. By --set: share=0.01 (of the paper's epochs, their stages in proportion), schedule=short
(4 epochs, for CPUs), seeds=3 (trainings of each row, with SEED, SEED + 1, ...).

posteriordb: mean-field and full-rank fits of twelve posteriors of posteriordb against their reference draws, beside NumPyro's SVI; a few minutes. The files
are not downloaded: --data-dir or JENSEN_DATA holds a folder posteriordb. By --set: families=["full_rank"] (ours), guides=[] (NumPyro's), learning_rate=0.001
and max_steps=200000 (of NumPyro's Adam).

divergences: what the choice of the family and of f does: two normals beside the exact answers, and a banana, two modes and eight schools by mean-field and
full-rank fits under five f; a page, report.html; a few minutes, no data. By --set: divergences=["elbo","eubo"] (choices of f), families=["full_rank"],
tolerance=0.01 and max_steps=20000 (of the stochastic fits).

Given again, the command skips what is done and goes on with what was interrupted. FOLDER gets results.md, results.json and a picture.
Exit code 1 when a row has no figure (it diverged, or its data are missing).

Example: jensen reproduce vampprior --only mnist-vae-vamp --out runs/vampprior
Example: jensen reproduce temperature --set betas=[0.5,1,2] --epochs 50
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("reproduce", help=HELP)(reproduce)


def reproduce(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help=f"One of: {names('reproductions').replace('_', '-')}.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Where runs and results go; runs/NAME by default.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="vampprior, iwae: a recipe; posteriordb: a posterior; divergences: a target. May be repeated; all by default.",
            show_default=False,
        ),
    ] = None,
    list_: Annotated[
        bool, typer.Option("--list", help="Show what would be run and what is done; run nothing.")
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Of each training, at most; prior-ladder: of each re-fitting.",
            show_default="the recipe's; prior-ladder: about 1500 steps",
        ),
    ] = None,
    num_samples: Annotated[
        int | None,
        typer.Option(
            help="Importance samples per datum; posteriordb, divergences: fresh draws of a fit.",
            show_default="5000; divergences: 10000; posteriordb: 10000 or, where k-hat is in doubt, 100000; prior-ladder, temperature, iwae short: 500",
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="prior-ladder: a trained run whose encoder to keep.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="temperature, and prior-ladder without --run: digits or mnist.",
            show_default="digits",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any option of NAME; may be repeated.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    data_dir: DataDir = None,
    trust_code: TrustCode = False,
    json: Json = False,
) -> None:
    """See HELP."""
    from jensen.config import assignments
    from jensen.reproductions import build, reproductions

    if name is None:
        _list_names(json)
        return
    flags: dict[str, Any] = {
        "only": only,
        "epochs": epochs,
        "num_samples": num_samples,
        "run": run,
        "data": data,
        "trust_code": trust_code or None,
    }
    options = {k: v for k, v in flags.items() if v is not None} | assignments(set_ or [])
    folder = Path(out) if out else Path("runs") / name.replace("_", "-")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; --out wants a folder.")
    chosen = build(
        _room_name(name, reproductions),
        options,
        {"out": folder, "seed": seed, "data_dir": data_dir},
    )
    try:
        found = chosen.planned() if list_ else chosen.run()
    except KeyboardInterrupt:
        print(
            f"\nStopped; what is done is kept in {folder}. The same command goes on from there.",
            file=sys.stderr,
        )
        raise typer.Exit(130) from None
    if json:
        print_json(found.to_json())
    else:
        print("\n".join([found.text(), *([""] if found.files else []), *found.files]))
    if found.failed:
        raise typer.Exit(1)


def _room_name(name: str, room: Any) -> str:
    """The member that NAME names; on the command line its words are joined by '-'."""
    from jensen._rooms import nearest

    known = {member.replace("_", "-"): member for member in room.names()}
    if name not in known and name not in room.names():
        raise ValueError(
            f"unknown reproduction {name!r}{nearest(name, tuple(known))}; known: {', '.join(known)}."
        )
    return known.get(name, name)


def _list_names(json: bool) -> None:
    from jensen.reproductions import reproductions

    found: list[dict[str, str]] = [
        {"name": n.replace("_", "-"), "summary": reproductions.find(n).summary}
        for n in reproductions.names()
    ]
    if json:
        print_json({"reproductions": found})
        return
    for entry in found:
        print(f"{entry['name']}\n  {entry['summary']}\n")
    print("Run one with: jensen reproduce NAME")
