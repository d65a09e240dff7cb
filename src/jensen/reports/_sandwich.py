"""The sandwich: lower bounds that approach log p(x), and chains on simulated data beside them.

Both panels have the same scale.
"""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jensen.reports._style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PALE,
    Layout,
    canvas,
    place,
    quiet_axis,
)

if TYPE_CHECKING:
    from jensen.evidence._sandwich import Sandwich


def draw_sandwich(sandwich: "Sandwich", layout: Layout) -> Figure:
    """Returns two panels with the same number of nats to the inch, and one below them.

    It shows acceptance and effective sample size along the temperatures.
    """
    span = max(
        sandwich.rungs[-1].value - sandwich.rungs[0].value,
        sandwich.bidirectional.gap if sandwich.bidirectional else 0.0,
        0.1,
    )
    panels = 2 if sandwich.bidirectional else 1
    rows = (panels if layout.narrow else 1) + 1
    left, gap, height, between = 1.35, 1.0, 1.75, 0.95
    width = layout.width - left - 0.2 if layout.narrow else (layout.width - left - gap - 0.2) / 2
    figure = canvas(layout.width, rows * (height + between) + 0.1)
    bottoms = [(rows - 1 - row) * (height + between) + 0.55 for row in range(rows)]
    axes = place(figure, left, bottoms[0], width, height)
    _bounds_panel(axes, sandwich, span)
    if sandwich.bidirectional:
        second = (
            place(figure, left, bottoms[1], width, height)
            if layout.narrow
            else place(figure, left + width + gap, bottoms[0], width, height)
        )
        _simulated_panel(second, sandwich, span)
    below = place(
        figure, left, bottoms[-1], width if layout.narrow else layout.width - left - 0.2, height
    )
    _temperature_panel(below, sandwich)
    return figure


def describe_sandwich(sandwich: "Sandwich") -> str:
    """Returns the figure in words."""
    bounds = ", ".join(
        f"{rung.name} {rung.value:.3f} +- {rung.standard_error:.3f}" for rung in sandwich.rungs
    )
    text = f"Lower bounds on log p(x): {bounds}."
    return f"{text} {sandwich.bidirectional.certifies}" if sandwich.bidirectional else text


def _bounds_panel(axes: Axes, sandwich: "Sandwich", span: float) -> None:
    axes.set_title(f"{len(sandwich.index)} data")
    places = np.arange(len(sandwich.rungs))[::-1]
    for at, rung in zip(places, sandwich.rungs, strict=True):
        colour = ORANGE if rung.name == "annealed" else BLUE
        axes.errorbar(
            rung.value,
            at,
            xerr=2 * np.nan_to_num(rung.standard_error),
            fmt="o",
            color=colour,
            markersize=6,
            capsize=3,
        )
        axes.annotate(
            _fixed(rung.value, 2),
            (rung.value, at),
            textcoords="offset points",
            xytext=(0, 8),
            ha="center",
            fontsize=8.5,
            color=INK,
        )
    axes.set_yticks(places, [rung.name.replace(", ", "\n") for rung in sandwich.rungs])
    _set_scale(
        axes, (sandwich.rungs[0].value + sandwich.rungs[-1].value) / 2, span, len(sandwich.rungs)
    )


def _simulated_panel(axes: Axes, sandwich: "Sandwich", span: float) -> None:
    both = sandwich.bidirectional
    assert both is not None
    axes.set_title(
        f"{len(both.lower)} simulated: "
        f"gap {_fixed(both.gap, 3)} \N{PLUS-MINUS SIGN} {both.standard_error:.3f}"
    )
    low, high = float(np.nanmean(both.lower)), float(np.nanmean(both.upper))
    axes.axvspan(low, high, color=PALE)
    for at, value, colour in ((0, low, ORANGE), (1, high, GREEN)):
        axes.plot(value, at, "o", color=colour, markersize=6)
        axes.annotate(
            _fixed(value, 2),
            (value, at),
            textcoords="offset points",
            xytext=(0, 8),
            ha="center",
            fontsize=8.5,
            color=INK,
        )
    axes.set_yticks([0, 1], ["forward\nlower", "reverse\nupper"])
    _set_scale(axes, (low + high) / 2, span, 2)


def _set_scale(axes: Axes, middle: float, span: float, rows: int) -> None:
    axes.set_xlim(middle - 0.75 * span, middle + 0.75 * span)
    axes.set_ylim(-0.6, rows - 0.3)
    axes.set_xlabel("nats per datum")
    axes.grid(axis="x")
    quiet_axis(axes.xaxis, ticks=4)


def _fixed(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _temperature_panel(axes: Axes, sandwich: "Sandwich") -> None:
    """Draws acceptance and ESS against the share of the temperatures that is done.

    Where a schedule is too coarse, one of them falls.
    """
    curves = sandwich.annealed.curves
    share = np.arange(1, len(curves["beta"]) + 1) / len(curves["beta"])
    axes.set_title("along the temperatures")
    # Steps differ in length from move to move, and so does their acceptance: the mean over a few
    # shows the effect of the schedule.
    few = max(1, len(share) // 25)
    weight = np.convolve(np.ones(len(share)), np.ones(few), "same")
    axes.plot(
        share,
        np.convolve(curves["acceptance"], np.ones(few), "same") / weight,
        color=BLUE,
        label="moves accepted",
    )
    axes.plot(share, curves["ess"], color=ORANGE, label="chains in effect")
    axes.plot(share, curves["beta"], color=MUTED, linestyle="--", linewidth=1, label="beta")
    axes.set_ylim(0, 1.03)
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the temperatures")
    axes.legend(loc="lower right", ncols=1)
    axes.grid(axis="y")
