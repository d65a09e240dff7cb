"""`jensen encode`: the codes of data."""

from pathlib import Path
from typing import Annotated

import typer

from jensen.cli.options import (
    Checkpoint,
    DataDir,
    Json,
    OtherData,
    RunArgument,
    Split,
    TrustCode,
    open_run_with_data,
    print_json,
)

HELP = """Write mean and scale of q(z|x) for every row of a split, as .npz or .csv; of discrete codes the mean and the most probable code.

Example: jensen encode runs/digits --split test --out codes.npz
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("encode", help=HELP)(encode)


def encode(
    run: RunArgument,
    split: Split = "test",
    data: OtherData = None,
    data_dir: DataDir = None,
    out: Annotated[
        str | None,
        typer.Option(help="The file to write; RUN/codes-SPLIT.npz by default.", show_default=False),
    ] = None,
    checkpoint: Checkpoint = None,
    trust_code: TrustCode = False,
    json: Json = False,
) -> None:
    """See HELP."""
    from jensen.cli.output import check_suffix, write_arrays

    check_suffix(out)
    opened, dataset = open_run_with_data(run, data, data_dir, checkpoint, trust_code)
    from jensen.evaluation import split_data
    from jensen.generation import posterior_codes

    target = Path(out) if out else opened.path / f"codes-{split}.npz"
    codes = posterior_codes(opened.model, split_data(dataset, split))
    if split in dataset.labels:
        codes["label"] = dataset.labels[split]
    write_arrays(str(target), codes)
    n, dim = codes["mean"].shape
    if json:
        print_json({"n": n, "latent_dim": dim, "split": split, "written": str(target)})
    else:
        print(
            f"{n} codes of {dim} dimensions ({' and '.join(k for k in codes if k != 'label')} of q(z|x)): {target}"
        )
