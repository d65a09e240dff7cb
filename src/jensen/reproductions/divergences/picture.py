"""The choice of f: contours of targets and of the normals fitted to them, and the page that they are on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from jensen.reports._style import BLUE, INK, MUTED, ORANGE, Layout, canvas, place, quiet_axis

Rows = Sequence[Mapping[str, Any]]
LOOKS = {"mean_field": (ORANGE, "-", "mean field"), "full_rank": (BLUE, (0, (6, 1.6)), "full rank")}
STOPPED = (0, (1, 1.4))
SHADES = ("#dfe5ea", "#b9c4ce")
INSIDE = (
    1 - np.exp(-2.0),
    1 - np.exp(-0.5),
)  # the mass of a normal of the plane within 2 and 1 standard deviations


def levels_of(density: np.ndarray) -> list[float]:
    """The densities on a grid above which the shares INSIDE of the mass lie, rising.

    levels_of(np.exp(log_p))
    """
    values = np.sort(density.ravel())[::-1]
    mass = np.cumsum(values) / values.sum()
    return [float(values[np.searchsorted(mass, share)]) for share in INSIDE]


def ellipse(
    mean: Sequence[float], covariance: Sequence[Sequence[float]], radius: float
) -> np.ndarray:
    """Points [2, 200] on the contour of a normal at `radius` standard deviations.

    ellipse([0, 0], [[1, 0], [0, 4]], 1.0)
    """
    angle = np.linspace(0, 2 * np.pi, 200)
    values, vectors = np.linalg.eigh(np.asarray(covariance))
    return np.asarray(mean)[:, None] + vectors @ (
        radius * np.sqrt(values)[:, None] * np.stack([np.cos(angle), np.sin(angle)])
    )


def draw_two_normals(
    rows: Rows, target: Mapping[str, Any], labels: Mapping[str, str], layout: Layout
) -> Figure:
    """A panel for each f, from the narrowest q to the widest."""
    ordered = sorted(rows, key=lambda row: row["best_variance"])
    return _grid(
        [
            [
                (target, [row], f"{labels[row['divergence']]}\nvariance {_variance(row):.3f}")
                for row in ordered
            ]
        ],
        layout,
        2 if layout.narrow else 4,
    )


def draw_targets(
    rows: Rows, targets: Mapping[str, Mapping[str, Any]], labels: Mapping[str, str], layout: Layout
) -> Figure:
    """A row for each target and a column for each f, both families in a panel; on a phone the other way round."""
    names = [name for name in targets if any(row["target"] == name for row in rows)]
    chosen = [name for name in labels if any(row["divergence"] == name for row in rows)]

    def panel(target: str, f: str) -> tuple[Mapping[str, Any], list, str]:
        short = (
            f"{targets[target]['title']}\n{labels[f].partition(':')[0]}"
            if layout.narrow
            else labels[f].replace(": ", "\n")
        )
        return (
            targets[target],
            [row for row in rows if (row["target"], row["divergence"]) == (target, f)],
            short,
        )

    grid = (
        [[panel(t, f) for t in names] for f in chosen]
        if layout.narrow
        else [[panel(t, f) for f in chosen] for t in names]
    )
    return _grid(grid, layout, len(grid[0]), headed=not layout.narrow)


def describe_two_normals(rows: Rows) -> str:
    """The figure in words."""
    said = (
        f"{row['divergence']} {_variance(row):.3f}"
        for row in sorted(rows, key=lambda row: row["best_variance"])
    )
    return f"A normal with correlation .9 and unit variances, and round normals fitted to it; their variances: {', '.join(said)}."


def describe_targets(rows: Rows) -> str:
    """The figure in words."""
    said = (
        f"{r['target']} by {r['family']}, {r['divergence']}: {', '.join(f'{s:.2f}' for s in r['sd_ratios'])}"
        for r in rows
    )
    return f"Contours of targets and of fits; sd ratios of both coordinates: {'; '.join(said)}."


def _variance(row: Mapping[str, Any]) -> float:
    return (row["covariance"][0][0] + row["covariance"][1][1]) / 2


def _grid(
    panels: list[list[tuple[Mapping[str, Any], list, str]]],
    layout: Layout,
    columns: int,
    *,
    headed: bool = False,
) -> Figure:
    """Panels in lines of `columns`; `headed`: f is written above the first line alone, and each line begins with its target."""
    lines = [line[i : i + columns] for line in panels for i in range(0, len(line), columns)]
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
    seen: set[str] = set()
    for i, line in enumerate(lines):
        bottom -= heads[i] + height + foot
        for j, (target, rows, title) in enumerate(line):
            axes = place(figure, left + j * (width + gap), bottom + foot, width, height)
            _panel(axes, target, rows)
            if j == 0:
                name = f"{target['title']}\n" if headed else ""
                axes.set_ylabel(
                    f"{name}{target['axes'][1]}",
                    fontsize=8,
                    labelpad=0,
                    color=INK if headed else MUTED,
                )
            elif target["axes"] != line[0][0]["axes"]:  # no room for a label of its own
                axes.set_xlabel(
                    f"{target['axes'][0]}; up: {target['axes'][1]}",
                    fontsize=7,
                    labelpad=1,
                    color=MUTED,
                )
            if not headed or i == 0:
                axes.set_title(title, fontsize=7.5 if layout.narrow else 8.5)
            seen |= {row["family"] for row in rows} | {"" for row in rows if not row["converged"]}
    handles: list[Any] = [Patch(color=SHADES[1], label="target, 1 and 2 sd")]
    handles += [
        Line2D([], [], color=colour, linestyle=style, label=label)
        for name, (colour, style, label) in LOOKS.items()
        if name in seen
    ]
    handles += (
        [Line2D([], [], color=INK, linestyle=STOPPED, label="not converged")] if "" in seen else []
    )
    figure.legend(
        handles=handles, loc="upper left", ncols=2 if layout.narrow else 4, handlelength=2.6
    )
    return figure


def _panel(axes: Axes, target: Mapping[str, Any], rows: list) -> None:
    density = target["density"]
    axes.contourf(
        target["x"],
        target["y"],
        density.T,
        levels=[*levels_of(density), density.max() * 1.01],
        colors=SHADES,
    )
    for row in rows:
        colour, style, _ = LOOKS[row["family"]]
        for radius in (1.0, 2.0):
            line = ellipse(row["mean"], row["covariance"], radius)
            axes.plot(
                *line,
                color=colour,
                linestyle=style if row["converged"] else STOPPED,
                linewidth=1.4 if radius == 1 else 1.0,
            )
    axes.set_xlim(target["x"][0], target["x"][-1])
    axes.set_ylim(target["y"][0], target["y"][-1])
    quiet_axis(axes.xaxis, ticks=3)
    quiet_axis(axes.yaxis, ticks=4)
    axes.tick_params(labelsize=7, pad=2)
    axes.set_xlabel(target["axes"][0], fontsize=8, labelpad=1, color=MUTED)
