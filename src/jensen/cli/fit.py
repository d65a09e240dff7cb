"""`jensen fit`: train, account, report."""

import sys
from math import log
from typing import Annotated, Any

import typer

from jensen._rooms import LATENT_DIM, MODELS, ROOMS
from jensen.cli.options import (
    TRAINING_DEFAULTS,
    DataDir,
    Json,
    hold_until_the_end,
    names,
    open_run,
    print_json,
)

HIDDEN = ROOMS["network"].source_default(ROOMS["network"].default, "hidden")
ACCOUNT_ROWS = TRAINING_DEFAULTS["account_rows"]

HELP = """Train a model on data, then print the account of its evidence lower bound and write a report.

DATA is a name from `jensen datasets`, or a .npy, .npz, .csv or .parquet file. Everything can also
come from a TOML file (--config); --set reaches what has no flag of its own. Flags win over the
file, --set wins over both.

Example: jensen fit digits --prior vamp --set prior.num_components=200 --out runs/digits-vamp
Example: jensen fit digits --beta 4 --beta-schedule cyclical --set training.beta_cycles=5 --warm-up 100 --patience 0
Example: jensen fit digits --gradient free_bits --set gradient.floor=0.25
Example: jensen fit digits --account-every 5 --set training.account_rows=500
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("fit", help=HELP)(fit)


def fit(
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="A data set's name, or a file.", show_default=False),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="The run folder to write; runs/DATA by default.", show_default=False
        ),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            help=f"p(z): {names('priors')}, or a .py file.", show_default=ROOMS["prior"].default
        ),
    ] = None,
    likelihood: Annotated[
        str | None,
        typer.Option(
            help=f"p(x|z): {names('likelihoods')}, or a .py file.",
            show_default=ROOMS["likelihood"].default,
        ),
    ] = None,
    bound: Annotated[
        str | None,
        typer.Option(
            help=f"What to ascend: {names('bounds')}.", show_default=ROOMS["bound"].default
        ),
    ] = None,
    gradient: Annotated[
        str | None,
        typer.Option(
            help=f"How to estimate its gradient: {names('gradients')}.",
            show_default=ROOMS["gradient"].default,
        ),
    ] = None,
    num_samples: Annotated[
        int | None,
        typer.Option(
            help="Posterior samples per datum and step.",
            show_default=str(TRAINING_DEFAULTS["num_samples"]),
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="The architecture: vae; of several levels hvae (inferred top down) or markov "
            "(data up).",
            show_default=MODELS.default,
        ),
    ] = None,
    latent_dim: Annotated[
        str | None,
        typer.Option(
            help="Latent dimensions; of several levels those of z1,z2, or one for all.",
            show_default=str(LATENT_DIM),
        ),
    ] = None,
    hidden: Annotated[
        str | None,
        typer.Option(
            help="Widths of the hidden layers, for instance 300,300.",
            show_default=",".join(map(str, HIDDEN)),
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            help="At most this many passes over the data.",
            show_default=str(TRAINING_DEFAULTS["epochs"]),
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Data per step.", show_default=str(TRAINING_DEFAULTS["batch_size"])),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Of Adam.", show_default=str(TRAINING_DEFAULTS["learning_rate"])),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(
            help="Weight of the KL term in training; evaluation is at 1.",
            show_default=str(TRAINING_DEFAULTS["beta"]),
        ),
    ] = None,
    warm_up: Annotated[
        int | None,
        typer.Option(
            help="Epochs over which beta rises from 0.",
            show_default="a fifth of the epochs, at most 20; cyclical: all of them",
        ),
    ] = None,
    beta_schedule: Annotated[
        str | None,
        typer.Option(
            help="How beta rises: linear, cosine or cyclical.",
            show_default=TRAINING_DEFAULTS["beta_schedule"],
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after this many epochs at the full beta without a better validation bound; "
            "0: never.",
            show_default=str(TRAINING_DEFAULTS["patience"]),
        ),
    ] = None,
    account_every: Annotated[
        int | None,
        typer.Option(
            help="Every so many epochs, record I(n; z), marginal KL ... of "
            f"{ACCOUNT_ROWS} training data (at most log {ACCOUNT_ROWS} = {log(ACCOUNT_ROWS):.2f}).",
            show_default=f"{TRAINING_DEFAULTS['account_every']}: never",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of everything random.", show_default="0")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="Go on with an interrupted run, exactly.", show_default=False
        ),
    ] = None,
    checkpoint: Annotated[
        int | None,
        typer.Option(
            help="With --resume: the epoch to go on from; the newest by default.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run folder if it exists.")
    ] = False,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A TOML file, such as the config.toml of a run.",
            show_default=False,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any configuration key; may be repeated.",
            show_default=False,
        ),
    ] = None,
    data_dir: DataDir = None,
    trust_code: Annotated[
        bool,
        typer.Option(
            "--trust-code",
            help="With --resume, or --config of a run: allow its .py files to be imported.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """See HELP."""
    flags = {
        "data": {"source": data, "data_dir": data_dir},
        "prior": {"name": prior},
        "likelihood": {"name": likelihood},
        "bound": {"name": bound},
        "gradient": {"name": gradient},
        "model": {
            "name": model,
            "latent_dim": _sizes(
                latent_dim,
                "--latent-dim wants one size, or one for each level, as in 40,40",
                single=True,
            ),
        },
        "network": {
            "hidden": _sizes(
                hidden,
                "--hidden wants widths of 1 or more, separated by commas, for instance 300,300",
            )
        },
        "training": {
            "num_samples": num_samples,
            "epochs": epochs,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "beta": beta,
            "warm_up": warm_up,
            "beta_schedule": beta_schedule,
            "patience": patience,
            "account_every": account_every,
        },
        "seed": seed,
    }
    given = _given(flags)
    if resume is not None:
        fitted, dataset = _resume(
            resume, checkpoint, given, config, set_, overwrite, out, trust_code
        )
    else:
        fitted, dataset = _start(given, config, set_ or [], out, overwrite, checkpoint, trust_code)
    run = fitted.run
    hold_until_the_end(run)
    print(f"{fitted.outcome.status.replace('_', ' ')}: {fitted.outcome.message}", file=sys.stderr)
    for warning in fitted.outcome.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    from jensen.anatomy.in_training import remarks_of

    for remark in remarks_of(fitted.history):
        print(f"note: {remark}", file=sys.stderr)
    if fitted.outcome.status == "diverged":
        if json:
            print_json(
                {"run": str(run.path), "status": "diverged", "message": fitted.outcome.message}
            )
        raise typer.Exit(1)
    if fitted.outcome.status == "interrupted":
        print(f"Saved. Go on with: jensen fit --resume {run.path}", file=sys.stderr)
        raise typer.Exit(130)
    if fitted.stop_requested:
        print(
            "The training is complete; its account and report were not made. Make them with: "
            f"jensen fit --resume {run.path}",
            file=sys.stderr,
        )
        raise typer.Exit(130)
    from jensen.sessions import account_of, report_of

    account = account_of(run, "test", dataset=dataset, model=fitted.model)
    page = report_of(run, dataset=dataset, model=fitted.model)
    if json:
        outcome = {
            "status": fitted.outcome.status,
            "message": fitted.outcome.message,
            "epoch": fitted.outcome.epoch,
        }
        print_json(
            {"run": str(run.path), "report": str(page), **outcome, "account": account.to_json()}
        )
    else:
        print(f"\n{account}\n\nRun:    {run.path}\nReport: {page}")


def _start(
    given: dict[str, Any],
    config: str | None,
    settings: list[str],
    out: str | None,
    overwrite: bool,
    checkpoint: int | None,
    trust: bool,
) -> tuple:
    from pathlib import Path

    from jensen.config import Config, assignments, merge

    if checkpoint is not None:
        raise ValueError("--checkpoint goes with --resume RUN.")
    from_file = _read_config(Path(config), trust) if config else {}
    resolved = Config.read(merge(merge(from_file, given), assignments(settings)))
    if not (
        config
        or given.get("data", {}).get("source")
        or any(s.startswith("data.source") for s in settings)
    ):
        raise ValueError(
            "name the data: jensen fit digits, or a file; `jensen datasets` lists what there is."
        )
    from jensen.sessions import start_run

    return start_run(resolved, Path(out) if out else None, overwrite=overwrite, hold=True)


def _read_config(path: Any, trust: bool) -> dict[str, Any]:
    """The settings in a TOML file. In that of a run folder, code is as little trusted as by other
    commands that take the run."""
    from jensen.config import read_toml

    if path.name == "config.toml" and (path.parent / "run.json").exists():
        return open_run(str(path.parent), trust_code=trust).config
    return read_toml(path)


def _resume(
    path: str,
    checkpoint: int | None,
    given: dict,
    config: str | None,
    settings: list[str] | None,
    overwrite: bool,
    out: str | None,
    trust: bool,
) -> tuple:
    training = given.pop("training", {})
    given.pop("data", None) if set(given.get("data", {})) == {"data_dir"} else None
    fixed = [*given, *(k for k in training if k not in ("epochs", "patience"))]
    if config or settings or fixed or overwrite or out:
        what = ", ".join(fixed) or "--config, --set, --out and --overwrite"
        raise ValueError(
            "--resume goes on with the run as it was configured; only --epochs and --patience may "
            f"change ({what} may not)."
        )
    from jensen.sessions import finished_fit, resume_run

    run = open_run(path, checkpoint, trust, writes=True)
    if checkpoint is None and not training:
        finished = finished_fit(run)
        if finished is not None:
            return finished, run.dataset
    return resume_run(
        run, epochs=training.get("epochs"), patience=training.get("patience"), hold=True
    )


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    """Only what was said on the command line."""
    out = {}
    for key, value in flags.items():
        given = _given(value) if isinstance(value, dict) else value
        if given is not None and given != {}:
            out[key] = given
    return out


def _sizes(text: str | None, message: str, *, single: bool = False) -> list[int] | int | None:
    """The numbers in a text such as 300,300; with `single`, one number stands for itself."""
    if text is None:
        return None
    try:
        sizes = [int(part) for part in text.replace(" ", "").split(",") if part]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise ValueError(f"{message}; got {text!r}.")
    return sizes[0] if single and len(sizes) == 1 else sizes
