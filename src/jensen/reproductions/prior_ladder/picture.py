"""The ladder of priors: marginal KL, ELBO and evidence against the number of mixture components, train and test, with the baselines as level lines."""

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
    place,
    quiet_axis,
)

Rungs = Sequence[Mapping[str, Any]]
PANELS = (("marginal_kl", "Marginal KL"), ("elbo", "ELBO"), ("evidence", "log p(x)"))
LADDERS = {
    "learned": (BLUE, "o", "learned pseudo-inputs"),
    "fixed": (ORANGE, "s", "K training rows"),
}
LEVELS = {"standard_normal": (PURPLE, "N(0, I)"), "own": (GREEN, "the run's own prior")}
STYLES = {"train": "-", "test": (0, (4, 1.5))}


def draw_ladder(rungs: Rungs, layout: Layout) -> Figure:
    """Three panels: solid train, dashed test, two standard errors shaded. Both ladders end at the aggregated posterior, K = N."""
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
    """The figure in words."""
    far = next(r for r in reversed(rungs) if r["components"])
    values = {split: {line: far[split][line]["value"] for line, _ in PANELS} for split in STYLES}
    return (
        f"Against the number of mixture components: marginal KL, ELBO and log p(x). At K = {far['components']} the marginal KL is "
        f"{values['train']['marginal_kl']:.2f} on train and {values['test']['marginal_kl']:.2f} on test, log p(x) "
        f"{values['train']['evidence']:.2f} and {values['test']['evidence']:.2f} nats per datum."
    )


def _panel(axes: Axes, rungs: Rungs, line: str) -> None:
    end = [r for r in rungs if r["kind"] == "aggregated"]
    shown = sorted({r["components"] for r in rungs if r["components"]})
    for kind, (colour, _) in LEVELS.items():
        for rung in (r for r in rungs if r["kind"] == kind):
            for split, style in STYLES.items():
                axes.axhline(
                    rung[split][line]["value"], color=colour, linestyle=style, linewidth=1.0
                )
    for kind, (colour, marker, _) in LADDERS.items():
        ladder = sorted([r for r in rungs if r["kind"] == kind], key=lambda r: r["components"])
        for split, style in STYLES.items() if ladder else ():
            k = [r["components"] for r in [*ladder, *end]]
            value, error = (
                np.array([r[split][line][name] for r in [*ladder, *end]])
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
    axes.set_xlim(shown[0] / 1.4, shown[-1] * 1.4)
    axes.xaxis.set_major_locator(FixedLocator(_far_apart(shown)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: f"{round(value):,}"))
    axes.set_xlabel("components K; the last is N")
    _limits(axes, rungs, line)
    axes.grid(axis="y")
    quiet_axis(axes.yaxis, ticks=5)


def _limits(axes: Axes, rungs: Rungs, line: str) -> None:
    """A range that shows everything but a few training rows, whose distance would flatten all the rest."""
    far = [r["kind"] == "fixed" and r["components"] < 100 for r in rungs]
    every = np.array([[r[s][line]["value"] for s in STYLES] for r in rungs])
    near = every[~np.array(far)] if not all(far) else every
    low, high = float(near.min()), float(near.max())
    span = max(high - low, 1e-3)
    low, high = (
        max(float(every.min()), low - 0.6 * span),
        min(float(every.max()), high + 0.6 * span),
    )
    axes.set_ylim(low - 0.06 * span, high + 0.06 * span)
    outside = int(((every < low) | (every > high)).any(axis=1).sum())
    if outside:
        axes.set_title(
            f"{outside} outside", loc="right", fontsize=7.5, weight="normal", color=MUTED
        )


def _far_apart(shown: list[int]) -> list[int]:
    """The numbers whose labels do not touch on a logarithmic axis; first and last always."""
    kept, least = [shown[-1]], 0.14 * np.log10(shown[-1] / shown[0])
    for k in reversed(shown[:-1]):
        if k == shown[0] or min(np.log10(kept[-1] / k), np.log10(k / shown[0])) > least:
            kept.append(k)
    return sorted(kept)


def _handles(rungs: Rungs) -> list[Line2D]:
    kinds = {r["kind"] for r in rungs}
    handles = [
        Line2D([], [], color=c, marker=m, markersize=3.5, label=text)
        for kind, (c, m, text) in LADDERS.items()
        if kind in kinds
    ]
    handles += [
        Line2D([], [], color=c, label=text) for kind, (c, text) in LEVELS.items() if kind in kinds
    ]
    return handles + [
        Line2D(
            [],
            [],
            color=INK,
            linestyle=style,
            label=f"{split} (+- 2 se)" if split == "test" else split,
        )
        for split, style in STYLES.items()
    ]
