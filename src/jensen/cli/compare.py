"""`jensen compare`: two accounts, paired."""

from pathlib import Path
from typing import Annotated

import typer

from jensen.cli.options import Json, Split, TrustCode, open_run, print_json

HELP = """Lay the accounts of two runs side by side, line by line, with the difference and its paired standard error on the same data points.

Example: jensen compare runs/digits runs/digits-vamp
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("compare", help=HELP)(compare)


def compare(
    run_a: Annotated[str, typer.Argument(metavar="RUN_A", help="A run folder.", show_default=False)],
    run_b: Annotated[str, typer.Argument(metavar="RUN_B", help="Another; differences are B minus A.", show_default=False)],
    split: Split = "test",
    trust_code: TrustCode = False,
    json: Json = False,
) -> None:
    """See HELP."""
    from jensen.anatomy import compare as compare_accounts
    from jensen.evaluation import account_of

    runs = [open_run(path, trust_code=trust_code) for path in (run_a, run_b)]
    accounts = [run.stored_account(split) or account_of(run, split) for run in runs]
    labels = (Path(run_a).resolve().name, Path(run_b).resolve().name)
    if labels[0] == labels[1]:
        labels = (run_a, run_b)
    found = compare_accounts(*accounts, names=labels)
    print_json(found.to_json()) if json else print(found)
