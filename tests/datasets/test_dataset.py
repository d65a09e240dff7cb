"""A Dataset evaluates the same values every time, and says so by its fingerprint."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from jensen.datasets import Dataset
from jensen.datasets._dataset import TRAIN_DRAW_SEED, frozen_draws


def grey_dataset(**changes):
    rng = np.random.default_rng(3)
    parts = {
        "name": "grey",
        "train": rng.integers(0, 17, (40, 2, 3)).astype(np.uint8),
        "validation": rng.integers(0, 2, (10, 2, 3)).astype(np.uint8),
        "test": rng.integers(0, 2, (12, 2, 3)).astype(np.uint8),
        "levels": 16,
    }
    return Dataset(**{**parts, **changes})


def test_draws_have_the_grey_values_as_means():
    grey = np.repeat(np.arange(17, dtype=np.uint8)[:, None], 20_000, axis=1)
    means = frozen_draws(grey, 16, seed=5).mean(axis=1)
    expected = np.arange(17) / 16
    standard_error = np.sqrt(expected * (1 - expected) / 20_000)
    assert np.all(np.abs(means - expected) <= 5 * standard_error)
    assert means[0] == 0
    assert means[16] == 1


def test_draws_at_255_levels_are_certain_at_both_ends():
    assert not frozen_draws(np.zeros(100_000, np.uint8), 255, seed=0).any()
    assert frozen_draws(np.full(100_000, 255, np.uint8), 255, seed=0).all()


def test_draws_are_the_same_on_every_machine():
    half = np.full(24, 8, np.uint8)
    assert "".join(map(str, frozen_draws(half, 16, seed=0))) == "000000111111101011000110"


def test_train_is_frozen_by_the_documented_seed_and_keeps_its_grey_values():
    data = grey_dataset()
    assert np.array_equal(data.split("train"), frozen_draws(data.train, 16, TRAIN_DRAW_SEED))
    assert np.array_equal(data.split("train"), grey_dataset().split("train"))
    assert data.train.max() == 16
    assert np.array_equal(data.split("test"), data.test)


def test_without_levels_train_is_used_as_it_is():
    data = grey_dataset(levels=None)
    assert np.array_equal(data.split("train"), data.train)


def test_fingerprint_is_sha256_of_shape_dtype_and_bytes():
    data = grey_dataset()
    expected = hashlib.sha256(
        b"(12, 2, 3) uint8 " + bytes(int(v) for v in data.test.ravel())
    ).hexdigest()
    assert data.fingerprint("test") == expected


def test_fingerprint_sees_one_value_the_order_the_shape_and_the_dtype_but_not_the_memory_layout():
    test = np.arange(12, dtype=np.float32).reshape(4, 3)
    train = np.zeros((1, 3), np.float32)
    base = Dataset("x", train, train, test)
    touched = test.copy()
    touched[2, 1] = np.nextafter(touched[2, 1], np.float32(100))
    fourfold = np.zeros((1, 4), np.float32)
    others = [
        Dataset("x", train, train, touched),
        Dataset("x", train, train, test[::-1]),
        Dataset("x", fourfold, fourfold, test.reshape(3, 4)),
        Dataset("x", train.astype(np.uint8), train.astype(np.uint8), test.astype(np.uint8)),
    ]
    assert len({base.fingerprint("test"), *(o.fingerprint("test") for o in others)}) == 5
    assert Dataset("y", train, train, np.asfortranarray(test)).fingerprint(
        "test"
    ) == base.fingerprint("test")


def test_arrays_cannot_be_changed_and_the_callers_array_stays_writeable():
    mine = np.zeros((4, 2), np.float32)
    data = Dataset("x", mine, mine, mine)
    with pytest.raises(ValueError, match="read-only"):
        data.test[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        grey_dataset().split("train")[0, 0, 0] = 1
    mine[0, 0] = 2


def test_unknown_split_offers_the_nearest():
    for method in (grey_dataset().split, grey_dataset().fingerprint):
        with pytest.raises(
            ValueError,
            match=r"unknown split 'validaton' \(did you mean 'validation'\?\); known: train, validation, test",
        ):
            method("validaton")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": np.zeros((3, 2, 3))}, "test has dtype float64.*cast"),
        ({"test": np.zeros((3, 2, 3), np.float32)}, "test is float32 but train is uint8"),
        (
            {"test": np.zeros((3, 6), np.uint8)},
            r"test has event shape \(6,\) but train has \(2, 3\)",
        ),
        ({"test": np.zeros((0, 2, 3), np.uint8)}, "test is empty"),
        ({"train": np.zeros(6, np.uint8)}, r"train has shape \(6,\).*reshape"),
        ({"levels": 15}, "levels=15 wants train as uint8 in 0..15; got uint8 up to 16"),
        ({"levels": 256}, "levels must be in 1..255; got 256"),
        ({"test": np.full((3, 2, 3), 2, np.uint8)}, "test must hold frozen 0/1 draws"),
        ({"labels": {"test": np.zeros(11)}}, r"test has 12 rows but labels of shape \(11,\)"),
        ({"labels": {"tests": np.zeros(12)}}, r"unknown split 'tests' \(did you mean 'test'\?\)"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        grey_dataset(**changes)


def test_values_that_are_not_finite_are_refused():
    one = np.ones((3, 2), np.float32)
    with pytest.raises(ValueError, match="validation holds 2 values that are NaN or infinite"):
        Dataset("x", one, np.array([[np.nan, np.inf]], np.float32), one)


def test_validation_may_be_empty():
    data = replace(grey_dataset(), validation=np.zeros((0, 2, 3), np.uint8))
    assert data.split("validation").shape == (0, 2, 3)
    assert data.fingerprint("validation") == hashlib.sha256(b"(0, 2, 3) uint8 ").hexdigest()
