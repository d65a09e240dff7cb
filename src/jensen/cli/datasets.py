"""`jensen datasets`: what there is."""

import dataclasses
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from jensen.cli.options import DataDir, Json, print_json

if TYPE_CHECKING:
    from jensen.datasets import Availability

HELP = """List the named data sets: splits, shape, values, whether their files were found, and licences; or tell all of one of them.

Example: jensen datasets --data-dir ~/data

Example: jensen datasets fashion_mnist
"""
WIDTH = 80
HEAD = ("name", "train/validation/test", "shape", "values", "files")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("datasets", help=HELP)(datasets)


def datasets(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Tell all of this one.", show_default=False)
    ] = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """See HELP."""
    from jensen._rooms import nearest
    from jensen.datasets import available, dataset_names

    if name is not None and name not in dataset_names():
        raise ValueError(
            f"unknown data set {name!r}{nearest(name, dataset_names())}; `jensen datasets` lists them."
        )
    found = available(data_dir, None if name is None else [name])
    if json:
        print_json({"datasets": [dataclasses.asdict(a) for a in found]})
    elif name is not None:
        print("\n".join(_details(found[0])))
    else:
        print("\n".join(_table(found)))


def _table(entries: Iterable["Availability"]) -> list[str]:
    rows = [HEAD] + [(a.name, _sizes(a), _shape(a), a.values, _status(a)) for a in entries]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    ]
    legend = (
        "binary: 0 and 1. drawn: grey levels, drawn as 0 and 1 afresh at each use of a training image. grey: values in (0, 1). Take grey levels otherwise by "
        "--set data.binarise=dynamic, threshold or none; `jensen datasets NAME` tells all of one."
    )
    return [
        *lines,
        "",
        *textwrap.wrap(legend, WIDTH),
        *_grouped("Found in:", [(a.where, a.name) for a in entries if a.found]),
        *_grouped("Licences:", [(a.licence, a.name) for a in entries]),
        "",
        "Or name your own file: .npy, .npz, .csv or .parquet.",
    ]


def _grouped(title: str, pairs: list[tuple[str, str]]) -> list[str]:
    """Each first text once, with the names that share it."""
    lines = ["", title] if pairs else []
    for text in dict.fromkeys(first for first, _ in pairs):
        names = ", ".join(name for first, name in pairs if first == text)
        lines += textwrap.wrap(
            f"{text}: {names}",
            WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _details(a: "Availability") -> list[str]:
    options = "; ".join(
        f"data.{option}={'|'.join(choices)}" for option, choices in a.options.items()
    )
    values = {
        "binary": "0 and 1",
        "drawn": "grey levels, drawn as 0 and 1 afresh at each use of a training image",
        "grey": "grey, in (0, 1)",
    }[a.values]
    facts = {
        "what": a.description,
        "splits": f"{_sizes(a)} (train/validation/test)",
        "shape": _shape(a),
        "values": values,
        "options": f"--set {options} (the first is the default)" if options else "none",
        "licence": a.licence,
        "where": a.where,
        **{
            f"file {i}": f"{file.name}: {file.path or _source(file)}"
            for i, file in enumerate(a.files, 1)
        },
        **({"to get it": a.remedy} if a.remedy and not a.found else {}),
    }
    lines = [a.name]
    for key, value in facts.items():
        indent = " " * 13
        lines += textwrap.wrap(
            value,
            WIDTH,
            initial_indent=f"  {key:<11}",
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return lines


def _source(file) -> str:
    return (
        f"to be downloaded from {' or '.join(file.urls)}"
        if file.urls and file.checksum
        else "not found"
    )


def _status(a: "Availability") -> str:
    if a.found:
        return "found" if a.files else "bundled"
    return (
        a.where.replace("downloads", "download", 1)
        if a.where.startswith("downloads")
        else "not found"
    )


def _sizes(a: "Availability") -> str:
    return "/".join(f"{size:,}" for size in a.sizes)


def _shape(a: "Availability") -> str:
    return "x".join(map(str, a.event_shape))
