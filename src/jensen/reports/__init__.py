"""Reports: one HTML page that accounts for a run, and pictures of samples. Only this room imports matplotlib and jinja2, and only when something is drawn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from jensen.anatomy import Account, Comparison, Standings
    from jensen.datasets import Dataset
    from jensen.evidence._sandwich import Sandwich
    from jensen.model import Model
    from jensen.trial import Trial


@dataclass(frozen=True)
class ReportInputs:
    """What a report is made of.

    Attributes:
        title: what the run is called; any text.
        model: the best model.
        dataset: the data it was trained and evaluated on.
        accounts: by split; the first is the main one, and the others are set beside it.
        history: the training's records, one per epoch; may be empty.
        outcome: how the training ended, one sentence.
        warnings: what the training warned of.
        config: the resolved configuration, nested plain values.
        version: of jensen.
        seed: of the run; the report's own draws are made with it too.
        objective: what was trained where it was not the bound, in words.
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
    """Writes folder/report.html, one page that needs nothing beside it, and its figures as files in folder/figures.

    Args:
        inputs: what the report is made of.
        folder: made if it does not exist; an older report in it is replaced.

    Returns:
        The path of the page.

    Raises:
        ValueError: no account, a main split that the data set does not have, or an account that is not of the data set's rows.
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
    """Images side by side, as the bytes of a PNG file; a pixel of theirs becomes a square of pixels.

    Args:
        images: [N, H, W], [N, H, W, 1], [N, H, W, 3] or [N, H, W, 4].
        columns: how many in a row; by default about twice as many as rows.
        value_range: the values drawn darkest and brightest; by default (0, 1) for values within it, else the smallest and the largest value.

    Raises:
        ValueError: no images, or an array that does not hold images.

        Path("samples.png").write_bytes(draw_image_grid(means))
    """
    from jensen.reports._mosaic import image_grid

    return image_grid(images, columns=columns, value_range=value_range)


def draw_differences(found: "Comparison | Standings") -> dict[str, bytes]:
    """The differences of a comparison, a panel for each line, as {file name: bytes} of a PNG and an SVG file; bars are two paired standard errors.

    draw_differences(jensen.compare(a, b, c))["differences.png"]
    """
    from jensen.reports import _differences

    return _line_art("differences", found, _differences.describe, _differences.draw_differences)


def draw_published(rows: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Our test log-likelihoods against the published ones, as {file name: bytes} of a PNG and an SVG file.

    Args:
        rows: each with 'recipe', 'seed', 'log_p', 'standard_error', 'shortened', 'at_most_epochs' and 'published', mappings of 'source', 'value', 'spread' and
            'basis'.

    Raises:
        ValueError: no rows.

        draw_published(rows)["published.png"]
    """
    from jensen.reports import _published

    if not rows:
        raise ValueError("a picture of published figures wants at least one row; got none.")
    return _line_art("published", rows, _published.describe, _published.draw_comparison)


def draw_ladder(rungs: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Marginal KL, ELBO and evidence against the number of mixture components, as {file name: bytes} of a PNG and an SVG file.

    Args:
        rungs: each with 'kind', 'components' (None for a prior that is no rung: a baseline) and, for 'train' and 'test', a mapping of 'marginal_kl', 'elbo' and
            'evidence' to mappings of 'value' and 'standard_error', nats per datum.

    Raises:
        ValueError: no rungs.

        draw_ladder(rungs)["ladder.png"]
    """
    from jensen.reports import _ladder

    if not any(rung["components"] for rung in rungs):
        raise ValueError("a picture of a ladder wants at least one rung; got none.")
    return _line_art("ladder", rungs, _ladder.describe, _ladder.draw_ladder)


def draw_signal(lines: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Signal-to-noise ratios of gradient estimators against the number of samples, as {file name: bytes} of a PNG and an SVG file.

    Args:
        lines: each with 'gradient', 'num_samples', 'part', 'ratio' and 'standard_error'.

    Raises:
        ValueError: no lines.

        draw_signal(lines)["gradients.png"]
    """
    from jensen.reports import _signal

    if not lines:
        raise ValueError("a picture of signal and noise wants at least one line; got none.")
    return _line_art("gradients", lines, _signal.describe, _signal.draw_signal)


def draw_sandwich(found: "Sandwich") -> dict[str, bytes]:
    """Lower bounds climbing towards log p(x), and the bidirectional gap beside them, as {file name: bytes} of a PNG and an SVG file.

    draw_sandwich(sandwich(model, data.test, jax.random.key(0)))["sandwich.png"]
    """
    from jensen.reports import _sandwich

    return _line_art("sandwich", found, _sandwich.describe_sandwich, _sandwich.draw_sandwich)


def draw_temperature(rows: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Rate and distortion, the parts of the average KL, the bounds at beta = 1 and the fitted prior variance, as {file name: bytes} of a PNG and an SVG file.

    Args:
        rows: of a kind 'beta' (trained at that 'beta') or 'variance' (trained at beta = 1 under N(0, variance I)), each with 'log_n' and 'test', a mapping of
            the account's lines to mappings of 'value', nats per datum; those of kind 'beta' with 'fitted_variance', a mapping of 'value' and 'gain'.

    Raises:
        ValueError: no row of the kind 'beta'.

        draw_temperature(rows)["temperature.png"]
    """
    from jensen.reports import _temperature

    if not any(row["kind"] == "beta" for row in rows):
        raise ValueError(
            "a picture of the KL weight wants at least one run trained at some beta; got none."
        )
    return _line_art("temperature", rows, _temperature.describe, _temperature.draw_temperature)


def draw_posteriors(rows: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Variational fits against reference draws: largest errors of means and ranges of sd ratios, as {file name: bytes} of a PNG and an SVG file.

    Args:
        rows: each with 'posterior', 'method' and 'trusted'; those with reference draws with 'largest_mean_error' and 'sd_ratios' (smallest, largest), and only
            these are drawn.

    Raises:
        ValueError: no row with 'sd_ratios'.

        draw_posteriors(rows)["posteriors.png"]
    """
    from jensen.reports import _posteriors

    if not any("sd_ratios" in row for row in rows):
        raise ValueError(
            "a picture of posteriors wants at least one fit with reference draws; got none."
        )
    return _line_art("posteriors", rows, _posteriors.describe, _posteriors.draw_posteriors)


def draw_divergences(
    rows: Sequence[Mapping[str, Any]],
    targets: Mapping[str, Mapping[str, Any]],
    labels: Mapping[str, str],
    page: Mapping[str, Any],
) -> dict[str, bytes]:
    """Contours of targets and of normals fitted to them under several f, as {file name: bytes} of PNG and SVG files, and a page, report.html, with them.

    Args:
        rows: each with 'target', 'family', 'divergence', 'mean' [2], 'covariance' [2, 2], 'sd_ratios' and 'converged'; of two_normals also
            'best_variance'.
        targets: name -> 'title', 'axes' (two labels), 'x' [X], 'y' [Y] and 'density' [X, Y], up to a constant.
        labels: of the divergences, in their order.
        page: 'title', 'notes', and for the sections 'two_normals' and 'targets' that have rows a mapping of 'title', 'said', 'caption', 'headings', 'lines'.

    Raises:
        ValueError: no rows.

        draw_divergences(rows, targets, labels, page)["report.html"]
    """
    from jensen.reports import _divergences
    from jensen.reports._html import render
    from jensen.reports._style import line_art, styled

    if not rows:
        raise ValueError("a picture of divergences wants at least one fit; got none.")
    two, others = (
        [row for row in rows if (row["target"] == "two_normals") == wanted]
        for wanted in (True, False)
    )
    drawn = {}
    with styled():
        if two:
            target, said = targets["two_normals"], _divergences.describe_two_normals(two)
            drawn["two_normals"] = line_art(
                "two_normals",
                said,
                lambda layout: _divergences.draw_two_normals(two, target, labels, layout),
            )
        if others:
            said = _divergences.describe_targets(others)
            drawn["targets"] = line_art(
                "targets",
                said,
                lambda layout: _divergences.draw_targets(others, targets, labels, layout),
            )
    sections = [{**page[name], "drawing": drawing} for name, drawing in drawn.items()]
    files = {name: content for drawing in drawn.values() for name, content in drawing.files.items()}
    return files | {
        "report.html": render(
            {"title": page["title"], "notes": page["notes"], "sections": sections},
            "divergences.html.j2",
        )
    }


def _line_art(
    name: str, subject: Any, describe: Callable[[Any], str], draw: Callable[..., Any]
) -> dict[str, bytes]:
    from jensen.reports._style import line_art, styled

    with styled():
        return line_art(name, describe(subject), lambda layout: draw(subject, layout)).files
