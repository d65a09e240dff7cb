"""`jensen report`: the page."""

import typer

from jensen.cli.options import (
    Checkpoint,
    DataDir,
    Json,
    OtherData,
    RunArgument,
    TrustCode,
    open_run_with_data,
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
    data: OtherData = None,
    data_dir: DataDir = None,
    checkpoint: Checkpoint = None,
    trust_code: TrustCode = False,
    json: Json = False,
) -> None:
    """See HELP."""
    opened, dataset = open_run_with_data(run, data, data_dir, checkpoint, trust_code, writes=True)
    from jensen.evaluation import report_of

    page = report_of(opened, dataset=dataset)
    print_json({"report": str(page)}) if json else print(page)
