"""The ceiling of I(n; z) where rows repeat: the entropy of the distinct ones, and what is said of it."""

import jax
import numpy as np
import pytest

import linear_gaussian
from jensen.anatomy import Account, account
from jensen.anatomy.distinct_rows import RowCounts, count_rows
from jensen.anatomy.elbo_surgery import surgery
from jensen.anatomy.in_training import subset_account
from jensen.anatomy.level_information import joint_information

KEY = jax.random.key(3)
SHARP = linear_gaussian.make(dimension=12, latent=6, s2=1e-6)  # tells all distinct rows apart


def names(found) -> list[str]:
    return [v.partition(":")[0] for v in found.verdicts]


def entropy(counts) -> float:
    p = np.asarray(counts) / np.sum(counts)
    return float(-np.sum(p * np.log(p)))


def repeated(counts, world=SHARP, seed=0):
    """Rows of the world, the i-th of which occurs counts[i] times, shuffled."""
    rows = np.repeat(world.data(len(counts), seed), counts, axis=0)
    return np.random.default_rng(seed).permutation(rows)


def test_rows_are_counted_as_the_model_sees_them():
    rows = np.array([[0.0, 1.0], [-0.0, 1.0], [2.0, 3.0], [2.0 + 1e-12, 3.0]])
    assert count_rows(rows).multiplicities == {2: 2}  # in float32, and -0.0 is 0.0
    assert count_rows(np.arange(6).reshape(3, 2)).multiplicities == {1: 3}


def test_the_ceiling_is_the_entropy_of_the_distinct_rows():
    counts = RowCounts({1: 3, 2: 2, 5: 1})
    assert (counts.n, counts.distinct, counts.most) == (12, 6, 5)
    assert counts.ceiling() == pytest.approx(entropy([1, 1, 1, 2, 2, 5]), abs=1e-12)
    assert RowCounts({1: 40}).ceiling() == pytest.approx(np.log(40), abs=1e-12)
    assert RowCounts({40: 1}).ceiling() == 0


def test_the_ceiling_over_random_subsets_is_the_mean_over_subsets():
    """log M - E log copies, by drawing subsets of 5 of 12 data that hold the datum."""
    rows = np.repeat(np.arange(6), [1, 1, 1, 2, 2, 5])
    rng, values = np.random.default_rng(0), []
    for _ in range(4000):
        n = rng.integers(12)
        others = rng.permutation(np.delete(np.arange(12), n))[:4]
        values.append(np.log(5) - np.log(1 + np.sum(rows[others] == rows[n])))
    error = np.std(values) / np.sqrt(len(values))
    assert abs(RowCounts({1: 3, 2: 2, 5: 1}).ceiling(5) - np.mean(values)) < 4 * error
    assert RowCounts({1: 12}).ceiling(5) == pytest.approx(np.log(5), abs=1e-12)


@pytest.mark.usefixtures("x64")
def test_a_code_that_tells_all_distinct_rows_apart_is_saturated():
    counts = [1] * 20 + [2] * 10 + [40]
    found = account(SHARP.model, repeated(counts), key=KEY, num_samples=20)
    assert found.index_information.value == pytest.approx(entropy(counts), abs=1e-6)
    assert found.index_ceiling == pytest.approx(entropy(counts), abs=1e-12)
    assert found.index_information.value < 0.8 * found.log_n  # of log N it would not be
    assert names(found)[0] == "Saturated"
    words = f"{entropy(counts):.2f}, the entropy of the 31 distinct rows of 80"
    assert f"at most {words}" in str(found) and words in found.verdicts[0]
    assert "31 of the 80 rows are distinct, and the most" in " ".join(str(found).split())
    values = found.to_json()
    assert values["distinct_rows"] == 31
    assert values["index_ceiling"] == found.index_ceiling
    again = Account.from_json(values, found.arrays())
    assert again.index_ceiling == found.index_ceiling and str(again) == str(found)


@pytest.mark.usefixtures("x64")
def test_identical_rows_are_told_and_are_no_collapse():
    """There is nothing to tell apart: no warm-up can help."""
    found = account(SHARP.model, repeated([60]), key=KEY, num_samples=20)
    assert not {"Collapsed", "Saturated", "Prior", "Undecided"} & set(names(found))
    identical = found.verdicts[names(found).index("Identical rows")]
    assert "all 60 rows are the same" in identical and "warm-up" not in " ".join(found.verdicts)
    nearly = account(SHARP.model, repeated([599, 1]), key=KEY, num_samples=20)
    assert "Identical rows" in names(nearly) and "Collapsed" not in names(nearly)


@pytest.mark.usefixtures("x64")
def test_rows_that_repeat_can_still_be_collapsed():
    world = linear_gaussian.LinearGaussian(np.zeros((4, 2)), np.zeros(4), 1.0)
    found = account(world.model, repeated([3] * 30, world), key=KEY, num_samples=50)
    assert names(found)[0] == "Collapsed"
    assert "0.00 of 3.40, the entropy of the 30 distinct rows of 90" in found.verdicts[0]


@pytest.mark.usefixtures("x64")
def test_distinct_rows_have_log_n_and_no_note():
    found = account(SHARP.model, SHARP.data(50, seed=1), key=KEY, num_samples=20)
    assert found.ceiling == f"log N = {np.log(50):.2f}"
    assert "Rows repeat" not in str(found)


@pytest.mark.usefixtures("x64")
def test_the_account_in_training_names_its_distinct_rows():
    counts = [1] * 10 + [30]
    record = subset_account(surgery(SHARP.model, repeated(counts), key=KEY, num_draws=2))
    words = f"{entropy(counts):.2f}, the entropy of the 11 distinct rows of 40"
    assert record["label"] == f"I(n; z) of 40 training data, at most {words}"
    assert record["index_ceiling"] == pytest.approx(entropy(counts), abs=1e-12)
    assert record["index_information"]["value"] == pytest.approx(entropy(counts), abs=1e-6)


@pytest.mark.usefixtures("x64")
def test_the_information_of_a_subset_has_the_ceiling_of_its_rows():
    counts = [1] * 20 + [20]
    found = joint_information(SHARP.model, repeated(counts), key=KEY)
    assert found.ceiling == pytest.approx(entropy(counts), abs=1e-12)
    assert found.value == pytest.approx(entropy(counts), abs=1e-6)


def test_accounts_of_earlier_versions_have_log_n():
    found = account(
        linear_gaussian.make().model, np.zeros((4, 5), np.float32), key=KEY, num_samples=20
    )
    values = found.to_json()
    del values["row_multiplicities"], values["distinct_rows"], values["index_ceiling"]
    del values["untrusted_share"], values["k_hat_max"], values["influential"]
    del values["can_try_prior"]
    old = Account.from_json(values, found.arrays())
    assert old.index_ceiling == pytest.approx(np.log(4))
