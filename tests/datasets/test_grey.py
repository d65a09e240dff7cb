"""Grey levels read three ways: drawn with the right means, thresholded, or as exact bin centres."""

import numpy as np
import pytest

from jensen.datasets import Digits, load_dataset
from jensen.datasets._grey import grey_dataset, seeded_draws

RNG = np.random.default_rng(5)
GREY = {
    split: RNG.integers(0, 256, (rows, 6, 4)).astype(np.uint8)
    for split, rows in (("train", 90), ("validation", 400), ("test", 500))
}


def made(binarise):
    return grey_dataset(
        "mini",
        GREY,
        255,
        binarise,
        lambda: seeded_draws(GREY, 255, 3),
        drawn="with seeds 3 and 4",
        notes=("kept",),
    )


def test_none_gives_the_centres_of_256_bins_exactly():
    data = made("none")
    assert data.levels is None
    for split, grey in GREY.items():
        array = getattr(data, split)
        assert array.dtype == np.float32
        # float32 holds (v + 1/2) / 256 = (2 v + 1) / 512 without rounding.
        assert np.array_equal(array.astype(np.float64) * 512, 2.0 * grey + 1)
    assert data.train.min() > 0 and data.train.max() < 1
    assert data.notes == (
        "grey values v = 0..255 as the centres of their bins, (v + 0.5) / 256",
        "kept",
    )


def test_threshold_parts_the_levels_in_the_middle():
    data = made("threshold")
    assert data.levels is None
    for split, grey in GREY.items():
        assert np.array_equal(getattr(data, split), grey >= 128)


def test_dynamic_keeps_train_grey_and_draws_the_rest_once():
    data = made("dynamic")
    assert data.levels == 255
    assert np.array_equal(data.train, GREY["train"])
    for split in ("validation", "test"):
        means = GREY[split] / 255
        drawn = getattr(data, split)
        # E (x - m) = 0 and E (x - m) m = 0 separate draws with these means from draws with any others.
        standard_error = np.sqrt((means * (1 - means)).sum())
        assert abs((drawn - means).sum()) < 5 * standard_error
        assert abs(((drawn - means) * (means - 0.5)).sum()) < 5 * np.sqrt(
            (means * (1 - means) * (means - 0.5) ** 2).sum()
        )
        assert np.array_equal(drawn, getattr(made("dynamic"), split))


def test_the_digits_read_three_ways_are_one_data_set():
    dynamic, threshold, none = (
        load_dataset("digits", binarise=mode) for mode in ("dynamic", "threshold", "none")
    )
    assert dynamic.fingerprint("test") == load_dataset("digits").fingerprint("test")
    assert np.allclose(none.train * 17 - 0.5, dynamic.train, atol=1e-5)
    assert np.array_equal(threshold.train, dynamic.train > 8)
    # On the held-out rows only the grey reading shows the means that were drawn from.
    means = (none.test * 17 - 0.5) / 16
    assert abs((dynamic.test - means).sum()) < 5 * np.sqrt((means * (1 - means)).clip(0).sum())
    assert none.options == {"binarise": "none"}


def test_an_unknown_reading_offers_the_nearest():
    with pytest.raises(
        ValueError,
        match=r"data set 'digits': binarise must be one of dynamic, threshold, none; got 'dynamc' \(did you mean 'dynamic'",
    ):
        load_dataset("digits", binarise="dynamc")
    assert Digits(binarise="none").binarise == "none"
