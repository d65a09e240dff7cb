"""`jensen account`: where every nat goes."""

from typing import Annotated

import typer

from jensen.cli._foreign import HELP as MODEL_HELP
from jensen.cli._foreign import account_of_foreign
from jensen.cli.options import (
    Checkpoint,
    DataDir,
    Json,
    OptionalRun,
    OtherData,
    Seed,
    TrustCode,
    data_settings,
    open_run,
    open_run_with_rows,
    print_json,
)

HELP = """Account for every nat of a run's evidence lower bound on one split, and store the account
in the run; with --data, on every row of another file, which is not stored.

With --try, a new prior is fitted to the training data, encoder and decoder as they are, and what it
wins of the marginal KL is told instead, with the options that --set gives prior and re-fitting;
such trials are kept in the run, too, and its report shows them.

Example: jensen account runs/digits --split train --json

Example: jensen account runs/digits --split both

Example: jensen account runs/digits --try vamp --set prior.num_components=50 --set training.epochs=100

Example: jensen account --model mymodel:make --data x.npy
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("account", help=HELP)(account)


def account(
    run: OptionalRun = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Which of the run's own data: train, validation, test or all; both: train and "
            "test, and the generalisation gap of each line.",
            show_default="test",
        ),
    ] = None,
    num_samples: Annotated[
        int | None,
        typer.Option(
            min=2, help="Importance samples per datum for the evidence.", show_default="the run's"
        ),
    ] = None,
    num_draws: Annotated[
        int | None,
        typer.Option(
            min=1, help="Posterior draws per datum for the other lines.", show_default="the run's"
        ),
    ] = None,
    aggregated_over: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Take q(z) over random subsets of so many data.",
            show_default="the run's, or all that can be afforded",
        ),
    ] = None,
    gaps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Split the Jensen gap into approximation and amortisation, on so many data.",
            show_default="the run's, or not",
        ),
    ] = None,
    gap_family: Annotated[
        str | None,
        typer.Option(
            help="Of the posteriors refined for --gaps: own (the encoder's), diagonal, full or "
            "flow.",
            show_default="the run's, or own",
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODULE:FUNCTION", help=MODEL_HELP, show_default=False)
    ] = None,
    try_: Annotated[
        list[str] | None,
        typer.Option(
            "--try",
            metavar="PRIOR",
            help="Re-fit this prior alone: how much of the gain is real?",
            show_default=False,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="With --try: prior.KEY or training.KEY; data.KEY of how --data is read; "
            "may be repeated.",
            show_default=False,
        ),
    ] = None,
    data: OtherData = None,
    data_dir: DataDir = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="Also write the values per datum, as .npz, .csv or .nc (netCDF).",
            show_default=False,
        ),
    ] = None,
    seed: Seed = None,
    checkpoint: Checkpoint = None,
    trust_code: TrustCode = False,
    json: Json = False,
) -> None:
    """See HELP."""
    if split == "both" and (out or try_):
        raise ValueError(
            "--split both goes with neither --out nor --try, which are of one split: name it."
        )
    reading, settings = data_settings(set_)
    if settings and not try_:
        raise ValueError(
            f"--set {settings[0]}: goes with --try PRIOR; without it, data.KEY=VALUE alone."
        )
    unused = [
        name
        for name, value in {
            "--num-samples": num_samples,
            "--gaps": gaps,
            "--gap-family": gap_family,
            "--out": out,
        }.items()
        if value is not None
    ]
    if reading and (try_ or split == "both"):
        raise ValueError(
            "--set data.KEY says how other rows are read; --try and --split both are of the run's "
            "own data, which are read as they were for its training. Leave it out."
        )
    if try_ and unused:
        raise ValueError(
            f"--try takes no {', '.join(unused)}: a trial has no evidence and no gaps. Make the "
            "account by itself."
        )
    if try_ and run is None:
        raise ValueError(
            "--try wants a RUN folder: a new prior is fitted to the run's training data."
        )
    from jensen.cli.output import check_suffix, row_lists, write_account

    check_suffix(out, (".npz", ".csv", ".nc"))
    numbers = {
        "num_samples": num_samples,
        "num_draws": num_draws,
        "aggregated_over": aggregated_over,
        "gaps": gaps,
        "gap_family": gap_family,
    }
    rows = None
    if run is None or model is not None:
        of_runs = [
            name
            for name, given in (
                ("--checkpoint", checkpoint is not None),
                ("--trust-code", trust_code),
            )
            if given
        ]
        found, rows = account_of_foreign(run, model, data, split, seed, numbers, of_runs, reading)
        if out:
            write_account(out, found, rows)
    elif try_ or split == "both":
        opened = open_run(run, checkpoint, trust_code)
        from jensen.sessions import account_of_both, own_data

        dataset = own_data(opened, data, data_dir=data_dir)
        if try_:
            from jensen.cli._trial import run_trials

            draws = {"num_draws": num_draws, "aggregated_over": aggregated_over}
            run_trials(
                opened,
                try_,
                settings,
                split or "test",
                json=json,
                dataset=dataset,
                seed=seed,
                store=data is None,
                **draws,
            )
            return
        found = account_of_both(opened, dataset=dataset, seed=seed, store=data is None, **numbers)
    else:
        opened, rows = open_run_with_rows(
            run, split, data, data_dir, checkpoint, trust_code, reading
        )
        from jensen.sessions import account_of

        found = account_of(opened, rows.name, rows=rows, seed=seed, store=data is None, **numbers)
        if out:
            write_account(out, found, rows)
    if not json:
        print(found)
        return
    # The rows of other data in the order of their file; those of a split are in the run's account.
    named = {} if data is None or rows is None else {"rows": row_lists(rows)}
    print_json(found.to_json() | named)
