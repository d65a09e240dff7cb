"""The pictures of the divergences, contours of targets and of fitted normals, and their page."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jensen.reports._html import render
from jensen.reports._style import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    Drawing,
    Layout,
    canvas,
    line_art,
    place,
    quiet_axis,
    styled,
)
from jensen.reproductions.divergences._table import mean_variance

Row = Mapping[str, Any]
Rows = Sequence[Row]
FAMILY_LOOKS = {
    "mean_field": (ORANGE, "-", "mean field"),
    "full_rank": (BLUE, (0, (6, 1.6)), "full rank"),
}
NOT_CONVERGED_STYLE = (0, (1, 1.4))
SHADES = ("#dfe5ea", "#b9c4ce")
# The mass of a normal of the plane within 2 and 1 standard deviations.
MASS_INSIDE = (1 - np.exp(-2.0), 1 - np.exp(-0.5))


class Panel(NamedTuple):
    """A target on its grid, the fits drawn over it, and the title."""

    target: Mapping[str, Any]
    rows: Rows
    title: str


def draw_divergences(
    rows: Rows,
    targets: Mapping[str, Mapping[str, Any]],
    labels: Mapping[str, str],
    page: Mapping[str, Any],
) -> dict[str, bytes]:
    """Draws contours of targets and of normals fitted to them under several f.

    Args:
        rows: each with 'target', 'family', 'divergence', 'mean' [2], 'covariance' [2, 2],
            'sd_ratios' and 'converged'; those of two_normals also with 'best_variance'.
        targets: name -> 'title', 'axes' (two labels), 'x' [X], 'y' [Y] and 'density' [X, Y], up
            to a constant.
        labels: of the divergences, in their order.
        page: 'title', 'notes', and for each of the sections 'two_normals' and 'targets' that has
            rows a mapping of 'title', 'paragraphs', 'caption', 'headings' and 'lines'.

    Returns:
        {file name: bytes} of PNG and SVG files, and of report.html, a page with all of them.

    Raises:
        ValueError: no rows.

        draw_divergences(rows, targets, labels, page)["report.html"]
    """
    if not rows:
        raise ValueError("a picture of divergences needs at least one fit; got none.")
    two_normals = [row for row in rows if row["target"] == "two_normals"]
    others = [row for row in rows if row["target"] != "two_normals"]
    drawings: dict[str, Drawing] = {}
    with styled():
        if two_normals:
            target = targets["two_normals"]
            drawings["two_normals"] = line_art(
                "two_normals",
                describe_two_normals(two_normals),
                lambda layout: two_normals_figure(two_normals, target, labels, layout),
            )
        if others:
            drawings["targets"] = line_art(
                "targets",
                describe_targets(others),
                lambda layout: targets_figure(others, targets, labels, layout),
            )
    sections = [{**page[name], "drawing": drawing} for name, drawing in drawings.items()]
    contents = {"title": page["title"], "notes": page["notes"], "sections": sections}
    files = {
        name: content for drawing in drawings.values() for name, content in drawing.files.items()
    }
    package = __name__.rpartition(".")[0]
    return files | {"report.html": render(contents, "divergences.html.j2", package=package)}


def two_normals_figure(
    rows: Rows, target: Mapping[str, Any], labels: Mapping[str, str], layout: Layout
) -> Figure:
    """Returns a figure with a panel for each f, from the narrowest q to the widest."""
    panels = [
        Panel(target, [row], f"{labels[row['divergence']]}\nvariance {mean_variance(row):.3f}")
        for row in sorted(rows, key=lambda row: row["best_variance"])
    ]
    return _grid([panels], layout, columns=2 if layout.narrow else 4)


def targets_figure(
    rows: Rows, targets: Mapping[str, Mapping[str, Any]], labels: Mapping[str, str], layout: Layout
) -> Figure:
    """Returns a figure with a row for each target and a column for each f.

    Both families are in one panel. On a phone, rows and columns change places.
    """
    names = [name for name in targets if any(row["target"] == name for row in rows)]
    divergences = [name for name in labels if any(row["divergence"] == name for row in rows)]

    def panel(name: str, f: str) -> Panel:
        fits = [row for row in rows if (row["target"], row["divergence"]) == (name, f)]
        narrow_title = f"{targets[name]['title']}\n{labels[f].partition(':')[0]}"
        title = narrow_title if layout.narrow else labels[f].replace(": ", "\n")
        return Panel(targets[name], fits, title)

    grid = [[panel(name, f) for f in divergences] for name in names]
    if layout.narrow:
        grid = [list(column) for column in zip(*grid, strict=True)]
    return _grid(grid, layout, columns=len(grid[0]), headed=not layout.narrow)


def describe_two_normals(rows: Rows) -> str:
    """Returns the figure in words."""
    variances = ", ".join(
        f"{row['divergence']} {mean_variance(row):.3f}"
        for row in sorted(rows, key=lambda row: row["best_variance"])
    )
    return (
        "A normal with correlation .9 and unit variances, and round normals fitted to it; "
        f"their variances: {variances}."
    )


def describe_targets(rows: Rows) -> str:
    """Returns the figure in words."""
    ratios = "; ".join(
        f"{row['target']} by {row['family']}, {row['divergence']}: "
        + ", ".join(f"{ratio:.2f}" for ratio in row["sd_ratios"])
        for row in rows
    )
    return f"Contours of targets and of fits; sd ratios of both coordinates: {ratios}."


def levels_of(density: np.ndarray) -> list[float]:
    """Returns the densities on a grid above which the masses MASS_INSIDE lie, rising.

    levels_of(np.exp(log_p))
    """
    values = np.sort(density.ravel())[::-1]
    mass = np.cumsum(values) / values.sum()
    return [float(values[np.searchsorted(mass, share)]) for share in MASS_INSIDE]


def ellipse(
    mean: Sequence[float], covariance: Sequence[Sequence[float]], radius: float
) -> np.ndarray:
    """Returns points [2, 200] on the contour of a normal at `radius` standard deviations.

    ellipse([0, 0], [[1, 0], [0, 4]], 1.0)
    """
    angle = np.linspace(0, 2 * np.pi, 200)
    values, vectors = np.linalg.eigh(np.asarray(covariance))
    circle = np.stack([np.cos(angle), np.sin(angle)])
    return np.asarray(mean)[:, None] + vectors @ (radius * np.sqrt(values)[:, None] * circle)


def _grid(
    groups: list[list[Panel]], layout: Layout, *, columns: int, headed: bool = False
) -> Figure:
    """Returns a figure of panels in lines of `columns`; each group begins a new line.

    With `headed`, f stands above the first line alone, and each line begins with its target.
    """
    lines = [group[i : i + columns] for group in groups for i in range(0, len(group), columns)]
    # Inches.
    left, gap, foot, head, legend = (
        0.68 if headed else 0.5,
        0.32 if layout.narrow else 0.36,
        0.5,
        0.42,
        0.66 if layout.narrow else 0.36,
    )
    width = (layout.width - left - 0.12 - gap * (columns - 1)) / columns
    height = width * (1.0 if columns > 2 else 0.92)
    heads = [head if not headed or i == 0 else 0.1 for i in range(len(lines))]
    figure = canvas(layout.width, legend + sum(heads) + len(lines) * (height + foot))
    bottom = sum(heads) + len(lines) * (height + foot)
    for i, line in enumerate(lines):
        bottom -= heads[i] + height + foot
        for j, panel in enumerate(line):
            axes = place(figure, left + j * (width + gap), bottom + foot, width, height)
            _draw_panel(axes, panel)
            _label_panel(axes, panel, line[0], headed=headed)
            if not headed or i == 0:
                axes.set_title(panel.title, fontsize=7.5 if layout.narrow else 8.5)
    figure.legend(
        handles=_handles([row for line in lines for panel in line for row in panel.rows]),
        loc="upper left",
        ncols=2 if layout.narrow else 4,
        handlelength=2.6,
    )
    return figure


def _draw_panel(axes: Axes, panel: Panel) -> None:
    target, density = panel.target, panel.target["density"]
    axes.contourf(
        target["x"],
        target["y"],
        density.T,
        levels=[*levels_of(density), density.max() * 1.01],
        colors=SHADES,
    )
    for row in panel.rows:
        colour, style, _ = FAMILY_LOOKS[row["family"]]
        for radius in (1.0, 2.0):
            axes.plot(
                *ellipse(row["mean"], row["covariance"], radius),
                color=colour,
                linestyle=style if row["converged"] else NOT_CONVERGED_STYLE,
                linewidth=1.4 if radius == 1 else 1.0,
            )
    axes.set_xlim(target["x"][0], target["x"][-1])
    axes.set_ylim(target["y"][0], target["y"][-1])
    quiet_axis(axes.xaxis, ticks=3)
    quiet_axis(axes.yaxis, ticks=4)
    axes.tick_params(labelsize=7, pad=2)
    axes.set_xlabel(target["axes"][0], fontsize=8, labelpad=1, color=MUTED)


def _label_panel(axes: Axes, panel: Panel, first: Panel, *, headed: bool) -> None:
    """Labels the vertical axis: of the first panel of a line at its left side.

    The other panels have no room there: a vertical axis of another name is named below.
    """
    horizontal, vertical = panel.target["axes"]
    if panel is first:
        name = f"{panel.target['title']}\n" if headed else ""
        colour = INK if headed else MUTED
        axes.set_ylabel(f"{name}{vertical}", fontsize=8, labelpad=0, color=colour)
    elif panel.target["axes"] != first.target["axes"]:
        text = f"{horizontal}; up: {vertical}"
        axes.set_xlabel(text, fontsize=7, labelpad=1, color=MUTED)


def _handles(rows: Rows) -> list[Any]:
    families = {row["family"] for row in rows}
    handles: list[Any] = [Patch(color=SHADES[1], label="target, 1 and 2 sd")]
    handles += [
        Line2D([], [], color=colour, linestyle=style, label=label)
        for name, (colour, style, label) in FAMILY_LOOKS.items()
        if name in families
    ]
    if not all(row["converged"] for row in rows):
        style = NOT_CONVERGED_STYLE
        handles.append(Line2D([], [], color=INK, linestyle=style, label="not converged"))
    return handles
