"""Histograms of log p(x_n) and k-hat over the data, and variances of the posterior means."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from jensen.anatomy.units import ACTIVE_VARIANCE
from jensen.reports._style import BLUE, INK, MUTED, ORANGE, Layout, canvas, place, plain, quiet_axis

FLOOR = 1e-6


def draw_evidence(values: np.ndarray, worst: np.ndarray, layout: Layout) -> Figure:
    """Histogram of log p(x_n), the worst data marked below the axis."""
    finite = values[np.isfinite(values)]
    figure, axes = _one_panel(layout)
    low = shown_from(finite)
    axes.hist(finite, bins=_edges(finite, low).tolist(), color=BLUE, alpha=0.8)
    marked = values[worst]
    marked = marked[np.isfinite(marked) & (marked >= low)]
    axes.plot(
        marked,
        np.zeros(len(marked)),
        color=ORANGE,
        marker="^",
        markersize=6,
        linewidth=0,
        clip_on=False,
        zorder=4,
        label="the worst, below",
    )
    axes.axvline(
        finite.mean(),
        color=INK,
        linewidth=1.1,
        linestyle="--",
        label=f"mean {plain(round(float(finite.mean()), 2))}",
    )
    hidden = int(np.sum(finite < low))
    if hidden:
        axes.text(
            0.01,
            0.6,
            f"\N{LEFTWARDS ARROW} {hidden} further down, to {plain(round(float(finite.min()), 1))}",
            transform=axes.transAxes,
            fontsize=8.5,
            color=ORANGE,
        )
    axes.set_xlabel("log p(x) of a datum, nats")
    axes.legend(loc="upper left")
    return figure


def shown_from(finite: np.ndarray) -> float:
    """Returns where the histogram begins: at the smallest value, without far outliers.

    A few values far out would squeeze all others into one bar.
    """
    middle, twentieth, least = np.median(finite), np.quantile(finite, 0.05), finite.min()
    reach = 8 * max(middle - twentieth, 1e-9)
    return float(middle - reach) if middle - least > 2 * reach else float(least)


def draw_pareto_k(finite: np.ndarray, threshold: float, layout: Layout) -> Figure:
    """Histogram of the finite k-hat, the threshold marked."""
    figure, axes = _one_panel(layout)
    low, high = min(float(finite.min()), 0.0), max(float(finite.max()), threshold + 0.1)
    step = (high - low) / 40
    # The threshold is an edge, so that no bar holds data of both sides.
    edges = threshold + step * np.arange(
        np.floor((low - threshold) / step), np.ceil((high - threshold) / step) + 1
    )
    counts, _ = np.histogram(finite, edges)
    above = edges[:-1] > threshold - step / 2
    axes.bar(
        edges[:-1],
        counts,
        np.diff(edges),
        align="edge",
        color=np.where(above, ORANGE, BLUE).tolist(),
        alpha=0.8,
    )
    axes.axvline(
        threshold,
        color=INK,
        linewidth=1.2,
        linestyle="--",
        label=f"threshold {plain(round(threshold, 2))}",
    )
    axes.set_xlabel("k-hat of a datum")
    axes.legend(loc="upper right")
    return figure


def draw_dimensions(variance: np.ndarray, layout: Layout) -> Figure:
    """Returns bars of the variance of the posterior means per latent dimension, largest first.

    They start at 0.01: those upwards are active, those downwards are not.
    """
    order = np.argsort(-variance, kind="stable")
    heights = np.maximum(variance[order], FLOOR)
    figure, axes = _one_panel(layout)
    places = np.arange(len(order))
    active = heights > ACTIVE_VARIANCE
    axes.set_yscale("log")
    axes.bar(
        places,
        heights - ACTIVE_VARIANCE,
        0.75,
        bottom=ACTIVE_VARIANCE,
        color=np.where(active, BLUE, ORANGE).tolist(),
        rasterized=len(order) > 100,
    )
    axes.axhline(ACTIVE_VARIANCE, color=INK, linewidth=1, linestyle="--")
    low, high = min(heights.min(), ACTIVE_VARIANCE / 10) / 2, max(heights.max(), 1.0) * 2
    axes.set_ylim(low, high)
    powers = [10.0**p for p in range(-6, 7) if low <= 10.0**p <= high]
    axes.yaxis.set_major_locator(FixedLocator(powers))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, position: f"{value:g}")
    every = -(-len(order) // (12 if layout.narrow else 32))
    axes.set_xticks(places[::every], [str(i) for i in order[::every]])
    axes.set_xlim(-0.6, max(len(order), 6) - 0.4)
    axes.set_xlabel(
        "latent dimension, most active first"
        if every == 1
        else f"latent dimension, most active first (every {every}. named)"
    )
    axes.set_ylabel("variance of means")
    axes.grid(False)
    return figure


def _one_panel(layout: Layout):
    figure = canvas(layout.width, 2.5 if layout.narrow else 2.7)
    width, height = figure.get_size_inches()
    axes = place(figure, 0.68, 0.5, width - 0.85, height - 0.65)
    axes.set_ylabel("number of data")
    axes.grid(axis="y")
    quiet_axis(axes.xaxis, ticks=4 if layout.narrow else 8)
    quiet_axis(axes.yaxis, ticks=4)
    axes.spines["bottom"].set_color(MUTED)
    return figure, axes


def _edges(finite: np.ndarray, low: float) -> np.ndarray:
    high = float(finite.max())
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, int(np.clip(np.sqrt(len(finite)) * 1.5, 8, 50)) + 1)
