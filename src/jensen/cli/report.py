"""`jensen report`: the page."""

import typer

from jensen.cli.options import (
    Checkpoint,
    DataDir,
    Json,
    OwnData,
    RunArgument,
    TrustCode,
    open_run,
    print_json,
)

HELP = """Write the run's report again: one HTML page that needs no network, and its figures as PNG and SVG.

Example: jensen report runs/digits
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("report", help=HELP)(report)


def report(
    run: RunArgument,
    data: OwnData = None,
    data_dir: DataDir = None,
    checkpoint: Checkpoint = None,
    trust_code: TrustCode = False,
    json: Json = False,
) -> None:
    """See HELP."""
    opened = open_run(run, checkpoint, trust_code, writes=True)
    from jensen.sessions import own_data, report_of

    dataset = own_data(opened, data, data_dir=data_dir)
    page = report_of(opened, dataset=dataset)
    print_json({"report": str(page)}) if json else print(page)
