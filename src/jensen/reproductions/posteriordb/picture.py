"""The picture of posteriordb: errors of means and sd ratios of each fit, a row per posterior."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from jensen.reports._style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PALE,
    PURPLE,
    Layout,
    canvas,
    line_art_files,
    place,
    plain,
)

Rows = Sequence[Mapping[str, Any]]
COLOURS = {
    "mean_field": ORANGE,
    "full_rank": BLUE,
    "AutoNormal": PURPLE,
    "AutoMultivariateNormal": GREEN,
}
# Heights in inches: of a row, and above and below the rows of a panel.
ROW, HEAD, FOOT = 0.46, 0.4, 0.5
SMALLEST_ERROR = 1e-3  # smaller errors are drawn here, on a logarithmic axis
ERROR_TICKS = (0.001, 0.01, 0.05, 0.1, 1, 10, 100, 1000)
RATIO_TICKS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


def draw_posteriors(rows: Rows) -> dict[str, bytes]:
    """Draws variational fits against reference draws.

    Args:
        rows: each with 'posterior', 'method' and 'trusted'; those with reference draws also with
            'largest_mean_error' and 'sd_ratios' (smallest, largest), and only these are drawn.

    Returns:
        {file name: bytes} of a PNG and an SVG file.

    Raises:
        ValueError: no row with 'sd_ratios'.

        draw_posteriors(rows)["posteriors.png"]
    """
    if not _judged(rows):
        raise ValueError(
            "a picture of posteriors needs at least one fit with reference draws; got none."
        )
    return line_art_files(
        "posteriors", describe(rows), lambda layout: posteriors_figure(rows, layout)
    )


def posteriors_figure(rows: Rows, layout: Layout) -> Figure:
    """Returns the figure of `draw_posteriors` in one layout.

    Two panels: the largest error of a mean, and the range of the sd ratios. Hollow markers are
    fits that are not trusted; a shaded band holds what passes.
    """
    judged = _judged(rows)
    names = list(dict.fromkeys(row["posterior"] for row in judged))
    methods = list(dict.fromkeys(row["method"] for row in judged))
    height = ROW * len(names)
    legend = 0.66 if layout.narrow else 0.4
    panels = 2 if layout.narrow else 1  # below one another
    figure = canvas(layout.width, legend + panels * (HEAD + height + FOOT))
    error_box, ratio_box = _boxes(layout, height)
    axes = _logarithmic_axes(figure, error_box, passing=(SMALLEST_ERROR / 10, 0.05))
    errors = [max(row["largest_mean_error"], SMALLEST_ERROR) for row in judged]
    _draw_rows(axes, judged, [[error] for error in errors], names, methods)
    limits = SMALLEST_ERROR / 1.3, 1.6 * max(0.1, *(row["largest_mean_error"] for row in judged))
    _finish_panel(axes, "largest error of a mean, in reference sds", ERROR_TICKS, limits)
    axes = _logarithmic_axes(figure, ratio_box, passing=(0.95, 1.05))
    ratios = [list(row["sd_ratios"]) for row in judged]
    _draw_rows(axes, judged, ratios, names, methods, named=layout.narrow)
    every_ratio = [ratio for pair in ratios for ratio in pair]
    limits = min(0.3, *every_ratio) / 1.3, 1.3 * max(1.3, *every_ratio)
    _finish_panel(axes, "sd ratios, smallest to largest", RATIO_TICKS, limits)
    figure.legend(handles=_handles(methods), loc="upper left", ncols=2 if layout.narrow else 5)
    return figure


def describe(rows: Rows) -> str:
    """Returns the figure in words."""
    fits = "; ".join(
        f"{row['posterior']} by {row['method']} {row['largest_mean_error']:.3f} and "
        f"{row['sd_ratios'][0]:.2f} to {row['sd_ratios'][1]:.2f}"
        for row in _judged(rows)
    )
    return (
        f"Largest error of a mean in reference sds, and range of the sd ratios: {fits}. "
        "The shaded bands are what passes."
    )


def _judged(rows: Rows) -> list[Mapping[str, Any]]:
    return [row for row in rows if "sd_ratios" in row]


def _boxes(layout: Layout, height: float) -> list[tuple[float, float, float, float]]:
    """Returns left, bottom, width and height of the two panels, in inches."""
    if layout.narrow:
        left = 1.75
        width = layout.width - left - 0.2
        return [(left, height + HEAD + 2 * FOOT, width, height), (left, FOOT, width, height)]
    left = 2.1
    width = (layout.width - left - 0.7) / 2
    return [(left, FOOT, width, height), (left + width + 0.5, FOOT, width, height)]


def _logarithmic_axes(
    figure: Figure, box: tuple[float, float, float, float], *, passing: tuple[float, float]
) -> Axes:
    """Returns axes in a box, with a band over the values that pass."""
    axes = place(figure, *box)
    axes.set_xscale("log")
    axes.axvspan(*passing, color=PALE)
    return axes


def _draw_rows(
    axes: Axes,
    rows: Rows,
    values: list[list[float]],
    names: list[str],
    methods: list[str],
    *,
    named: bool = True,
) -> None:
    """Draws the values of each row: posteriors from the top, methods beside one another."""
    for row, row_values in zip(rows, values, strict=True):
        offset = (methods.index(row["method"]) - (len(methods) - 1) / 2) * 0.18
        at = len(names) - 1 - names.index(row["posterior"]) - offset
        colour = COLOURS.get(row["method"], MUTED)
        axes.plot(
            row_values,
            [at] * len(row_values),
            "o-",
            color=colour,
            markerfacecolor=colour if row["trusted"] else "white",
            markersize=4.5,
            linewidth=1.2,
        )
    labels = [name.rpartition("-")[2].replace("_", " ") if named else "" for name in names]
    axes.set_yticks(range(len(names)), labels[::-1])
    axes.set_ylim(-0.6, len(names) - 0.4)


def _finish_panel(
    axes: Axes, title: str, ticks: Sequence[float], limits: tuple[float, float]
) -> None:
    axes.set_title(title)
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: plain(float(value))))
    axes.set_xlim(*limits)
    axes.grid(axis="x")


def _handles(methods: list[str]) -> list[Line2D]:
    handles = [
        Line2D([], [], marker="o", color=COLOURS.get(method, MUTED), label=method.replace("_", " "))
        for method in methods
    ]
    not_trusted = Line2D(
        [], [], marker="o", color=INK, markerfacecolor="white", linestyle="", label="not trusted"
    )
    return [*handles, not_trusted]
