"""The waterfall of nats: from log p(x), and from the reconstruction, down to the same ELBO.

    log p(x)       - Jensen gap             = ELBO
    reconstruction - I(n; z) - marginal KL  = ELBO

The gap is in its two parts where all data have them. In a model of several levels the second line
also subtracts the KLs of the levels below the top.

A bar whose axis does not begin at 0 shows a false length. So the levels (log p(x), ELBO,
reconstruction) are marks at a position, the steps between them are bars of true length on an axis
that shows just their range, and a strip above shows where that range lies on the whole scale from
0.
"""

import math
from dataclasses import dataclass
from typing import Literal

from matplotlib.figure import Figure

from jensen.anatomy import Account
from jensen.anatomy.line_table import MINUS, LineSpec, spec
from jensen.anatomy.lines import AT_LEAST, SIGN
from jensen.reports._style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PALE,
    PURPLE,
    RULE,
    Layout,
    canvas,
    place,
    plain,
    quiet_axis,
)

COLOURS = {
    "jensen_gap": ORANGE,
    "approximation_gap": ORANGE,
    "amortisation_gap": ORANGE,
    "index_information": BLUE,
    "marginal_kl": PURPLE,
}
# Where the two descents begin, and the line that takes the first from there to the ELBO.
DESCENTS = (("evidence", "jensen_gap"), ("reconstruction", "average_kl"))


@dataclass(frozen=True)
class Segment:
    """One row of the waterfall, nats per datum.

    A level lies at `end` (= `start`); a step leads from `start` to `end`, where the next row
    begins.
    """

    name: str
    kind: Literal["level", "step"]
    start: float
    end: float
    value: float
    standard_error: float
    bound: str = ""


def segments(account: Account) -> tuple[tuple[Segment, ...], tuple[Segment, ...]]:
    """The two descents to the ELBO: from log p(x), and from the reconstruction.

    segments(account)[0][-1].end  # the ELBO
    """
    first, second = (_descent(account, top, _steps(account, whole)) for top, whole in DESCENTS)
    return first, second


def label_of(name: str, levels: int = 0) -> str:
    """What a row is called; the code of the top level is named where there are several."""
    label, sign = spec(name).label, spec(name).sign.replace("-", MINUS)
    if levels:
        label = label.replace("; z)", f"; z{levels})")
    if spec(name).part_of == "jensen_gap":
        label = label.removesuffix(" gap")  # the margin has no room for more
    return f"{sign} {label}" if sign else label


def drawable(account: Account) -> bool:
    """Whether every level is a number: a log p(x) of -inf has no place on an axis."""
    return all(math.isfinite(row.value) for rows in segments(account) for row in rows)


def _steps(account: Account, whole: str) -> tuple[str, ...]:
    """The lines that the waterfall shows for a line: its parts, where all data have them."""
    specs = {entry.name: entry for entry in account.line_specs}

    def parts(line: LineSpec) -> list[LineSpec]:
        return [e for e in specs.values() if e.part_of == line.name and e.drawn]

    def leaves(line: LineSpec) -> list[str]:
        below = [name for part in parts(line) for name in leaves(part)]
        return below or [line.name]

    return tuple(leaves(specs[whole]))


def draw_waterfall(account: Account, layout: Layout) -> Figure:
    """Returns the figure: the whole scale as a strip, and the two descents on one zoomed axis."""
    first, second = segments(account)
    rows = [*first, None, *second]
    low, high = window([*first, *second], room=0.04 if layout.narrow else 0.25)
    row_height = 0.54 if layout.narrow else 0.36
    left, right = (0.15, 0.15) if layout.narrow else (1.5, 0.25)
    height = len(rows) * row_height
    figure = canvas(layout.width, height + 1.45)
    width = layout.width - left - right
    axes = place(figure, left, 0.6, width, height)
    axes.set(xlim=(low, high), ylim=(len(rows) - 0.4, -0.6), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(
        "nats per datum (zoomed; whiskers: \N{PLUS-MINUS SIGN} 1 Monte Carlo standard error)"
        if not layout.narrow
        else "nats per datum (zoomed)"
    )
    axes.grid(axis="x")
    quiet_axis(axes.xaxis, ticks=4 if layout.narrow else 8)
    axes.axvline(account.elbo.value, color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)), zorder=1)
    for y, segment in enumerate(rows):
        if segment is not None:
            _draw_row(
                axes, y, segment, label_of(segment.name, len(account.levels)), low, high, layout
            )
            following = rows[y + 1] if y + 1 < len(rows) else None
            if following is not None:
                axes.plot([segment.end] * 2, [y, y + 1], color=MUTED, linewidth=0.7, zorder=1)
    _draw_strip(place(figure, left, height + 0.95, width, 0.2), (first, second), low, high)
    return figure


def window(rows: list[Segment], *, room: float) -> tuple[float, float]:
    """Returns the range of nats that holds every row.

    `room` at the right, a share of the rows' own range, is for the labels of values.
    """
    ends = [end for row in rows for end in (row.start, row.end)]
    errors = [row.standard_error for row in rows if math.isfinite(row.standard_error)]
    low, high = min(ends) - max(errors, default=0.0), max(ends) + max(errors, default=0.0)
    span = max(high - low, 1e-3 * max(1.0, abs(low), abs(high)))
    return low - 0.06 * span, high + room * span


def _descent(account: Account, top: str, steps: tuple[str, ...]) -> tuple[Segment, ...]:
    line = account.line(top)
    rows = [Segment(top, "level", line.value, line.value, line.value, line.error, line.bound)]
    for name in steps:
        line, start = account.line(name), rows[-1].end
        rows.append(
            Segment(name, "step", start, start - line.value, line.value, line.error, line.bound)
        )
    elbo = account.elbo
    return (
        *rows,
        Segment("elbo", "level", elbo.value, elbo.value, elbo.value, elbo.standard_error),
    )


def _draw_row(
    axes, y: float, row: Segment, label: str, low: float, high: float, layout: Layout
) -> None:
    colour = COLOURS.get(row.name, GREEN if row.kind == "step" else INK)
    thickness = 0.42 if layout.narrow else 0.56
    offset = 0.16 if layout.narrow else 0.0
    y = y + offset
    if row.kind == "step":
        axes.barh(y, row.end - row.start, left=row.start, height=thickness, color=colour, zorder=2)
    else:
        axes.plot(
            [row.end] * 2,
            [y - thickness / 2, y + thickness / 2],
            color=colour,
            linewidth=4,
            solid_capstyle="butt",
            zorder=3,
        )
    if math.isfinite(row.standard_error):
        axes.errorbar(
            row.end, y, xerr=row.standard_error, color=INK, elinewidth=1, capsize=2.5, zorder=4
        )
    weight = "bold" if row.kind == "level" else "normal"
    if layout.narrow:  # label and value above the bar; over white, for lines pass there
        side = {
            "transform": axes.get_yaxis_transform(),
            "va": "center",
            "color": colour,
            "weight": weight,
            "fontsize": 8.5,
            "zorder": 6,
        }
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        axes.text(0, y - 0.41, label, ha="left", bbox=behind, **side)
        axes.text(1, y - 0.41, value_text(row), ha="right", bbox=behind, **side)
    else:
        axes.text(
            -0.015,
            y,
            label,
            transform=axes.get_yaxis_transform(),
            va="center",
            ha="right",
            color=colour,
            weight=weight,
        )
        edge = max(row.start, row.end) + (
            row.standard_error if math.isfinite(row.standard_error) else 0
        )
        axes.text(
            edge + 0.012 * (high - low),
            y,
            value_text(row),
            va="center",
            ha="left",
            color=colour,
            fontsize=9,
            zorder=5,
        )


def value_text(row: Segment) -> str:
    """Returns a row's value (of a step, what it adds) and its Monte Carlo standard error."""
    value = row.value if row.kind == "level" else -row.value
    text = f"{value:{'+' if row.kind == 'step' else ''}.3f}".replace("-", "\N{MINUS SIGN}")
    if row.bound:
        return f"{text} or more" if row.kind == "step" else SIGN[row.bound] + text
    return text + (
        f" \N{PLUS-MINUS SIGN} {row.standard_error:.3f}"
        if math.isfinite(row.standard_error)
        else ""
    )


def _draw_strip(axes, descents: tuple[tuple[Segment, ...], ...], low: float, high: float) -> None:
    """The two descents as two lanes, on a scale that holds 0."""
    ends = [0.0, *(end for rows in descents for row in rows for end in (row.start, row.end))]
    least, most = min(*ends, low), max(*ends, high)
    margin = 0.02 * max(most - least, 1e-9)
    axes.set(xlim=(least - margin, most + margin), ylim=(0, 1), yticks=[])
    axes.set_facecolor(PALE)
    axes.axvspan(low, high, color=RULE, linewidth=0)
    for middle, rows in zip((0.75, 0.25), descents, strict=True):
        for row in rows:
            if row.kind == "step":
                axes.barh(
                    middle,
                    row.end - row.start,
                    left=row.start,
                    height=0.36,
                    color=COLOURS.get(row.name, GREEN),
                )
            else:
                axes.plot(
                    [row.end] * 2,
                    [middle - 0.25, middle + 0.25],
                    color=INK,
                    linewidth=1.5,
                    solid_capstyle="butt",
                )
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_title(
        "The same on the whole scale, from 0; shaded: the range below",
        fontsize=8,
        weight="normal",
        color=MUTED,
    )
    quiet_axis(axes.xaxis, ticks=5)
    axes.tick_params(length=2, pad=2, labelsize=8)


def describe(account: Account) -> str:
    """The figure in words."""

    def value(name: str) -> str:
        line = account.line(name)
        return AT_LEAST[line.bound] + plain(round(line.value, 2))

    gap_steps, kl_steps = (_steps(account, whole) for _, whole in DESCENTS)
    parts = " and ".join(f"the {spec(name).label} {value(name)}" for name in gap_steps)
    split = f" ({parts})" if gap_steps != ("jensen_gap",) else ""
    steps = ", ".join(
        f"minus {_article(name)}{spec(name).label} {value(name)}" for name in kl_steps
    )
    return (
        f"Waterfall in nats per datum: log p(x) {value('evidence')}, minus the Jensen gap "
        f"{value('jensen_gap')}{split}, is the ELBO {value('elbo')}; "
        f"reconstruction {value('reconstruction')}, {steps}, is the same ELBO."
    )


def _article(name: str) -> str:
    """Formulas such as I(n; z) take none."""
    return "" if "(" in spec(name).label else "the "
