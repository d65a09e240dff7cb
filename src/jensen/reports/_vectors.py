"""Figures of events that are no images: rows of a table (up to 12 numbers), or series of more."""

import math

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jensen.reports._probes import STEPS, Traversal
from jensen.reports._style import BLUE, INK, MUTED, ORANGE, Layout, canvas, place, plain, quiet_axis

TABLE, LONG = 12, 100
POINTS = 300


class Vectors:
    """Draws events as numbers.

    Small ones are drawn element by element, in the data's own units; long ones as lines over the
    element's index.

    Vectors(data).samples(means, WIDE)
    """

    sample_count = 300
    reconstruction_count = POINTS

    def __init__(self, data: np.ndarray):
        self.data = data.reshape(len(data), -1).astype(np.float64)
        self.size = self.data.shape[1]
        if self.size > TABLE:
            self.sample_count, self.reconstruction_count = 12, 12

    def reconstructions(self, data: np.ndarray, means: np.ndarray, layout: Layout) -> Figure:
        """Returns reconstruction against data, one panel per element.

        Long events have one panel per datum, with the mean over the data.
        """
        data, means = data.reshape(len(data), -1), means.reshape(len(means), -1)
        if self.size > TABLE:
            figure, panels = _panels(len(data), layout, x_label="element", legend=True)
            for axes, x, mean in zip(panels, data, means, strict=True):
                axes.plot(
                    x,
                    color=MUTED,
                    linewidth=0,
                    marker=".",
                    markersize=2.5,
                    label="data",
                    rasterized=self.size > LONG,
                )
                axes.plot(
                    mean,
                    color=BLUE,
                    linewidth=1.2,
                    label="reconstruction",
                    rasterized=self.size > LONG,
                )
            _legend(figure, panels[0])
            return figure
        figure, panels = _panels(
            self.size, layout, x_label="data", y_label="reconstruction", square=True
        )
        for i, axes in enumerate(panels):
            limits = _limits(data[:, i], means[:, i])
            axes.plot(limits, limits, color=MUTED, linewidth=0.8, linestyle="--")
            axes.plot(
                data[:, i],
                means[:, i],
                color=BLUE,
                linewidth=0,
                marker="o",
                markersize=2.6,
                alpha=0.55,
                markeredgewidth=0,
                rasterized=True,
            )
            axes.set(xlim=limits, ylim=limits)
            axes.set_title(f"element {i}" if self.size > 1 else "the value")
        return figure

    def samples(self, means: np.ndarray, layout: Layout) -> Figure:
        """Returns means of p(x|z) beside the data: pairs of elements, a histogram, or lines."""
        means = means.reshape(len(means), -1)
        if self.size > TABLE:
            figure, panels = _panels(len(means), layout, x_label="element")
            limits = _limits(self.data, means)
            for axes, mean in zip(panels, means, strict=True):
                axes.plot(mean, color=BLUE, linewidth=1.2, rasterized=self.size > LONG)
                axes.set_ylim(*limits)
            return figure
        if self.size == 1:
            return self._histogram(means[:, 0], layout)
        shown = self.data[
            np.linspace(0, len(self.data) - 1, min(POINTS, len(self.data))).astype(int)
        ]
        pairs = [(i, i + 1) for i in range(self.size - 1)][:8]
        figure, panels = _panels(len(pairs), layout, square=True, legend=True)
        for axes, (i, j) in zip(panels, pairs, strict=True):
            for values, colour, marker, label in (
                (shown, ORANGE, "o", "data"),
                (means, BLUE, "D", "mean of p(x|z), z from the prior"),
            ):
                axes.plot(
                    values[:, i],
                    values[:, j],
                    color=colour,
                    linewidth=0,
                    marker=marker,
                    markersize=2.6,
                    alpha=0.5,
                    markeredgewidth=0,
                    label=label,
                    rasterized=True,
                )
            axes.set_xlabel(f"element {i}")
            axes.set_ylabel(f"element {j}")
        _legend(figure, panels[0])
        return figure

    def traversals(self, walk: Traversal, layout: Layout) -> Figure:
        """Returns one panel per latent dimension: the mean as the coordinate moves.

        It moves from dark to bright, in units of the data's spread around their mean.
        """
        centre, spread = self.data.mean(axis=0), self.data.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        scaled = (
            (walk.means.reshape(*walk.positions.shape, -1) - centre) / spread
            if self.size <= TABLE
            else walk.means.reshape(*walk.positions.shape, -1)
        )
        x_label, y_label = (
            ("coordinate", "mean of p(x|z)")
            if self.size == 1
            else ("element", "sd from data mean" if self.size <= TABLE else "")
        )
        figure, panels = _panels(
            len(walk.dimensions),
            layout,
            x_label=x_label,
            y_label=y_label,
            columns=1 if layout.narrow else 2,
        )
        colours = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.85, STEPS))
        limits = _limits(scaled)
        for row, axes in enumerate(panels):
            positions = walk.positions[row]
            low, high = (plain(round(position, 2)) for position in (positions[0], positions[-1]))
            axes.set_title(f"z{walk.dimensions[row]}: {low} to {high} (sd {walk.spread[row]:.2f})")
            if self.size == 1:
                means = walk.means.reshape(*walk.positions.shape)[row]
                axes.plot(positions, means, color=INK, linewidth=1)
                axes.scatter(positions, means, color=colours, s=18, zorder=3)
                axes.set_ylim(*_limits(self.data))
            else:
                look = {
                    "linewidth": 1.1,
                    "marker": "o" if self.size <= TABLE else "",
                    "markersize": 2.5,
                    "rasterized": self.size > LONG,
                }
                for colour, means in zip(colours, scaled[row], strict=True):
                    axes.plot(means, color=colour, **look)
                axes.set_ylim(*limits)
                if self.size <= TABLE:
                    axes.set_xticks(range(self.size))
        return figure

    def _histogram(self, means: np.ndarray, layout: Layout) -> Figure:
        figure, (axes,) = _panels(
            1, layout, x_label="value", y_label="density", columns=1, legend=True
        )
        edges = np.linspace(*_limits(self.data, means), 40).tolist()
        axes.hist(self.data[:, 0], bins=edges, density=True, color=ORANGE, alpha=0.5, label="data")
        axes.hist(
            means,
            bins=edges,
            density=True,
            histtype="step",
            color=BLUE,
            linewidth=1.5,
            label="mean of p(x|z), z from the prior",
        )
        _legend(figure, axes)
        return figure


def _panels(
    count: int,
    layout: Layout,
    *,
    x_label: str = "",
    y_label: str = "",
    square: bool = False,
    columns: int | None = None,
    legend: bool = False,
) -> tuple[Figure, list[Axes]]:
    rows = math.ceil(count / (columns or (2 if layout.narrow else 4)))
    columns = math.ceil(count / rows)  # rows of equal length
    left, bottom, gap = 0.65, 0.5, 0.72
    width = (layout.width - left - 0.15 - gap * (columns - 1)) / columns
    width = min(width, 2.6) if square else width
    height = width if square else min(1.7, max(1.0, 0.6 * width))
    row_height = height + 0.78
    figure = canvas(layout.width, rows * row_height + (0.25 if legend else 0.02))
    panels = []
    for i in range(count):
        row, column = divmod(i, columns)
        axes = place(
            figure,
            left + column * (width + gap),
            (rows - 1 - row) * row_height + bottom,
            width,
            height,
        )
        axes.set_xlabel(x_label if i + columns >= count else "")
        axes.set_ylabel(y_label if column == 0 else "")
        quiet_axis(axes.xaxis, ticks=4)
        quiet_axis(axes.yaxis, ticks=4)
        panels.append(axes)
    return figure, panels


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="upper right",
        ncols=len(labels),
        borderaxespad=0.1,
        handletextpad=0.4,
        columnspacing=1.2,
    )


def _limits(*values: np.ndarray) -> tuple[float, float]:
    low, high = min(float(v.min()) for v in values), max(float(v.max()) for v in values)
    margin = 0.06 * (high - low) or 0.5 * max(1.0, abs(high))
    return low - margin, high + margin
