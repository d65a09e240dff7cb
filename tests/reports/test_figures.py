import io
import subprocess
import sys

import numpy as np
import pytest
from _worlds import account_of, history_of
from PIL import Image

from jensen.reports import draw_image_grid
from jensen.reports._curves import (
    best_epoch,
    draw_curves,
    visible_range,
    warm_up_epochs,
    warm_up_spans,
)
from jensen.reports._histograms import draw_dimensions, draw_evidence, draw_pareto_k, shown_from
from jensen.reports._html import configuration_groups, lead, nats, options
from jensen.reports._mosaic import is_image, tile, to_colours, value_range_of
from jensen.reports._rows import tail_shape
from jensen.reports._style import WIDE, styled


def pixels_of(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_grid_shows_the_images_at_their_places():
    images = np.zeros((6, 2, 2))
    images[4] = [[0, 1], [1, 0]]
    shown = pixels_of(draw_image_grid(images, columns=3))
    scale, cell = 28, 2 * 28 + 2 + 4
    assert shown.shape == (2 * cell - 4, 3 * cell - 4, 3)
    block = shown[
        cell + 1 : cell + 1 + 2 * scale, cell + 1 : cell + 1 + 2 * scale
    ]  # row 1, column 1: image 4
    assert np.array_equal(block[::scale, ::scale, 0], [[0, 255], [255, 0]])
    assert np.array_equal(block, block[::scale, ::scale].repeat(scale, 0).repeat(scale, 1))


def test_images_are_drawn_over_their_range_but_a_few_huge_counts_do_not_darken_all_others():
    assert value_range_of(np.array([[[0.1, 0.9]]])) == (0, 1)
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    assert value_range_of(levels) == (0, 255)
    counts = np.random.default_rng(0).poisson(10, (50, 8, 8))
    assert value_range_of(counts) == (counts.min(), counts.max())
    counts[3, 2, 1] = 4000
    low, high = value_range_of(counts)
    assert (low, high) == tuple(np.quantile(counts, (0.005, 0.995)))
    assert high < 25
    rare = np.zeros((50, 8, 8))
    rare[0, 0, 0] = 7  # quantiles say nothing here
    assert value_range_of(rare) == (0, 7)


def test_a_grid_of_colours_keeps_them():
    images = np.random.default_rng(0).uniform(size=(1, 60, 60, 3))
    assert np.array_equal(pixels_of(draw_image_grid(images))[1:-1, 1:-1], np.round(255 * images[0]))


@pytest.mark.parametrize(
    ("images", "columns", "match"),
    [
        (np.zeros((3, 5)), None, "shape"),
        (np.zeros((3, 5, 5, 2)), None, "shape"),
        (np.zeros((0, 5, 5)), None, "none"),
        (np.zeros((3, 5, 5)), 0, "columns"),
    ],
)
def test_a_grid_of_no_images_is_refused(images, columns, match):
    with pytest.raises(ValueError, match=match):
        draw_image_grid(images, columns=columns)


def test_ink_turns_values_round_and_units_do_not_matter():
    images = np.array([[[0.0, 1.0], [0.5, 1.0]]])
    assert to_colours(images, (0, 1), ink=True)[0, ..., 0].tolist() == [[255, 0], [128, 0]]
    assert np.array_equal(to_colours(images * 200 - 50, (-50, 150)), to_colours(images, (0, 1)))


def test_tiles_are_in_reading_order():
    colours = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 1, 3), np.uint8)
    assert tile(colours, 3, gap=0, line=0)[..., 0].tolist() == [[0, 1, 2], [3, 4, 255]]


@pytest.mark.parametrize(
    ("shape", "image"),
    [
        ((8, 8), True),
        ((8, 8, 1), True),
        ((8, 8, 3), True),
        ((8, 8, 2), False),
        ((5,), False),
        ((1, 8), False),
        ((2, 2, 2, 2), False),
    ],
)
def test_which_events_are_images(shape, image):
    assert is_image(shape) == image


def test_best_epoch_and_warm_up():
    history = history_of(20, warm_up=5, best=17)
    assert best_epoch(history) == 17
    assert warm_up_epochs(history) == 4  # the fifth is trained at the full weight
    assert warm_up_epochs(history_of(20, warm_up=0)) == 0


def test_every_stretch_at_a_smaller_weight_is_found_and_shaded():
    history = history_of(16, warm_up=0)
    for record, beta in zip(history, [0.5, 1, 2, 2] * 4, strict=True):
        record["beta"] = beta
    assert warm_up_spans(history) == [(1, 2), (5, 6), (9, 10), (13, 14)]
    assert warm_up_epochs(history) == 14
    with styled():
        panel = draw_curves(history, WIDE).axes[0]
    assert [(p.get_x(), p.get_x() + p.get_width()) for p in panel.patches] == [
        (0.5, 2.5),
        (4.5, 6.5),
        (8.5, 10.5),
        (12.5, 14.5),
    ]
    # A run that ended within a cycle was at the full weight before.
    assert warm_up_spans(history[:6]) == [(1, 2), (5, 6)]


def test_steep_first_epochs_do_not_flatten_the_rest():
    values = np.concatenate([[-1e6, -1e4], np.linspace(-100, -90, 40)])
    low, high = visible_range(values)
    assert -120 < low < -100 and -90 < high < -85


def test_the_k_hat_bars_count_the_data_on_each_side_of_the_threshold():
    account = account_of(300)
    tail = tail_shape(account)
    with styled():
        bars = draw_pareto_k(tail.finite, tail.threshold, WIDE).axes[0].patches
    above = sum(bar.get_height() for bar in bars if bar.get_x() > tail.threshold - 1e-6)
    assert sum(bar.get_height() for bar in bars) == 300
    assert above == tail.untrusted == round(300 * account.untrusted_share)


def test_bars_of_variance_leave_the_line_of_activity():
    variance = np.array([0.0001, 1.0, 0.02])
    with styled():
        bars = draw_dimensions(variance, WIDE).axes[0].patches
    assert np.allclose([bar.get_y() for bar in bars], 0.01)
    assert np.allclose([bar.get_y() + bar.get_height() for bar in bars], [1.0, 0.02, 0.0001])


def test_a_far_outlier_is_counted_instead_of_squeezing_the_histogram():
    values = np.concatenate([np.random.default_rng(0).normal(-80, 3, 500), [-5000.0]])
    assert shown_from(values) > -200
    assert shown_from(values[:-1]) == values[:-1].min()
    with styled():
        axes = draw_evidence(values, np.array([500]), WIDE).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 500
    assert any("1 further down, to \N{MINUS SIGN}5000" in text.get_text() for text in axes.texts)


def test_numbers_keep_their_full_precision_beside_the_rounded_text():
    assert nats(-1.23456) == '<data value="-1.23456">\N{MINUS SIGN}1.235</data>'
    assert nats(0.5, 2, sign=True) == '<data value="0.5">+0.50</data>'
    assert [nats(v) for v in (np.nan, np.inf, -np.inf)] == ["n/a", "∞", "\N{MINUS SIGN}∞"]


def test_verdicts_are_marked_up_and_escaped():
    assert lead("Prior: try <b> (--prior vamp, --beta).") == (
        "<strong>Prior:</strong> try &lt;b&gt; (<code>--prior vamp</code>, <code>--beta</code>)."
    )
    assert options("a & b") == "a &amp; b"


def test_a_nested_configuration_becomes_sections_of_dotted_keys():
    config = {
        "seed": 1,
        "model": {"prior": {"name": "vamp", "on": True}, "hidden": [3, 4], "none": None},
    }
    assert configuration_groups(config) == [
        ("", [("seed", "1")]),
        (
            "model",
            [("prior.name", "vamp"), ("prior.on", "true"), ("hidden", "3, 4"), ("none", "(none)")],
        ),
    ]


def test_the_room_is_cheap_to_import():
    code = (
        "import sys, jensen.reports; assert not {'matplotlib', 'jinja2', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
