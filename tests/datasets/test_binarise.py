"""Binarisation of the user's own data: means are kept, held-out draws are frozen by seed."""

import numpy as np
import pytest

from jensen.datasets import load_dataset

RNG = np.random.default_rng(11)
GREY = RNG.integers(0, 256, (400, 30)).astype(np.uint8)


def splits(array):
    return (array[:200], array[200:300], array[300:])


@pytest.mark.parametrize("scale", ["uint8", "int64", "float32", "float64"])
def test_dynamic_keeps_grey_train_and_draws_the_rest_with_those_means(scale):
    values = GREY.astype(scale) if "int" in scale else (GREY / 255).astype(scale)
    data = load_dataset(splits(values), binarise="dynamic", seed=2)
    assert data.levels == 255
    assert np.array_equal(data.train, GREY[:200])
    for split, grey in (("validation", GREY[200:300]), ("test", GREY[300:])):
        means, drawn = grey / 255, data.split(split)
        standard_error = np.sqrt((means * (1 - means)).sum()) / means.size
        assert set(np.unique(drawn)) == {0, 1}
        assert abs(drawn.mean() - means.mean()) < 5 * standard_error
        # Bernoulli draws also scatter about their own means as they should: E (x - m)^2 = m (1 - m).
        squares, variances = (drawn - means) ** 2, means * (1 - means)
        assert abs(squares.mean() - variances.mean()) < 5 * squares.std() / np.sqrt(squares.size)
    assert not any("rounded" in note for note in data.notes)


def test_dynamic_draws_depend_on_the_seed_alone_and_differ_between_splits():
    half = np.full((100, 30), 128, np.uint8)
    first, again, other = (
        load_dataset((half, half, half), binarise="dynamic", seed=s) for s in (0, 0, 1)
    )
    assert first.fingerprint("test") == again.fingerprint("test")
    assert first.fingerprint("test") != other.fingerprint("test")
    draws = [first.split(s) for s in ("train", "validation", "test")] + [other.test]
    for i, a in enumerate(draws):
        for b in draws[:i]:
            # Independent draws at mean 128/255 agree half of the time.
            assert abs((a == b).mean() - 0.5) < 5 * 0.5 / np.sqrt(a.size)


def test_dynamic_rounds_other_floats_and_says_by_how_much():
    values = RNG.uniform(size=(400, 30))
    data = load_dataset(splits(values), binarise="dynamic")
    assert np.abs(data.train / 255 - values[:200]).max() <= 0.5 / 255 + 1e-6
    assert any(
        "rounded to multiples of 1/255, which changed them by up to 0.002" in note
        for note in data.notes
    )


def test_dynamic_says_how_large_the_means_get():
    notes = load_dataset(np.tile(np.arange(17), (20, 1)), binarise="dynamic").notes
    assert any(
        "values 0..16 were read as Bernoulli means v / 255, at most 0.0627" in note
        for note in notes
    )


@pytest.mark.parametrize("mode", ["dynamic", "threshold"])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float64])
def test_values_that_are_binary_already_are_kept(mode, dtype):
    bits = RNG.integers(0, 2, (400, 30))
    data = load_dataset(splits(bits.astype(dtype)), binarise=mode)
    assert data.levels is None
    assert data.train.dtype == np.uint8
    assert np.array_equal(data.test, bits[300:])
    assert any("0 and 1 already" in note for note in data.notes)


def test_threshold_parts_at_the_middle_of_trains_range():
    values = np.array([[-3.0], [0.9], [1.0], [1.1], [5.0]])
    data = load_dataset((values, values[1:4], values + 1), binarise="threshold")
    assert data.levels is None
    assert data.train.ravel().tolist() == [0, 0, 0, 1, 1]
    assert data.validation.ravel().tolist() == [0, 0, 1]
    assert data.test.ravel().tolist() == [0, 1, 1, 1, 1]
    assert any("v > 1, the middle of train's range -3..5" in note for note in data.notes)


def test_none_leaves_values_alone():
    data = load_dataset(splits(GREY))
    assert data.levels is None
    assert np.array_equal(data.split("test"), GREY[300:])


@pytest.mark.parametrize(
    ("values", "mode", "message"),
    [
        (
            GREY,
            "dynamc",
            r"unknown binarise 'dynamc' \(did you mean 'dynamic'\?\); known: none, dynamic, threshold",
        ),
        (
            GREY.astype(float),
            "dynamic",
            "floats in .0, 1. as Bernoulli means; got values from 0 to 255. Rescale",
        ),
        (GREY - 1.0, "dynamic", "got values from -1"),
        (np.full((400, 2), 7), "threshold", "every value of train is 7"),
    ],
)
def test_what_cannot_be_binarised_is_refused(values, mode, message):
    with pytest.raises(ValueError, match=message):
        load_dataset(splits(values), binarise=mode)
