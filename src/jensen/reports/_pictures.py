"""Figures of image events: reconstructions, samples, traversals."""

import numpy as np
from matplotlib.figure import Figure

from jensen.reports._mosaic import tile, to_colours
from jensen.reports._probes import STEPS, Traversal
from jensen.reports._style import INK, MUTED, Layout, canvas, place, plain

Range = tuple[float, float]


class Pictures:
    """Draws image events of one data set.

    All figures have one value range and one sense of ink, so that they can be compared.

    Pictures((0.0, 1.0), ink=True).samples(means, WIDE)
    """

    sample_count = 48
    reconstruction_count = 16

    def __init__(self, value_range: Range, *, ink: bool):
        self.value_range = value_range
        self.ink = ink

    def reconstructions(self, data: np.ndarray, means: np.ndarray, layout: Layout) -> Figure:
        """Pairs of rows: the data above, the means of p(x|z) below."""
        columns = 8 if layout.narrow else 16
        strips = []
        for start in range(0, len(data), columns):
            part = slice(start, start + columns)
            strips += [("data", data[part], "bold"), ("reconstruction", means[part], "normal")]
        return self._strips(strips, columns, layout)

    def samples(self, means: np.ndarray, layout: Layout) -> Figure:
        """A grid of means of p(x|z)."""
        columns = 8 if layout.narrow else 16
        strips = [
            ("", means[start : start + columns], "normal")
            for start in range(0, len(means), columns)
        ]
        return self._strips(strips, columns, layout)

    def traversals(self, walk: Traversal, layout: Layout) -> Figure:
        """One row of images for each latent dimension."""
        strips = []
        for row, dimension in enumerate(walk.dimensions):
            low, high = walk.positions[row, 0], walk.positions[row, -1]
            separator = "   " if layout.narrow else "\n"
            positions = f"{plain(round(low, 2))} to {plain(round(high, 2))}"
            spread = f"sd {walk.spread[row]:.2f}"
            label = separator.join((f"z{dimension}", positions, spread))
            strips.append((label, walk.means[row], "normal"))
        return self._strips(strips, STEPS, layout, label_width=1.25)

    def colours(self, images: np.ndarray) -> np.ndarray:
        """Images as uint8 colours."""
        return to_colours(images, self.value_range, ink=self.ink)

    def _strips(
        self,
        strips: list[tuple[str, np.ndarray, str]],
        columns: int,
        layout: Layout,
        *,
        label_width: float = 1.15,
    ) -> Figure:
        """Rows of images, each with its label at the left or, on a phone, above."""
        labelled = any(label for label, *_ in strips)
        left = label_width if labelled and not layout.narrow else 0.05
        above = 0.2 if labelled and layout.narrow else 0.0
        height, width = strips[0][1].shape[1:3]
        strip_width = layout.width - left - 0.05
        cell = strip_width / columns
        strip_height = cell * height / width
        step = strip_height + above + 0.04
        figure = canvas(layout.width, len(strips) * step + 0.06)
        whole = figure.get_size_inches()[1]
        scale = max(1, round(1.4 * cell * 150 / width))
        for i, (label, images, weight) in enumerate(strips):
            top = whole - i * step - above - 0.03
            pixels = tile(
                self.colours(images), columns, scale=scale, gap=max(4, scale // 3), line=2
            )
            axes = place(figure, left, top - strip_height, strip_width, strip_height)
            axes.imshow(pixels, aspect="auto", interpolation="antialiased")
            axes.set_axis_off()
            if label and layout.narrow:
                figure.text(
                    left / layout.width,
                    (top + 0.05) / whole,
                    label,
                    fontsize=8,
                    color=INK,
                    weight=weight,
                )
            elif label:
                x, y = (left - 0.1) / layout.width, (top - strip_height / 2) / whole
                figure.text(
                    x,
                    y,
                    label,
                    fontsize=8.5,
                    color=INK if weight == "bold" else MUTED,
                    weight=weight,
                    ha="right",
                    va="center",
                    linespacing=1.25,
                )
        return figure
