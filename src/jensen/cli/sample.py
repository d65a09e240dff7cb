"""`jensen sample`: new data from the model."""

from pathlib import Path
from typing import Annotated

import typer

from jensen.cli.options import (
    Checkpoint,
    Json,
    RunArgument,
    Seed,
    TrustCode,
    open_run,
    print_json,
    run_seed,
)

HELP = """Draw z from the run's prior and x from p(x|z); write them as .npz (z, mean, x), and as a picture if they are images. From an
autoregressive decoder, mean is for each pixel that of its distribution given z and the pixels of x before it.

Example: jensen sample runs/digits --num-samples 64 --out samples.npz
"""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("sample", help=HELP)(sample)


def sample(
    run: RunArgument,
    num_samples: Annotated[int, typer.Option(min=1, help="How many.")] = 64,
    out: Annotated[
        str | None,
        typer.Option(
            help="The .npz file to write; RUN/samples.npz by default.", show_default=False
        ),
    ] = None,
    seed: Seed = None,
    checkpoint: Checkpoint = None,
    trust_code: TrustCode = False,
    json: Json = False,
) -> None:
    """See HELP."""
    opened = open_run(run, checkpoint, trust_code)
    from jensen._files import write_atomically
    from jensen.cli.output import check_suffix, write_arrays
    from jensen.generation import likelihood_range, prior_samples
    from jensen.progress import CountProgress
    from jensen.sessions import stream_key

    target = Path(out) if out else opened.path / "samples.npz"
    check_suffix(str(target))
    with CountProgress() as bar:
        key = stream_key(run_seed(opened, seed), "sample")
        arrays = prior_samples(opened.model, num_samples, key=key, on_progress=bar.advance)
    write_arrays(str(target), arrays)
    written = [str(target)]
    if arrays["mean"].ndim == 3:
        from jensen.reports import draw_image_grid

        picture = target.with_suffix(".png")
        write_atomically(
            picture, draw_image_grid(arrays["mean"], value_range=likelihood_range(opened.model))
        )
        written.append(str(picture))
    if json:
        print_json({"num_samples": num_samples, "written": written})
    else:
        print(f"{num_samples} samples from the prior: {' and '.join(written)}")
