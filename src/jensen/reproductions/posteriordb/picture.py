"""Variational fits against reference draws: the largest error of a mean, and the range of the sd ratios, a row for each posterior."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    place,
    plain,
)

COLOURS = {
    "mean_field": ORANGE,
    "full_rank": BLUE,
    "AutoNormal": PURPLE,
    "AutoMultivariateNormal": GREEN,
}
ROW, HEAD, FOOT = 0.46, 0.4, 0.5
LEAST = 1e-3
TICKS = (0.001, 0.01, 0.05, 0.1, 1, 10, 100, 1000), (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)


def draw_posteriors(rows: Sequence[Mapping[str, Any]], layout: Layout) -> Figure:
    """Rows with 'posterior', 'method', 'largest_mean_error', 'sd_ratios' and 'trusted'; hollow markers are fits that are not trusted."""
    judged = [row for row in rows if "sd_ratios" in row]
    names = list(dict.fromkeys(row["posterior"] for row in judged))
    methods = list(dict.fromkeys(row["method"] for row in judged))
    panel = ROW * len(names)
    legend = 0.66 if layout.narrow else 0.4
    left = 1.75 if layout.narrow else 2.1
    places = _places(layout, left, panel)
    figure = canvas(layout.width, legend + (2 if layout.narrow else 1) * (HEAD + panel + FOOT))
    titles = ("largest error of a mean, in reference sds", "sd ratios, smallest to largest")
    for k, (title, (x, bottom, width)) in enumerate(zip(titles, places, strict=True)):
        axes = place(figure, x, bottom, width, panel)
        axes.set_xscale("log")
        axes.axvspan(*((LEAST / 10, 0.05) if k == 0 else (0.95, 1.05)), color=PALE)
        for row in judged:
            offset = (methods.index(row["method"]) - (len(methods) - 1) / 2) * 0.18
            at = len(names) - 1 - names.index(row["posterior"]) - offset
            colour = COLOURS.get(row["method"], MUTED)
            face = colour if row["trusted"] else "white"
            values = [max(row["largest_mean_error"], LEAST)] if k == 0 else list(row["sd_ratios"])
            axes.plot(
                values,
                [at] * len(values),
                "o-",
                color=colour,
                markerfacecolor=face,
                markersize=4.5,
                linewidth=1.2,
            )
        shown = k == 0 or layout.narrow
        axes.set_yticks(
            range(len(names)),
            [
                name.rpartition("-")[2].replace("_", " ") if shown else ""
                for name in reversed(names)
            ],
        )
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_title(title)
        axes.xaxis.set_major_locator(FixedLocator(TICKS[k]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: plain(float(value))))
        axes.set_xlim(*_limits(judged, k))
        axes.grid(axis="x")
    handles = [
        Line2D([], [], marker="o", color=COLOURS.get(m, MUTED), label=m.replace("_", " "))
        for m in methods
    ]
    handles += [
        Line2D(
            [],
            [],
            marker="o",
            color=INK,
            markerfacecolor="white",
            linestyle="",
            label="not trusted",
        )
    ]
    figure.legend(handles=handles, loc="upper left", ncols=2 if layout.narrow else 5)
    return figure


def describe(rows: Sequence[Mapping[str, Any]]) -> str:
    """The figure in words."""
    judged = [row for row in rows if "sd_ratios" in row]
    said = (
        f"{r['posterior']} by {r['method']} {r['largest_mean_error']:.3f} and {r['sd_ratios'][0]:.2f} to {r['sd_ratios'][1]:.2f}"
        for r in judged
    )
    return (
        "Largest error of a mean in reference sds, and range of the sd ratios: "
        + "; ".join(said)
        + ". The shaded bands are what passes."
    )


def _limits(rows: Sequence[Mapping[str, Any]], panel: int) -> tuple[float, float]:
    if panel == 0:
        return LEAST / 1.3, 1.6 * max(0.1, *(row["largest_mean_error"] for row in rows))
    ratios = [ratio for row in rows for ratio in row["sd_ratios"]]
    return min(0.3, *ratios) / 1.3, 1.3 * max(1.3, *ratios)


def _places(layout: Layout, left: float, panel: float) -> list[tuple[float, float, float]]:
    """Left, bottom and width of the two panels, in inches."""
    if layout.narrow:
        width = layout.width - left - 0.2
        return [(left, panel + HEAD + 2 * FOOT, width), (left, FOOT, width)]
    width = (layout.width - left - 0.7) / 2
    return [(left, FOOT, width), (left + width + 0.5, FOOT, width)]
