"""The code by epoch: I(n; z) under its ceiling, marginal KL and active units.

They are those of a subset of the training data.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jensen.anatomy.in_training import accounts_of
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
    quiet_axis,
)

History = Sequence[dict[str, Any]]
LINES = (
    ("index_information", "I(n; z)", BLUE, "-"),
    ("marginal_kl", "marginal KL", ORANGE, (0, (4, 1.5))),
)


def draw_code_by_epoch(history: History, layout: Layout) -> Figure:
    """Returns two panels: nats against the epoch, and active units.

    Bands are two standard errors, the dashed line is the ceiling of I(n; z).
    """
    accounts = accounts_of(history)
    columns = 1 if layout.narrow else 2
    left, gap, panel_height, row_height = 0.62, 0.7, 1.65, 2.2
    width = (layout.width - left - 0.2 - gap * (columns - 1)) / columns
    rows = 2 // columns
    figure = canvas(layout.width, rows * row_height + 0.15)
    last = max(history[-1]["epoch"], accounts[-1]["epoch"])
    for i, (draw, title) in enumerate(((_nats, "Nats per datum"), (_units, "Active units"))):
        row, column = divmod(i, columns)
        axes = place(
            figure,
            left + column * (width + gap),
            (rows - 1 - row) * row_height + 0.5,
            width,
            panel_height,
        )
        axes.set_title(title)
        draw(axes, accounts)
        axes.axvline(history[-1]["best_epoch"], color=GREEN, linewidth=1.1, linestyle=":")
        axes.set_xlim(0, last + 0.5)
        axes.grid(axis="y")
        quiet_axis(axes.xaxis)
        quiet_axis(axes.yaxis, ticks=4)
        if row == rows - 1:
            axes.set_xlabel("epoch")
    return figure


def describe(history: History) -> str:
    """Returns the figure in words."""
    accounts = accounts_of(history)
    first, last = accounts[0], accounts[-1]
    information, marginal_kl = (
        [account[name]["value"] for account in (first, last)]
        for name in ("index_information", "marginal_kl")
    )
    return (
        f"{last['label']}: {information[0]:.2f} nats after epoch {first['epoch']}, "
        f"{information[1]:.2f} after epoch {last['epoch']}; "
        f"marginal KL {marginal_kl[0]:.2f} and {marginal_kl[1]:.2f}; "
        f"active units {first['active_units']} and {last['active_units']} of {last['latent_dim']}."
    )


def label_of(history: History) -> str:
    """Returns which data the lines are of, and their ceiling; '' without accounts in training."""
    accounts = accounts_of(history)
    return accounts[-1]["label"] if accounts else ""


def _nats(axes: Axes, accounts: list[dict[str, Any]]) -> None:
    epochs = [a["epoch"] for a in accounts]
    for name, label, colour, style in LINES:
        value, error = (
            np.array([a[name][k] for a in accounts]) for k in ("value", "standard_error")
        )
        axes.fill_between(
            epochs, value - 2 * error, value + 2 * error, color=colour, alpha=0.18, linewidth=0
        )
        axes.plot(
            epochs,
            value,
            color=colour,
            linestyle=style,
            linewidth=1.4,
            marker=_marker(accounts),
            markersize=3,
            label=label,
        )
    last = accounts[-1]
    # Records of earlier versions have no ceiling of their own: all rows were taken to differ.
    ceiling, n = last.get("index_ceiling", last["log_n"]), last["n"]
    repeated = last.get("distinct_rows", n) < n
    axes.axhline(ceiling, color=INK, linewidth=1.0, linestyle="--")
    axes.text(
        0.01,
        ceiling,
        f"entropy of {last['distinct_rows']} distinct rows = {ceiling:.2f}"
        if repeated
        else f"log {n} = {ceiling:.2f}",
        transform=axes.get_yaxis_transform(),
        ha="left",
        va="bottom",
        fontsize=8,
        color=MUTED,
    )
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, 0), max(high, 1.2 * ceiling))
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 0.97),
        ncols=2,
        columnspacing=1.2,
        handlelength=1.8,
        borderaxespad=0,
    )


def _units(axes: Axes, accounts: list[dict[str, Any]]) -> None:
    active, of = [a["active_units"] for a in accounts], accounts[-1]["latent_dim"]
    axes.plot(
        [a["epoch"] for a in accounts],
        active,
        color=PURPLE,
        linewidth=1.4,
        marker=_marker(accounts),
        markersize=3,
    )
    axes.axhline(of, color=INK, linewidth=1.0, linestyle="--")
    axes.text(
        0.01,
        of,
        f"all {plain(of)}",
        transform=axes.get_yaxis_transform(),
        ha="left",
        va="bottom",
        fontsize=8,
        color=MUTED,
    )
    axes.set_ylim(0, 1.2 * of)


def _marker(accounts: list[dict[str, Any]]) -> str:
    return "o" if len(accounts) < 25 else ""
