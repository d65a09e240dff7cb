"""`jensen compare`: the accounts of two runs or more, paired."""

from pathlib import Path
from typing import Annotated

import typer

from jensen.cli.options import Json, Split, TrustCode, open_run, print_json

HELP = """Lay the accounts of two or more runs side by side, line by line, with the difference to the first and its paired standard error on the same data
points. With three and more they are ranked by ELBO and by log p(x), and Bonferroni's threshold says which differences stand among so many.

Example: jensen compare runs/digits runs/digits-vamp
Example: jensen compare runs/digits runs/digits-vamp runs/digits-mixture --figure differences.svg
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("compare", help=HELP)(compare)


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Run folders, two or more; differences are to the first.",
            show_default=False,
        ),
    ],
    split: Split = None,
    figure: Annotated[
        str | None,
        typer.Option(help="Also draw the differences, as .png or .svg.", show_default=False),
    ] = None,
    trust_code: TrustCode = False,
    json: Json = False,
) -> None:
    """See HELP."""
    if len(runs) < 2:
        raise ValueError(f"jensen compare wants two runs or more; got {len(runs)}.")
    if figure is not None and Path(figure).suffix not in (".png", ".svg"):
        raise ValueError(f"--figure wants a file that ends in .png or .svg; got {figure!r}.")
    from jensen.anatomy import compare as compare_accounts
    from jensen.sessions import account_of

    opened = [open_run(path, trust_code=trust_code) for path in runs]
    split = split or "test"
    accounts = [run.stored_account(split) or account_of(run, split) for run in opened]
    labels = [Path(path).resolve().name for path in runs]
    if len(set(labels)) < len(labels):
        labels = list(runs)
    found = compare_accounts(*accounts, names=labels)
    record = found.to_json()
    if figure is not None:
        from jensen._files import write_atomically
        from jensen.reports import draw_differences

        write_atomically(Path(figure), draw_differences(found)[f"differences{Path(figure).suffix}"])
        record["figure"] = figure
    print_json(record) if json else print(found)
    if figure is not None and not json:
        print(f"\nPicture: {figure}")
