"""Our figures against published ones: a panel per data set, a row per recipe, error bars where there are errors."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jensen.reports._style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    Layout,
    canvas,
    place,
    quiet_axis,
)

COLOURS = {"rerun": ORANGE, "original": PURPLE}
ROW, HEAD, FOOT = 0.55, 0.36, 0.42


def draw_comparison(rows: Sequence[Mapping[str, Any]], layout: Layout) -> Figure:
    """Rows with 'recipe' (DATA-MODEL-PRIOR), 'log_p', 'standard_error', 'shortened' and 'published' figures."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["recipe"].split("-")[0], []).append(row)
    heights = [HEAD + ROW * len(group) + FOOT for group in groups.values()]
    left, legend = (1.5, 0.62) if layout.narrow else (2.3, 0.4)
    figure = canvas(layout.width, sum(heights) + legend)
    top = sum(heights) + legend - 0.05
    _legend(figure, top, [row for row in rows], layout)
    top -= legend - 0.05
    for (data, group), height in zip(groups.items(), heights, strict=True):
        axes = place(
            figure, left, top - height + FOOT, layout.width - left - 0.25, height - HEAD - FOOT
        )
        axes.set_title(data)
        _panel(axes, group)
        top -= height
    axes.set_xlabel("test log p(x), nats per datum")
    return figure


def describe(rows: Sequence[Mapping[str, Any]]) -> str:
    """The figure in words."""
    return (
        "Test log-likelihood, ours and published: "
        + "; ".join(f"{row['recipe']} {row['log_p']:.2f}" for row in rows)
        + " nats per datum."
    )


def _panel(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    for i, row in enumerate(rows):
        at = len(rows) - 1 - i
        for k, figure in enumerate(row["published"]):
            known = figure["basis"] != "from memory"
            axes.errorbar(
                figure["value"],
                at - 0.13 * (k + 1),
                xerr=figure["spread"],
                fmt="D",
                markersize=5,
                color=COLOURS.get(figure["source"], MUTED),
                markerfacecolor=COLOURS.get(figure["source"], MUTED) if known else "white",
                capsize=3,
                linewidth=1.2,
            )
        marker = {"fmt": "o", "markersize": 6, "color": BLUE, "capsize": 3, "linewidth": 1.4}
        axes.errorbar(
            row["log_p"],
            at + 0.13,
            xerr=2 * row["standard_error"],
            markerfacecolor="white" if row["shortened"] else BLUE,
            **marker,
        )
        label = f"{row['log_p']:.2f}".replace("-", "\N{MINUS SIGN}")
        axes.annotate(
            label,
            (row["log_p"], at + 0.13),
            (0, 5),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
            color=INK,
        )
    axes.set_yticks(
        range(len(rows)),
        [
            row["recipe"].split("-", 1)[1].replace("-", ", ").replace("_", " ") + _schedule(row)
            for row in reversed(rows)
        ],
    )
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.margins(x=0.12)
    axes.grid(axis="x")
    quiet_axis(axes.xaxis)


def _schedule(row: Mapping[str, Any]) -> str:
    seed = f", seed {row['seed']}" if row["seed"] else ""
    return (f"\n{row['at_most_epochs']} epochs" if row["shortened"] else "") + seed


def _legend(figure: Figure, top: float, rows: list[Mapping[str, Any]], layout: Layout) -> None:
    sources = {f["source"] for row in rows for f in row["published"]}
    handles = [Line2D([], [], marker="o", color=BLUE, linestyle="", label="ours (+- 2 se)")]
    if any(row["shortened"] for row in rows):
        handles.append(
            Line2D(
                [],
                [],
                marker="o",
                color=BLUE,
                markerfacecolor="white",
                linestyle="",
                label="ours, shortened",
            )
        )
    labels = {"rerun": "re-run (+- spread)"}
    handles += [
        Line2D(
            [], [], marker="D", color=COLOURS.get(s, MUTED), linestyle="", label=labels.get(s, s)
        )
        for s in sorted(sources)
    ]
    if any(f["basis"] == "from memory" for row in rows for f in row["published"]):
        handles.append(
            Line2D(
                [],
                [],
                marker="D",
                color=MUTED,
                markerfacecolor="white",
                linestyle="",
                label="hollow: from memory",
            )
        )
    height = figure.get_size_inches()[1]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.01, top / height),
        ncols=2 if layout.narrow else 5,
        handletextpad=0.2,
        columnspacing=1.2,
    )
