"""The KL weight: rate against distortion, where the average KL goes, the bounds at beta = 1, and the prior variance that would suit the codes."""

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
    plain,
    quiet_axis,
)

Rows = Sequence[Mapping[str, Any]]
SPLIT = {"index_information": (PURPLE, "I(n; z)"), "marginal_kl": (GREEN, "marginal KL")}
BOUNDS = {"evidence": (PURPLE, "log p(x)"), "elbo": (GREEN, "ELBO")}
DASHED = (0, (4, 1.5))


def draw_temperature(rows: Rows, layout: Layout) -> Figure:
    """Four panels: circles, trained at beta; squares, trained at beta = 1 under the prior N(0, I / beta)."""
    columns = 1 if layout.narrow else 2
    count = 4 // columns
    left, gap, height, space, legend = 0.66, 0.85, 2.3, 0.92, 0.72 if layout.narrow else 0.4
    width = (layout.width - left - 0.2 - gap * (columns - 1)) / columns
    figure = canvas(layout.width, count * (height + space) + legend)
    panels = (
        ("Rate and distortion", _plane),
        ("Where the average KL goes", _split),
        ("Bounds at beta = 1", _bounds),
        ("Prior variance", _variance),
    )
    along, priors = trained_at(rows), trained_under(rows)
    for i, (title, draw) in enumerate(panels):
        row, column = divmod(i, columns)
        axes = place(
            figure,
            left + column * (width + gap),
            (count - 1 - row) * (height + space) + 0.52,
            width,
            height,
        )
        axes.set_title(title)
        draw(axes, along, priors)
        axes.grid(axis="y")
    handles = [
        Line2D([], [], color=INK, marker="o", markersize=4, label="trained at beta"),
        Line2D(
            [],
            [],
            color=INK,
            linestyle=DASHED,
            marker="s",
            markersize=4,
            markerfacecolor="white",
            label="trained at beta = 1, prior N(0, I / beta)",
        ),
    ]
    figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.01, 1.0),
        ncols=1 if layout.narrow else 2,
        columnspacing=1.6,
        handlelength=2.4,
    )
    return figure


def describe(rows: Rows) -> str:
    """The figure in words."""
    along, priors = trained_at(rows), trained_under(rows)
    rates = [
        sorted(r["test"]["average_kl"]["value"] for _, r in found) for found in (along, priors)
    ]
    return (
        f"Against beta from {along[0][0]:g} to {along[-1][0]:g}: reconstruction against average KL, I(n; z) and marginal KL, ELBO and log p(x) at beta = 1, "
        f"and the prior variance that suits the codes best. The average KL goes from {rates[0][-1]:.2f} to {rates[0][0]:.2f} nats with beta; trained at "
        f"beta = 1 under prior variances 1 / beta it lies within {rates[1][0]:.2f} and {rates[1][-1]:.2f}."
    )


def trained_at(rows: Rows) -> list[tuple[float, Mapping[str, Any]]]:
    """(beta, row) of the runs trained at beta, by beta."""
    return sorted(((r["beta"], r) for r in rows if r["kind"] == "beta"), key=lambda pair: pair[0])


def trained_under(rows: Rows) -> list[tuple[float, Mapping[str, Any]]]:
    """(beta, row) of the runs trained at beta = 1 under N(0, I / beta), by beta; at beta = 1 that is the run trained at it."""
    found = [(1 / r["variance"], r) for r in rows if r["kind"] == "variance"] + [
        (1.0, r) for r in rows if r.get("beta") == 1.0
    ]
    return sorted(found, key=lambda pair: pair[0])


def _values(
    found: list[tuple[float, Mapping[str, Any]]], line: str
) -> tuple[np.ndarray, np.ndarray]:
    return np.array([beta for beta, _ in found]), np.array(
        [row["test"][line]["value"] for _, row in found]
    )


def _plane(axes: Axes, along: list, priors: list) -> None:
    """Reconstruction against average KL."""
    others = [pair for pair in priors if pair[0] != 1]
    rate, distortion = _values(along, "average_kl")[1], _values(along, "reconstruction")[1]
    axes.plot(rate, distortion, color=BLUE, marker="o", markersize=4, linewidth=1.4)
    for x, y, label in _labels(along, rate, distortion):
        steep = x < 0.25 * rate.max()  # there the free side of the curve is the right one
        axes.annotate(
            label,
            (x, y),
            (6, -9) if steep else (-5, 5),
            textcoords="offset points",
            fontsize=8,
            color=BLUE,
            ha="left" if steep else "right",
        )
    rate, distortion = _values(others, "average_kl")[1], _values(others, "reconstruction")[1]
    axes.plot(
        rate,
        distortion,
        color=ORANGE,
        linestyle="",
        marker="s",
        markersize=5.5,
        markerfacecolor="none",
    )
    axes.set_xlabel("average KL, nats (rate)")
    axes.set_ylabel("reconstruction, nats")
    axes.margins(0.1)
    quiet_axis(axes.xaxis)
    quiet_axis(axes.yaxis)


def _labels(
    along: list, rate: np.ndarray, distortion: np.ndarray
) -> list[tuple[float, float, str]]:
    """Where to write which betas; those of runs that fall on one point are written together."""
    near, out = 0.03 * max(np.ptp(rate), 1e-9), []
    for (beta, _), x, y in zip(along, rate, distortion, strict=True):
        if (
            out
            and abs(out[-1][0] - x) < near
            and abs(out[-1][1] - y) < 0.03 * max(np.ptp(distortion), 1e-9)
        ):
            out[-1] = (*out[-1][:2], f"{out[-1][2]}, {beta:g}")
        else:
            out.append((x, y, f"{'' if out else 'beta = '}{beta:g}"))
    return out


def _split(axes: Axes, along: list, priors: list) -> None:
    _lines(axes, along, priors, SPLIT)
    ceiling = along[0][1]["log_n"]
    axes.axhline(ceiling, color=MUTED, linewidth=0.9, linestyle=":")
    axes.annotate(
        "log N",
        (along[-1][0], ceiling),
        (0, 2),
        textcoords="offset points",
        fontsize=8,
        color=MUTED,
        ha="right",
        va="bottom",
    )
    axes.set_ylim(bottom=0)
    axes.legend(handles=_handles(SPLIT), loc="best")


def _bounds(axes: Axes, along: list, priors: list) -> None:
    _lines(axes, along, priors, BOUNDS)
    fitted = [row["test"]["elbo"]["value"] + row["fitted_variance"]["gain"] for _, row in along]
    axes.plot(
        [beta for beta, _ in along],
        fitted,
        color=INK,
        linestyle="",
        marker="+",
        markersize=8,
        zorder=5,
    )
    handles = [
        *_handles(BOUNDS),
        Line2D(
            [],
            [],
            color=INK,
            linestyle="",
            marker="+",
            markersize=8,
            label="ELBO, fitted prior variance",
        ),
    ]
    axes.legend(handles=handles, loc="best")


def _variance(axes: Axes, along: list, priors: list) -> None:
    """The variance that suits the frozen codes best, against the claim's."""
    del priors
    betas = np.array([beta for beta, _ in along])
    axes.plot(
        betas,
        [row["fitted_variance"]["value"] for _, row in along],
        color=BLUE,
        marker="o",
        markersize=4,
        linewidth=1.4,
        label="best for the frozen codes",
    )
    axes.plot(
        betas,
        1 / betas,
        color=ORANGE,
        linestyle=DASHED,
        linewidth=1.2,
        label="1 / beta, as claimed",
    )
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, position: plain(float(value))))
    axes.yaxis.set_minor_locator(NullLocator())
    _beta_axis(axes, along)
    axes.legend(loc="best")


def _lines(axes: Axes, along: list, priors: list, lines: Mapping[str, tuple[str, str]]) -> None:
    for line, (colour, _) in lines.items():
        axes.plot(*_values(along, line), color=colour, marker="o", markersize=4, linewidth=1.4)
        axes.plot(
            *_values(priors, line),
            color=colour,
            linestyle=DASHED,
            marker="s",
            markersize=4,
            markerfacecolor="white",
            linewidth=1.0,
        )
    _beta_axis(axes, along)
    axes.set_ylabel("nats")
    quiet_axis(axes.yaxis)


def _beta_axis(axes: Axes, along: list) -> None:
    axes.set_xscale("log", base=2)
    betas = [beta for beta, _ in along]
    axes.set_xlim(betas[0] / 1.25, betas[-1] * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(betas))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:g}"))
    axes.set_xlabel("beta")


def _handles(lines: Mapping[str, tuple[str, str]]) -> list[Line2D]:
    return [
        Line2D([], [], color=colour, marker="o", markersize=4, label=label)
        for colour, label in lines.values()
    ]
