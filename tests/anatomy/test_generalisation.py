"""Train and test beside each other: parts and wholes are of the same data, and their differences close."""

import jax
import numpy as np
import pytest

import linear_gaussian
from jensen.anatomy import account, generalisation
from jensen.anatomy.gaps import SUBSET_GAP

KEY = jax.random.key(9)
WORLD = linear_gaussian.make(stretch=1.3, shift=0.2)
TRAIN, TEST = WORLD.data(90, seed=0), 1.2 * WORLD.data(40, seed=1)
pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture(scope="module")
def both():
    with jax.enable_x64(True):
        accounts = [
            account(WORLD.model, x, key=KEY, split=split, num_samples=50, num_draws=draws, gaps=10)
            for split, x, draws in (("train", TRAIN, 1), ("test", TEST, 3))
        ]
        return generalisation(WORLD.model, *accounts, TRAIN, TEST, key=KEY)


def test_differences_of_the_parts_sum_to_those_of_the_whole(both):
    d = {name: change.difference for name, change in both.lines.items()}
    assert both.over == 40
    assert d["index_information"] + d["marginal_kl"] == pytest.approx(d["average_kl"], abs=1e-9)
    assert d["reconstruction"] - d["average_kl"] == pytest.approx(d["elbo"], abs=1e-9)
    assert d["entropy"] - d["expected_energy"] == pytest.approx(d["elbo"], abs=1e-9)
    assert d["evidence"] - d["jensen_gap"] == pytest.approx(d["elbo"], abs=1e-9)
    parts = d["approximation_gap"] + d["amortisation_gap"]
    assert parts == pytest.approx(d[SUBSET_GAP], abs=1e-9)
    # Of the wholes, the columns' own: nothing else is told of them.
    for name in ("average_kl", "elbo", "jensen_gap"):
        assert d[name] == both.test.line(name).value - both.train.line(name).value


def test_information_over_equally_many_is_that_of_random_subsets(both):
    """I(n; z) of the 90 training data over subsets of 40, by brute force in NumPy."""
    loc, scale = WORLD.q(TRAIN)
    rng, values = np.random.default_rng(0), []
    for _ in range(300):
        chosen = rng.permutation(90)[:40]
        z = loc[chosen] + scale[chosen] * rng.normal(size=(40, 2))
        pairs = -0.5 * np.square((z[:, None] - loc[chosen]) / scale[chosen]).sum(2)
        own = np.diagonal(pairs)
        values.append(np.mean(own - np.logaddexp.reduce(pairs, axis=1) + np.log(40)))
    change = both.lines["index_information"]
    # One subset and one draw a datum: as uncertain as a mean over 40 data.
    assert abs(change.train - np.mean(values)) < 4 * np.std(values)
    assert change.train < both.train.index_information.value
    assert change.test == both.test.index_information.value


def test_what_has_no_difference_is_left_blank_and_the_table_says_why(both):
    assert "total_correlation" not in both.lines and "dimension_wise_kl" not in both.lines
    text = " ".join(str(both).split())
    assert "over 40 data, random subsets on the larger split, and sum to that of the KL" in text
    (row,) = [r for r in str(both).splitlines() if "Jensen gap split below" in r]
    # A lower bound reads ">= 0.549" and has no error beside it.
    figures = row.split("below")[1].replace(">= ", "").split()
    train, test = (a.gaps.jensen_gap for a in (both.train, both.test))
    assert figures[0] == f"{train.value:.3f}"
    assert figures[1 if train.bound else 2] == f"{test.value:.3f}"


def test_splits_of_one_size_keep_all_lines():
    accounts = [
        account(WORLD.model, x, key=KEY, split=split, num_samples=20, num_draws=2)
        for split, x in (("train", TRAIN[:40]), ("test", TEST))
    ]
    same = generalisation(WORLD.model, *accounts, TRAIN[:40], TEST, key=KEY)
    d = {name: change.difference for name, change in same.lines.items()}
    parts = d["total_correlation"] + d["dimension_wise_kl"]
    assert parts == pytest.approx(d["marginal_kl"], abs=1e-9)
    assert d["index_information"] + d["marginal_kl"] == pytest.approx(d["average_kl"], abs=1e-9)


def test_the_gaps_of_a_subset_stand_below_the_gap_of_that_subset(both):
    found = both.train
    ceilings = {c.line: c for c in found.ceilings}
    for part in ("approximation_gap", "amortisation_gap"):
        assert ceilings[part].part_of == SUBSET_GAP
    parts = ceilings["approximation_gap"].value + ceilings["amortisation_gap"].value
    assert parts == pytest.approx(ceilings[SUBSET_GAP].value, abs=1e-9)
    assert ceilings[SUBSET_GAP].value == pytest.approx(
        found.jensen_gap.per_datum[found.gaps.index].mean(), abs=1e-9
    )
    assert ceilings["jensen_gap"].value == found.jensen_gap.value
    assert "Jensen gap of 10 data" in str(found)
