"""The picture of posteriors shows the rows' figures, hollow where a fit is not trusted."""

import numpy as np
import pytest

from jensen.reports._style import NARROW, WIDE, styled
from jensen.reproductions.posteriordb.picture import describe, draw_posteriors, posteriors_figure

ROWS = [
    {
        "posterior": "a-one",
        "method": "mean_field",
        "trusted": False,
        "largest_mean_error": 0.3,
        "sd_ratios": [0.2, 0.9],
    },
    {
        "posterior": "a-one",
        "method": "full_rank",
        "trusted": True,
        "largest_mean_error": 1e-5,
        "sd_ratios": [0.97, 1.02],
    },
    {"posterior": "b-two", "method": "full_rank", "trusted": True},
]


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_what_is_drawn_is_what_the_rows_hold(layout):
    with styled():
        figure = posteriors_figure(ROWS, layout)
    errors, ratios = (
        [
            (list(map(float, np.ravel(line.get_xdata()))), line.get_markerfacecolor())
            for line in axes.get_lines()
        ]
        for axes in figure.axes
    )
    assert [x for x, _ in errors] == [
        [0.3],
        [1e-3],
    ]  # the second lies left of the axis, and is put at its end
    assert [x for x, _ in ratios] == [[0.2, 0.9], [0.97, 1.02]]
    assert [face == "white" for _, face in errors] == [True, False]
    for axes, values in zip(figure.axes, ([0.3, 1e-3], [0.2, 1.02])):
        low, high = axes.get_xlim()
        assert low < min(values) and max(values) < high


def test_it_is_told_in_words_and_wants_a_row_with_reference_draws():
    assert (
        "a-one by mean_field 0.300 and 0.20 to 0.90; a-one by full_rank 0.000 and 0.97 to 1.02."
        in describe(ROWS)
    )
    assert draw_posteriors(ROWS)["posteriors.png"][:4] == b"\x89PNG"
    with pytest.raises(ValueError, match="at least one fit with reference draws; got none"):
        draw_posteriors(ROWS[2:])
