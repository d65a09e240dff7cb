"""Reports: the HTML page that accounts for a run, and pictures of samples and comparisons.

Only this room and the reproductions, which draw in its style, import matplotlib and jinja2, and
only when something is drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from jensen.anatomy import Account, Comparison, RankedComparison
    from jensen.datasets import Dataset
    from jensen.evidence._sandwich import Sandwich
    from jensen.model import Model
    from jensen.trial import Trial


@dataclass(frozen=True)
class ReportInputs:
    """The contents of a report.

    Attributes:
        title: of the run; any text.
        model: the best model.
        dataset: the data that the model was trained and evaluated on.
        accounts: by split; the first is the main one, and the others are set beside it.
        history: the training's records, one per epoch; may be empty.
        outcome: how the training ended, one sentence.
        warnings: of the training.
        config: the resolved configuration, nested plain values.
        version: of jensen.
        seed: of the run; the report's own draws use it, too.
        objective: what was trained, in words, where it was not the bound.
        trials: priors that were tried on the frozen encoder, judged on the main account's split.
    """

    title: str
    model: "Model"
    dataset: "Dataset"
    accounts: "Mapping[str, Account]"
    history: Sequence[dict[str, Any]]
    outcome: str
    warnings: tuple[str, ...]
    config: Mapping[str, Any]
    version: str
    seed: int
    objective: str = ""
    trials: "Sequence[Trial]" = ()


def write_report(inputs: ReportInputs, folder: Path) -> Path:
    """Writes folder/report.html, one page that needs no other file, and figures in folder/figures.

    Args:
        inputs: the contents of the report.
        folder: made if it does not exist; an older report in it is replaced.

    Returns:
        The path of the page.

    Raises:
        ValueError: no account, a main split that the data set does not have, or an account that
            is not of the data set's rows.
        OSError: no space, no permission; what was there before is untouched.

        write_report(inputs, Path("runs/digits-vamp"))
    """
    from jensen.reports._report import write

    return write(inputs, Path(folder))


def draw_image_grid(
    images: "np.ndarray",
    *,
    columns: int | None = None,
    value_range: tuple[float, float] | None = None,
) -> bytes:
    """Draws images side by side, as the bytes of a PNG file; each pixel becomes a square of pixels.

    Args:
        images: [N, H, W], [N, H, W, 1], [N, H, W, 3] or [N, H, W, 4].
        columns: images in a row; by default about twice as many as rows.
        value_range: the values drawn darkest and brightest; by default (0, 1) for values within
            it, otherwise the smallest and the largest value.

    Raises:
        ValueError: no images, or an array that does not hold images.

        Path("samples.png").write_bytes(draw_image_grid(means))
    """
    from jensen.reports._mosaic import image_grid

    return image_grid(images, columns=columns, value_range=value_range)


def draw_differences(comparison: "Comparison | RankedComparison") -> dict[str, bytes]:
    """Draws the differences of a comparison, a panel for each line of the account.

    Bars are two paired standard errors.

    Returns:
        {file name: bytes} of a PNG and an SVG file.

        draw_differences(jensen.compare(a, b, c))["differences.png"]
    """
    from jensen.reports import _differences as differences
    from jensen.reports._style import line_art_files

    return line_art_files(
        "differences",
        differences.describe(comparison),
        lambda layout: differences.draw_differences(comparison, layout),
    )


def draw_signal(lines: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Draws signal-to-noise ratios of gradient estimators against the number of samples.

    Args:
        lines: each with 'gradient', 'num_samples', 'part', 'ratio' and 'standard_error'.

    Returns:
        {file name: bytes} of a PNG and an SVG file.

    Raises:
        ValueError: no lines.

        draw_signal(lines)["gradients.png"]
    """
    from jensen.reports import _signal as signal
    from jensen.reports._style import line_art_files

    if not lines:
        raise ValueError("a picture of signal and noise needs at least one line; got none.")
    return line_art_files(
        "gradients", signal.describe(lines), lambda layout: signal.draw_signal(lines, layout)
    )


def draw_sandwich(sandwich: "Sandwich") -> dict[str, bytes]:
    """Draws lower bounds that approach log p(x), and the bidirectional gap beside them.

    Returns:
        {file name: bytes} of a PNG and an SVG file.

        draw_sandwich(sandwich(model, data.test, key=jax.random.key(0)))["sandwich.png"]
    """
    from jensen.reports import _sandwich
    from jensen.reports._style import line_art_files

    return line_art_files(
        "sandwich",
        _sandwich.describe_sandwich(sandwich),
        lambda layout: _sandwich.draw_sandwich(sandwich, layout),
    )
