"""Differences between accounts: a panel for each line, a row for each run.

Bars are paired standard errors.
"""

import numpy as np
from matplotlib.figure import Figure

from jensen.anatomy import Comparison, RankedComparison
from jensen.reports._style import BLUE, INK, MUTED, ORANGE, Layout, canvas, place, quiet_axis

LONGEST = 26


def draw_differences(comparison: Comparison | RankedComparison, layout: Layout) -> Figure:
    """Returns the figure of each run minus the first.

    Markers are filled beyond two standard errors (blue above, orange below), hollow within.
    """
    table = comparison.to_dataset()
    names = [plain_name(name) for name in comparison.names]
    runs = len(names) - 1
    labels = min(LONGEST, max(map(len, names[1:]))) * 0.073 + 0.2
    columns = 1 if layout.narrow else 3
    rows = -(-len(comparison.rows) // columns)
    gap, panel, above, below, top = 0.3, 0.2 + 0.24 * runs, 0.3, 0.32, 0.34
    width = (layout.width - labels - 0.2 - gap * (columns - 1)) / columns
    figure = canvas(layout.width, top + rows * (panel + above + below) + 0.05)
    height = figure.get_size_inches()[1]
    figure.text(
        0.1 / layout.width,
        1 - 0.12 / height,
        f"Minus {names[0]}, nats per datum; bars are two standard errors",
        va="top",
        fontsize=8.5,
        color=MUTED,
    )
    for i, entry in enumerate(comparison.rows):
        row, column = divmod(i, columns)
        axes = place(
            figure,
            labels + column * (width + gap),
            (rows - 1 - row) * (panel + above + below) + below,
            width,
            panel,
        )
        axes.set_title(entry.label)
        difference, error = (
            table[v].sel(line=entry.name).values[1:] for v in ("difference", "standard_error")
        )
        for y, (d, e) in enumerate(zip(difference, error, strict=True)):
            clear = abs(d) > 2 * e
            colour = MUTED if not clear else BLUE if d > 0 else ORANGE
            bar = 2 * e if np.isfinite(e) else 0.0
            axes.errorbar(
                [d],
                [y],
                xerr=[bar],
                color=colour,
                marker="o",
                markersize=4.5,
                markerfacecolor=colour if clear else "white",
                capsize=2,
                linewidth=1.2,
            )
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_ylim(runs - 0.5, -0.5)
        axes.set_yticks(range(runs), names[1:] if column == 0 else [""] * runs)
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.12)
        axes.grid(axis="x")
        quiet_axis(axes.xaxis, ticks=4)
    return figure


def describe(comparison: Comparison | RankedComparison) -> str:
    """Returns the figure in words."""
    elbo = comparison.to_dataset()["difference"].sel(line="elbo")
    first, *others = comparison.names
    differences = ", ".join(
        f"{name} {float(elbo[i]):+.3f}" for i, name in enumerate(others, start=1)
    )
    return (
        f"Differences of {len(comparison.rows)} lines to {first}, {comparison.split} split, "
        f"nats per datum; the ELBO: {differences}."
    )


def plain_name(name: str) -> str:
    """Returns a run's name as it is drawn: in printable ASCII, and the end of a long one."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in name)
    return plain if len(plain) <= LONGEST else "..." + plain[3 - LONGEST :]
