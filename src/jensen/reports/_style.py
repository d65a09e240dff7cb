"""The look of the figures: palette, two layouts (a page and a phone), and figures as bytes.

No text that comes from a user is drawn in a figure of the page: names, notes and configuration
stand in the page, where they are escaped. The picture of a comparison, which has no page, names
its runs in plain ASCII (`_differences.plain_name`).
"""

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

INK, MUTED, RULE, PALE = "#1d2733", "#55626f", "#d4dbe2", "#eef2f5"
# Okabe & Ito's palette, darkened where it would be faint on white: readers with any of the common
# colour-vision deficiencies can tell the colours apart.
BLUE, ORANGE, PURPLE, GREEN = "#0072b2", "#d55e00", "#8f4a86", "#00795a"

SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "text.color": INK,
    "grid.color": PALE,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "white",
    "svg.fonttype": "path",
    "svg.hashsalt": "jensen",
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Layout:
    """How wide a figure is, in inches, and whether it is for a phone."""

    width: float
    narrow: bool


WIDE, NARROW = Layout(9.2, False), Layout(3.9, True)


@dataclass(frozen=True)
class Drawing:
    """One figure as bytes.

    Attributes:
        name: of its files.
        alt: the text for readers who do not see it.
        wide, narrow: what the page embeds in each layout.
        files: {file name: bytes}.
    """

    name: str
    alt: str
    wide: bytes
    narrow: bytes
    files: dict[str, bytes]


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """Within it, figures look like jensen's, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)  # pyright: ignore[reportCallIssue, reportArgumentType]
        yield


def line_art(name: str, alt: str, draw: Callable[[Layout], Figure]) -> Drawing:
    """A figure of lines and letters: SVG in the page, SVG and PNG as files."""
    figure = draw(WIDE)
    wide, narrow = _svg(figure), _svg(draw(NARROW))
    return Drawing(name, alt, wide, narrow, {f"{name}.svg": wide, f"{name}.png": _png(figure)})


def line_art_files(name: str, alt: str, draw: Callable[[Layout], Figure]) -> dict[str, bytes]:
    """A figure outside the page as {file name: bytes}: its SVG and its PNG, in jensen's style."""
    with styled():
        return line_art(name, alt, draw).files


def picture(name: str, alt: str, draw: Callable[[Layout], Figure]) -> Drawing:
    """Returns a figure made of pixels: PNG as a file, and in the page.

    In the page it is JPEG if the PNG is too large, as only noisy colour images are.
    """
    wide, narrow = _png(draw(WIDE)), _png(draw(NARROW))
    return Drawing(
        name, alt, _within(wide, 250_000), _within(narrow, 150_000), {f"{name}.png": wide}
    )


def canvas(width: float, height: float) -> Figure:
    """An empty figure, in inches, that no global state knows of."""
    return Figure(figsize=(width, height))


def place(
    figure: Figure, left: float, bottom: float, width: float, height: float, **options
) -> Axes:
    """Axes at a place given in inches."""
    whole_width, whole_height = figure.get_size_inches()
    return figure.add_axes(
        (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height),
        **options,
    )


def quiet_axis(axis, *, ticks: int = 5) -> None:
    """Few ticks, plain numbers (a tick label never needs mathematics)."""
    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, position: plain(float(value))))


def plain(value: float) -> str:
    """A number for a tick or a label: a true minus sign, no more digits than it needs."""
    return f"{round(value, 12):.5g}".replace("-", "\N{MINUS SIGN}")


def _svg(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="svg", dpi=150, metadata={"Date": None, "Creator": None})
    text = out.getvalue().decode()
    # The document type and the metadata name addresses on the network; nothing reads them.
    text = re.sub(r"<!DOCTYPE[^>]*>\s*", "", text)
    return re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL).encode()


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=150, metadata={"Software": None})
    return out.getvalue()


def _within(content: bytes, most: int) -> bytes:
    """PNG bytes as they are if they fit, else as JPEG of the best quality that fits."""
    from PIL import Image

    best = content
    for quality in (90, 75, 60, 45, 30, 15):
        if len(best) <= most:
            break
        out = io.BytesIO()
        Image.open(io.BytesIO(content)).convert("RGB").save(out, format="JPEG", quality=quality)
        best = out.getvalue()
    return best
