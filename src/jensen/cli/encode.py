"""`jensen encode`: the codes of data."""

from pathlib import Path
from typing import Annotated

import typer

from jensen.cli.options import (
    Checkpoint,
    DataDir,
    Json,
    OtherData,
    Reading,
    RunArgument,
    Split,
    TrustCode,
    data_settings,
    open_run_with_rows,
    print_json,
)

HELP = """Write mean and scale of q(z|x) for every row, as .npz or .csv; of discrete codes the mean
and the most probable code. Beside them stand the row numbers, counted from 0 in the order of the
data, and the names of the rows if the data have an index.

Example: jensen encode runs/digits --split all --out codes.npz

Example: jensen encode runs/mine --data new.csv --out codes.csv
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("encode", help=HELP)(encode)


def encode(
    run: RunArgument,
    split: Split = None,
    data: OtherData = None,
    data_dir: DataDir = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="The file to write; by default RUN/codes-SPLIT.npz, or RUN/codes-of-FILE.npz.",
            show_default=False,
        ),
    ] = None,
    set_: Reading = None,
    checkpoint: Checkpoint = None,
    trust_code: TrustCode = False,
    json: Json = False,
) -> None:
    """See HELP."""
    from jensen.cli.output import check_suffix, write_arrays

    check_suffix(out)
    reading, other = data_settings(set_)
    if other:
        raise ValueError(f"--set {other[0]}: encode takes data.KEY=VALUE alone.")
    opened, rows = open_run_with_rows(run, split, data, data_dir, checkpoint, trust_code, reading)
    from jensen.generation import posterior_codes

    own = f"codes-{rows.name}.npz" if data is None else f"codes-of-{rows.name}.npz"
    target = Path(out) if out else opened.path / own
    codes = posterior_codes(opened.model, rows.values)
    told = " and ".join(codes)
    labels = {} if rows.labels is None else {"label": rows.labels}
    columns = rows.columns(beside=(*codes, *labels))
    write_arrays(str(target), {**columns, **codes, **labels})
    n, dim = codes["mean"].shape
    if json:
        record = {"n": n, "latent_dim": dim, "split": rows.name, "columns": list(columns)}
        print_json({**record, "written": str(target)})
    else:
        print(
            f"{n} codes of {dim} dimensions ({told} of q(z|x), by {', '.join(columns)}): {target}"
        )
