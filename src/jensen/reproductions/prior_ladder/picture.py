"""The picture of the ladder of priors: lines of the account against the number of components."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
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
    PURPLE,
    Layout,
    canvas,
    line_art_files,
    place,
    quiet_axis,
)

Rungs = Sequence[Mapping[str, Any]]
PANELS = (("marginal_kl", "Marginal KL"), ("elbo", "ELBO"), ("evidence", "log p(x)"))
# Priors with a number of components are curves: colour, marker and label.
CURVES = {
    "learned": (BLUE, "o", "learned pseudo-inputs"),
    "fixed": (ORANGE, "s", "K training rows"),
}
# Priors without one are level lines: colour and label.
LEVELS = {"standard_normal": (PURPLE, "N(0, I)"), "own": (GREEN, "the run's own prior")}
LINE_STYLES = {"train": "-", "test": (0, (4, 1.5))}


def draw_ladder(rungs: Rungs) -> dict[str, bytes]:
    """Draws marginal KL, ELBO and evidence against the number of mixture components.

    Args:
        rungs: each with 'kind', 'components' (None for a prior without components, which becomes
            a level line) and, for 'train' and 'test', a mapping of 'marginal_kl', 'elbo' and
            'evidence' to mappings of 'value' and 'standard_error', nats per datum.

    Returns:
        {file name: bytes} of a PNG and an SVG file.

    Raises:
        ValueError: no rung with components.

        draw_ladder(rungs)["ladder.png"]
    """
    if not any(rung["components"] for rung in rungs):
        raise ValueError("a picture of a ladder needs at least one rung; got none.")
    return line_art_files("ladder", describe(rungs), lambda layout: ladder_figure(rungs, layout))


def ladder_figure(rungs: Rungs, layout: Layout) -> Figure:
    """Returns the figure of `draw_ladder` in one layout.

    Three panels: train solid, test dashed, two standard errors shaded. Both curves end at the
    aggregated posterior, K = N.
    """
    columns = 1 if layout.narrow else 3
    rows = 3 // columns
    left, gap, height, legend = 0.62, 0.62, 2.2, 0.75 if layout.narrow else 0.4
    width = (layout.width - left - 0.15 - gap * (columns - 1)) / columns
    figure = canvas(layout.width, rows * (height + 0.85) + legend)
    for i, (line, title) in enumerate(PANELS):
        row, column = divmod(i, columns)
        axes = place(
            figure,
            left + column * (width + gap),
            (rows - 1 - row) * (height + 0.85) + 0.5,
            width,
            height,
        )
        axes.set_title(title)
        _panel(axes, rungs, line)
    figure.legend(
        handles=_handles(rungs),
        loc="upper left",
        bbox_to_anchor=(0.01, 1.0),
        ncols=2 if layout.narrow else 6,
        columnspacing=1.2,
        handlelength=1.8,
    )
    return figure


def describe(rungs: Rungs) -> str:
    """Returns the figure in words."""
    last = next(rung for rung in reversed(rungs) if rung["components"])
    train, test = (
        {line: last[split][line]["value"] for line, _ in PANELS} for split in ("train", "test")
    )
    return (
        "Against the number of mixture components: marginal KL, ELBO and log p(x). "
        f"At K = {last['components']} the marginal KL is "
        f"{train['marginal_kl']:.2f} on train and {test['marginal_kl']:.2f} on test, "
        f"log p(x) {train['evidence']:.2f} and {test['evidence']:.2f} nats per datum."
    )


def _panel(axes: Axes, rungs: Rungs, line: str) -> None:
    aggregated = [rung for rung in rungs if rung["kind"] == "aggregated"]
    components = sorted({rung["components"] for rung in rungs if rung["components"]})
    for kind, (colour, _) in LEVELS.items():
        for rung in (rung for rung in rungs if rung["kind"] == kind):
            for split, style in LINE_STYLES.items():
                axes.axhline(
                    rung[split][line]["value"], color=colour, linestyle=style, linewidth=1.0
                )
    for kind, (colour, marker, _) in CURVES.items():
        curve = sorted(
            (rung for rung in rungs if rung["kind"] == kind), key=lambda rung: rung["components"]
        )
        if not curve:
            continue
        curve += aggregated
        k = [rung["components"] for rung in curve]
        for split, style in LINE_STYLES.items():
            value, error = (
                np.array([rung[split][line][name] for rung in curve])
                for name in ("value", "standard_error")
            )
            axes.fill_between(
                k, value - 2 * error, value + 2 * error, color=colour, alpha=0.18, linewidth=0
            )
            axes.plot(
                k,
                value,
                color=colour,
                linestyle=style,
                linewidth=1.4,
                marker=marker,
                markersize=3.5,
                markerfacecolor=colour if split == "train" else "white",
            )
    axes.set_xscale("log")
    axes.set_xlim(components[0] / 1.4, components[-1] * 1.4)
    axes.xaxis.set_major_locator(FixedLocator(_ticks(components)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: f"{round(value):,}"))
    axes.set_xlabel("components K; the last is N")
    _set_limits(axes, rungs, line)
    axes.grid(axis="y")
    quiet_axis(axes.yaxis, ticks=5)


def _set_limits(axes: Axes, rungs: Rungs, line: str) -> None:
    """Sets a range that shows all rungs but, if need be, those of a few training rows.

    A few training rows make a poor prior: shown in full, they would flatten all other curves.
    """
    poor = np.array([rung["kind"] == "fixed" and rung["components"] < 100 for rung in rungs])
    values = np.array([[rung[split][line]["value"] for split in LINE_STYLES] for rung in rungs])
    others = values if poor.all() else values[~poor]
    low, high = float(others.min()), float(others.max())
    span = max(high - low, 1e-3)
    low = max(float(values.min()), low - 0.6 * span)
    high = min(float(values.max()), high + 0.6 * span)
    axes.set_ylim(low - 0.06 * span, high + 0.06 * span)
    outside = int(((values < low) | (values > high)).any(axis=1).sum())
    if outside:
        axes.set_title(
            f"{outside} outside", loc="right", fontsize=7.5, weight="normal", color=MUTED
        )


def _ticks(components: list[int]) -> list[int]:
    """Returns the numbers whose labels do not touch on a logarithmic axis, first and last included.

    They are chosen from the right, where N stands; 0.14 of the axis is the width of a label.
    """
    first, last = components[0], components[-1]
    ticks, gap = [last], 0.14 * np.log10(last / first)
    for k in reversed(components[:-1]):
        if k == first or min(np.log10(ticks[-1] / k), np.log10(k / first)) > gap:
            ticks.append(k)
    return sorted(ticks)


def _handles(rungs: Rungs) -> list[Line2D]:
    kinds = {rung["kind"] for rung in rungs}
    curves = [
        Line2D([], [], color=colour, marker=marker, markersize=3.5, label=label)
        for kind, (colour, marker, label) in CURVES.items()
        if kind in kinds
    ]
    levels = [
        Line2D([], [], color=colour, label=label)
        for kind, (colour, label) in LEVELS.items()
        if kind in kinds
    ]
    splits = [
        Line2D([], [], color=INK, linestyle=style, label=label)
        for style, label in zip(LINE_STYLES.values(), ("train", "test (+- 2 se)"), strict=True)
    ]
    return [*curves, *levels, *splits]
