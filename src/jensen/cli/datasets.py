"""`jensen datasets`: what there is."""

import dataclasses

import typer

from jensen.cli.options import DataDir, Json, print_json

HELP = """List the named data sets: shape, licence, and where their files lie.

Example: jensen datasets --data-dir ~/data
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("datasets", help=HELP)(datasets)


def datasets(data_dir: DataDir = None, json: Json = False) -> None:
    """See HELP."""
    from jensen.datasets import available

    found = available(data_dir)
    if json:
        print_json({"datasets": [dataclasses.asdict(a) for a in found]})
        return
    for a in found:
        print(f"{a.name}\n  {a.description}\n  shape    {a.shape}\n  where    {a.where}\n  licence  {a.licence}\n")
    print("Or name your own file: .npy, .npz, .csv or .parquet.")
