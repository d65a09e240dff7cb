"""The picture of the KL weight: rate and distortion, average KL, bounds, and prior variances."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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
    line_art_files,
    place,
    plain,
    quiet_axis,
)

Rows = Sequence[Mapping[str, Any]]
KL_PARTS = {"index_information": (PURPLE, "I(n; z)"), "marginal_kl": (GREEN, "marginal KL")}
BOUNDS = {"evidence": (PURPLE, "log p(x)"), "elbo": (GREEN, "ELBO")}
DASHED = (0, (4, 1.5))


class AtBeta(NamedTuple):
    """A row and the beta that it stands for on the axis."""

    beta: float
    row: Mapping[str, Any]


def draw_temperature(rows: Rows) -> dict[str, bytes]:
    """Draws rate and distortion, the parts of the average KL, the bounds, and prior variances.

    Args:
        rows: of kind 'beta' (trained at that 'beta') or 'variance' (trained at beta = 1 under
            N(0, variance I)). Each has 'log_n' and 'test', a mapping of the account's lines to
            mappings of 'value', nats per datum at beta = 1. Those of kind 'beta' have
            'fitted_variance', a mapping of 'value' and 'gain'.

    Returns:
        {file name: bytes} of a PNG and an SVG file.

    Raises:
        ValueError: no row of the kind 'beta'.

        draw_temperature(rows)["temperature.png"]
    """
    if not any(row["kind"] == "beta" for row in rows):
        raise ValueError(
            "a picture of the KL weight needs at least one run trained at some beta; got none."
        )
    return line_art_files(
        "temperature", describe(rows), lambda layout: temperature_figure(rows, layout)
    )


def temperature_figure(rows: Rows, layout: Layout) -> Figure:
    """Returns the figure of `draw_temperature` in one layout.

    Four panels. Circles are trained at beta, squares at beta = 1 under the prior N(0, I / beta).
    """
    columns = 1 if layout.narrow else 2
    count = 4 // columns
    left, gap, height, space, legend = 0.66, 0.85, 2.3, 0.92, 0.72 if layout.narrow else 0.4
    width = (layout.width - left - 0.2 - gap * (columns - 1)) / columns
    figure = canvas(layout.width, count * (height + space) + legend)
    panels = (
        ("Rate and distortion", _draw_rate_and_distortion),
        ("Where the average KL goes", _draw_kl_parts),
        ("Bounds at beta = 1", _draw_bounds),
        ("Prior variance", _draw_prior_variance),
    )
    by_beta, by_variance = trained_at(rows), trained_under(rows)
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
        draw(axes, by_beta, by_variance)
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
    """Returns the figure in words."""
    by_beta, by_variance = trained_at(rows), trained_under(rows)
    kl, kl_under = (
        sorted(each.row["test"]["average_kl"]["value"] for each in group)
        for group in (by_beta, by_variance)
    )
    return (
        f"Against beta from {by_beta[0].beta:g} to {by_beta[-1].beta:g}: reconstruction against "
        "average KL, I(n; z) and marginal KL, ELBO and log p(x) at beta = 1, and the prior "
        "variance that suits the codes best. The average KL goes from "
        f"{kl[-1]:.2f} to {kl[0]:.2f} nats with beta; trained at beta = 1 under prior variances "
        f"1 / beta it lies within {kl_under[0]:.2f} and {kl_under[-1]:.2f}."
    )


def trained_at(rows: Rows) -> list[AtBeta]:
    """Returns the runs trained at beta, ordered by beta."""
    return _ordered([AtBeta(row["beta"], row) for row in rows if row["kind"] == "beta"])


def trained_under(rows: Rows) -> list[AtBeta]:
    """Returns the runs trained at beta = 1 under N(0, I / beta), ordered by beta.

    At beta = 1 that is the run trained at it.
    """
    under = [AtBeta(1 / row["variance"], row) for row in rows if row["kind"] == "variance"]
    return _ordered([*under, *(AtBeta(1.0, row) for row in rows if row.get("beta") == 1.0)])


def _ordered(runs: list[AtBeta]) -> list[AtBeta]:
    return sorted(runs, key=lambda each: each.beta)


def _betas(runs: list[AtBeta]) -> np.ndarray:
    return np.array([each.beta for each in runs])


def _values(runs: list[AtBeta], line: str) -> np.ndarray:
    return np.array([each.row["test"][line]["value"] for each in runs])


def _draw_rate_and_distortion(axes: Axes, by_beta: list[AtBeta], by_variance: list[AtBeta]) -> None:
    """Draws reconstruction against average KL."""
    rate, distortion = _values(by_beta, "average_kl"), _values(by_beta, "reconstruction")
    axes.plot(rate, distortion, color=BLUE, marker="o", markersize=4, linewidth=1.4)
    for x, y, label in _labels(by_beta, rate, distortion):
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
    others = [each for each in by_variance if each.beta != 1]
    axes.plot(
        _values(others, "average_kl"),
        _values(others, "reconstruction"),
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
    by_beta: list[AtBeta], rate: np.ndarray, distortion: np.ndarray
) -> list[tuple[float, float, str]]:
    """Returns (x, y, text) of the labels; runs that fall on one point share one."""
    near_x, near_y = (0.03 * max(np.ptp(values), 1e-9) for values in (rate, distortion))
    labels: list[tuple[float, float, str]] = []
    for beta, x, y in zip(_betas(by_beta), rate, distortion, strict=True):
        if not labels:
            labels.append((x, y, f"beta = {beta:g}"))
            continue
        last_x, last_y, text = labels[-1]
        if abs(last_x - x) < near_x and abs(last_y - y) < near_y:
            labels[-1] = (last_x, last_y, f"{text}, {beta:g}")
        else:
            labels.append((x, y, f"{beta:g}"))
    return labels


def _draw_kl_parts(axes: Axes, by_beta: list[AtBeta], by_variance: list[AtBeta]) -> None:
    _draw_lines(axes, by_beta, by_variance, KL_PARTS)
    log_n = by_beta[0].row["log_n"]
    ceiling = by_beta[0].row.get("index_ceiling", log_n)  # lower where rows repeat
    axes.axhline(ceiling, color=MUTED, linewidth=0.9, linestyle=":")
    axes.annotate(
        "log N" if ceiling == log_n else "entropy of the distinct rows",
        (by_beta[-1].beta, ceiling),
        (0, 2),
        textcoords="offset points",
        fontsize=8,
        color=MUTED,
        ha="right",
        va="bottom",
    )
    axes.set_ylim(bottom=0)
    axes.legend(handles=_handles(KL_PARTS), loc="best")


def _draw_bounds(axes: Axes, by_beta: list[AtBeta], by_variance: list[AtBeta]) -> None:
    _draw_lines(axes, by_beta, by_variance, BOUNDS)
    look: dict[str, Any] = {"color": INK, "linestyle": "", "marker": "+", "markersize": 8}
    gains = np.array([each.row["fitted_variance"]["gain"] for each in by_beta])
    axes.plot(_betas(by_beta), _values(by_beta, "elbo") + gains, **look, zorder=5)
    fitted = Line2D([], [], **look, label="ELBO, fitted prior variance")
    axes.legend(handles=[*_handles(BOUNDS), fitted], loc="best")


def _draw_prior_variance(axes: Axes, by_beta: list[AtBeta], by_variance: list[AtBeta]) -> None:
    """Draws the variance that fits the frozen codes best, beside the claimed one."""
    del by_variance
    betas = _betas(by_beta)
    axes.plot(
        betas,
        [each.row["fitted_variance"]["value"] for each in by_beta],
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
    _set_beta_axis(axes, by_beta)
    axes.legend(loc="best")


def _draw_lines(
    axes: Axes,
    by_beta: list[AtBeta],
    by_variance: list[AtBeta],
    looks: Mapping[str, tuple[str, str]],
) -> None:
    for line, (colour, _) in looks.items():
        axes.plot(
            _betas(by_beta),
            _values(by_beta, line),
            color=colour,
            marker="o",
            markersize=4,
            linewidth=1.4,
        )
        axes.plot(
            _betas(by_variance),
            _values(by_variance, line),
            color=colour,
            linestyle=DASHED,
            marker="s",
            markersize=4,
            markerfacecolor="white",
            linewidth=1.0,
        )
    _set_beta_axis(axes, by_beta)
    axes.set_ylabel("nats")
    quiet_axis(axes.yaxis)


def _set_beta_axis(axes: Axes, by_beta: list[AtBeta]) -> None:
    axes.set_xscale("log", base=2)
    betas = [each.beta for each in by_beta]
    axes.set_xlim(betas[0] / 1.25, betas[-1] * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(betas))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: f"{value:g}"))
    axes.set_xlabel("beta")


def _handles(looks: Mapping[str, tuple[str, str]]) -> list[Line2D]:
    return [
        Line2D([], [], color=colour, marker="o", markersize=4, label=label)
        for colour, label in looks.values()
    ]
