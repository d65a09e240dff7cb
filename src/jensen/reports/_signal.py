"""Signal-to-noise ratios of gradients against the number of samples, a panel for each part."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from jensen.reports._style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    Layout,
    canvas,
    place,
    plain,
)

LOOKS = {
    "pathwise": (BLUE, "o"),
    "doubly_reparameterised": (ORANGE, "s"),
    "closed_form_kl": (PURPLE, "^"),
    "sticking_the_landing": (GREEN, "v"),
    "score_function": (INK, "x"),
    "vimco": (MUTED, "D"),
    "wake": (GREEN, "P"),
}


def draw_signal(lines: Sequence[Mapping[str, Any]], layout: Layout) -> Figure:
    """Returns the figure of `jensen.reports.draw_signal` in one layout.

    Bars are two standard errors; both axes are logarithmic.
    """
    parts = list(dict.fromkeys(line["part"] for line in lines if _positive(line["ratio"]))) or [
        lines[0]["part"]
    ]
    columns = 1 if layout.narrow else len(parts)
    rows = -(-len(parts) // columns)
    left, gap, height, legend = 0.62, 0.62, 2.3, 0.95 if layout.narrow else 0.62
    width = min(3.6, (layout.width - left - 0.15 - gap * (columns - 1)) / columns)
    figure = canvas(layout.width, rows * (height + 0.9) + legend)
    handles: dict[str, Any] = {}
    for i, part in enumerate(parts):
        row, column = divmod(i, columns)
        axes = place(
            figure,
            left + column * (width + gap),
            (rows - 1 - row) * (height + 0.9) + 0.55,
            width,
            height,
        )
        axes.set_title(f"{part}: signal-to-noise ratio")
        axes.set_xscale("log")
        axes.set_yscale("log")
        counts = sorted({line["num_samples"] for line in lines})
        for gradient in dict.fromkeys(line["gradient"] for line in lines):
            shown = sorted(
                (
                    x
                    for x in lines
                    if (x["part"], x["gradient"]) == (part, gradient) and _positive(x["ratio"])
                ),
                key=lambda x: x["num_samples"],
            )
            if not shown:
                continue
            colour, marker = LOOKS.get(gradient, (INK, "*"))
            ratio, error = (
                np.array([x[name] for x in shown], float) for name in ("ratio", "standard_error")
            )
            error = np.where(np.isfinite(error), error, 0.0)
            bars = np.stack([np.minimum(2 * error, 0.9 * ratio), 2 * error])
            look = {
                "color": colour,
                "marker": marker,
                "markersize": 5,
                "linewidth": 1.4,
                "capsize": 2,
            }
            handles[gradient] = axes.errorbar(
                [x["num_samples"] for x in shown], ratio, yerr=bars, **look
            )
        axes.xaxis.set_major_locator(FixedLocator(counts))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: plain(float(value))))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, position: plain(float(value))))
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("samples per datum, K")
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="upper left",
        bbox_to_anchor=(0.01, 1.0),
        ncols=2 if layout.narrow else 4,
        columnspacing=1.2,
    )
    return figure


def describe(lines: Sequence[Mapping[str, Any]]) -> str:
    """The figure in words."""
    return (
        "Signal-to-noise ratios of gradients: "
        + "; ".join(
            f"{x['gradient']}, K = {x['num_samples']}, {x['part']} {x['ratio']:.3g}" for x in lines
        )
        + "."
    )


def _positive(value: float) -> bool:
    return bool(np.isfinite(value)) and value > 0
