"""The picture of a table of recipes: our log p(x) beside published values.

A panel for each data set, a row for each recipe, and error bars where there are errors.
"""

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
    line_art_files,
    place,
    quiet_axis,
)

Rows = Sequence[Mapping[str, Any]]
COLOURS = {"rerun": ORANGE, "original": PURPLE}
# Heights in inches: of a row, and above and below the rows of a panel.
ROW, HEAD, FOOT = 0.55, 0.36, 0.42


def draw_published(rows: Rows) -> dict[str, bytes]:
    """Draws our test log-likelihoods beside the published ones.

    Args:
        rows: each with 'recipe' (DATA-MODEL-PRIOR), 'seed', 'log_p', 'standard_error',
            'shortened', 'at_most_epochs' and 'published', mappings of 'source', 'value',
            'spread' and 'basis'.

    Returns:
        {file name: bytes} of a PNG and an SVG file.

    Raises:
        ValueError: no rows.

        draw_published(rows)["published.png"]
    """
    if not rows:
        raise ValueError("a picture of published figures needs at least one row; got none.")
    return line_art_files(
        "published", describe(rows), lambda layout: published_figure(rows, layout)
    )


def published_figure(rows: Rows, layout: Layout) -> Figure:
    """Returns the figure of `draw_published` in one layout."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["recipe"].split("-")[0], []).append(row)
    heights = [HEAD + ROW * len(group) + FOOT for group in groups.values()]
    left, legend = (1.5, 0.62) if layout.narrow else (2.3, 0.4)
    figure = canvas(layout.width, sum(heights) + legend)
    top = sum(heights) + legend - 0.05
    _add_legend(figure, top, rows, layout)
    top -= legend - 0.05
    panels = []
    for (data, group), height in zip(groups.items(), heights, strict=True):
        axes = place(
            figure, left, top - height + FOOT, layout.width - left - 0.25, height - HEAD - FOOT
        )
        axes.set_title(data)
        _panel(axes, group)
        panels.append(axes)
        top -= height
    panels[-1].set_xlabel("test log p(x), nats per datum")
    return figure


def describe(rows: Rows) -> str:
    """Returns the figure in words."""
    values = "; ".join(f"{row['recipe']} {row['log_p']:.2f}" for row in rows)
    return f"Test log-likelihood, ours and published: {values} nats per datum."


def _panel(axes: Axes, rows: Rows) -> None:
    for i, row in enumerate(rows):
        at = len(rows) - 1 - i
        # Ours lies a little above the row's line, published values below it.
        for k, published in enumerate(row["published"]):
            colour = COLOURS.get(published["source"], MUTED)
            axes.errorbar(
                published["value"],
                at - 0.13 * (k + 1),
                xerr=published["spread"],
                fmt="D",
                markersize=5,
                color=colour,
                markerfacecolor="white" if published["basis"] == "from memory" else colour,
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
            row["recipe"].split("-", 1)[1].replace("-", ", ").replace("_", " ")
            + _schedule_label(row)
            for row in reversed(rows)
        ],
    )
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.margins(x=0.12)
    axes.grid(axis="x")
    quiet_axis(axes.xaxis)


def _schedule_label(row: Mapping[str, Any]) -> str:
    seed = f", seed {row['seed']}" if row["seed"] else ""
    return (f"\n{row['at_most_epochs']} epochs" if row["shortened"] else "") + seed


def _add_legend(figure: Figure, top: float, rows: Rows, layout: Layout) -> None:
    def marker(shape: str, colour: str, label: str, *, hollow: bool = False) -> Line2D:
        face = "white" if hollow else colour
        return Line2D(
            [], [], marker=shape, color=colour, markerfacecolor=face, linestyle="", label=label
        )

    labels = {"rerun": "re-run (+- spread)"}
    published = [entry for row in rows for entry in row["published"]]
    handles = [marker("o", BLUE, "ours (+- 2 se)")]
    if any(row["shortened"] for row in rows):
        handles.append(marker("o", BLUE, "ours, shortened", hollow=True))
    sources: list[str] = sorted({entry["source"] for entry in published})
    handles += [
        marker("D", COLOURS.get(source, MUTED), labels.get(source, source)) for source in sources
    ]
    if any(entry["basis"] == "from memory" for entry in published):
        handles.append(marker("D", MUTED, "hollow: from memory", hollow=True))
    height = figure.get_size_inches()[1]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.01, top / height),
        ncols=2 if layout.narrow else 5,
        handletextpad=0.2,
        columnspacing=1.2,
    )
