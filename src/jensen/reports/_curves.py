"""Training curves: bound, reconstruction, average KL and KL weight by epoch, and the best epoch."""

import math
from collections.abc import Sequence
from typing import Any

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
    plain,
    quiet_axis,
)

History = Sequence[dict[str, Any]]
PANELS = (
    ("bound", "Bound (higher is better)"),
    ("reconstruction", "Reconstruction"),
    ("average_kl", "Average KL"),
)


def draw_curves(history: History, layout: Layout) -> Figure:
    """One panel per term, train and validation; the KL weight too if it ever changes."""
    titles = [*PANELS, ("beta", "KL weight (beta)")] if warm_up_spans(history) else list(PANELS)
    columns = 1 if layout.narrow else 2 if len(titles) == 4 else 3
    rows = -(-len(titles) // columns)
    left, gap, panel_height, row_height = 0.62, 0.7, 1.65, 2.2
    width = (layout.width - left - 0.2 - gap * (columns - 1)) / columns
    figure = canvas(layout.width, rows * row_height + 0.15)
    for i, (name, title) in enumerate(titles):
        row, column = divmod(i, columns)
        axes = place(
            figure,
            left + column * (width + gap),
            (rows - 1 - row) * row_height + 0.5,
            width,
            panel_height,
        )
        axes.set_title(title)
        _draw_panel(axes, history, name, best=best_epoch(history), warm_up=warm_up_spans(history))
        if i == 0:
            axes.legend(
                loc="lower right", frameon=True, facecolor="white", edgecolor="none", framealpha=0.9
            )
        if row == rows - 1:
            axes.set_xlabel("epoch")
    return figure


def best_epoch(history: History) -> int:
    """Returns the epoch of the best model."""
    return int(history[-1]["best_epoch"])


def warm_up_epochs(history: History) -> int:
    """The last epoch trained at a smaller KL weight than the largest one; 0 if there is none."""
    return max((last for _, last in warm_up_spans(history)), default=0)


def warm_up_spans(history: History) -> list[tuple[int, int]]:
    """Returns (first, last) of every stretch of epochs at a smaller KL weight than the largest.

    A warm-up has one, a cyclical schedule several.
    """
    full = max(record["beta"] for record in history)
    spans: list[tuple[int, int]] = []
    for record in history:
        if record["beta"] < full - 1e-9 * max(full, 1.0):
            start = (
                spans.pop()[0] if spans and spans[-1][1] == record["epoch"] - 1 else record["epoch"]
            )
            spans.append((start, record["epoch"]))
    return spans


def visible_range(values: np.ndarray) -> tuple[float, float]:
    """Returns a range that shows all but the first steep epochs.

    It holds the last three quarters of the values, with room to see where they come from.
    """
    values = values[np.isfinite(values).any(axis=1)] if values.ndim == 2 else values
    late = values[len(values) // 4 :] if len(values) >= 12 else values
    late = late[np.isfinite(late)]
    if not late.size:
        return 0.0, 1.0
    low, high = float(late.min()), float(late.max())
    span = max(high - low, 1e-3 * max(1.0, abs(low)))
    whole = values[np.isfinite(values)]
    return max(float(whole.min()) - 0.05 * span, low - 0.8 * span), min(
        float(whole.max()) + 0.05 * span, high + 0.8 * span
    )


def describe(history: History) -> str:
    """Returns the figure in words."""
    last, best = history[-1], best_epoch(history)
    text = (
        f"Bound, reconstruction and average KL over {last['epoch']} epochs; "
        f"the best epoch is {best}; the last training bound is {last['train']['bound']:.2f}"
    )
    if last["validation"]:
        text += f" and the last validation bound {last['validation']['bound']:.2f}"
    return f"{text} nats per datum."


def _draw_panel(
    axes: Axes, history: History, name: str, *, best: int, warm_up: list[tuple[int, int]]
) -> None:
    epochs = np.array([record["epoch"] for record in history])
    for first, last in warm_up:
        axes.axvspan(first - 0.5, last + 0.5, color=PALE, zorder=0, linewidth=0)
    marker = "o" if len(history) < 8 else ""
    if name == "beta":
        beta = [record["beta"] for record in history]
        axes.plot(epochs, beta, color=INK, marker=marker, markersize=3)
        axes.set_ylim(0, 1.1 * max(*beta, 1e-9))
        if len(warm_up) == 1:
            axes.text(
                warm_up[0][1] + 1,
                0.06,
                "shaded: warm-up",
                transform=axes.get_xaxis_transform(),
                ha="left",
                va="bottom",
                fontsize=8,
                color=MUTED,
            )
    else:
        curves = np.array(
            [
                [_term(record, split, name) for split in ("train", "validation")]
                for record in history
            ]
        )
        for values, colour, style, label in zip(
            curves.T, (BLUE, ORANGE), ("-", (0, (4, 1.5))), ("train", "validation"), strict=True
        ):
            if np.isfinite(values).any():
                axes.plot(
                    epochs,
                    values,
                    color=colour,
                    linestyle=style,
                    linewidth=1.4,
                    marker=marker,
                    markersize=3,
                    label=label,
                )
        low, high = visible_range(curves)
        axes.set_ylim(low, high)
        hidden = int(np.sum(np.any((curves < low) | (curves > high), axis=1)))
        if hidden:
            axes.set_title(
                f"{hidden} early epochs outside",
                loc="right",
                fontsize=7.5,
                weight="normal",
                color=MUTED,
            )
    axes.axvline(best, color=GREEN, linewidth=1.1, linestyle=":")
    if name == "bound":
        axes.plot(
            [], [], color=GREEN, linewidth=1.1, linestyle=":", label=f"best, epoch {plain(best)}"
        )
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    axes.grid(axis="y")
    quiet_axis(axes.xaxis)
    quiet_axis(axes.yaxis, ticks=4)


def _term(record: dict[str, Any], split: str, name: str) -> float:
    return float(record[split][name]) if record.get(split) else math.nan
