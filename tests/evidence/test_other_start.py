"""Modes that q(z|x) misses, on a model whose two mirror modes are known exactly: chains from the prior find them."""

import jax.random as jr
import numpy as np
import pytest

import mirror_modes
from jensen.evidence import bidirectional, estimate_evidence
from jensen.evidence.annealed import Annealed
from jensen.evidence.auto import Auto
from jensen.evidence.importance import Importance

KEY = jr.key(3)
ONE, BOTH = mirror_modes.make(), mirror_modes.make(covers_both=True)
X = ONE.data(20, seed=0)
SETTINGS = {"num_temperatures": 60, "check_data": 12}
pytestmark = pytest.mark.usefixtures("x64")


def missed(found) -> list[str]:
    return [note for note in found.notes if note.startswith("Missed modes")]


def test_importance_sampling_from_one_mode_is_low_by_log_2_and_cannot_know():
    found = estimate_evidence(ONE.model, X, Importance(num_samples=100), key=KEY)
    assert np.abs(found.values - (ONE.log_evidence(X) - np.log(2))).max() < 1e-6
    assert found.bound == ""  # what no estimator that rests on q alone can see


@pytest.mark.parametrize("make", [Annealed, Auto])
def test_chains_from_the_prior_find_the_mode_that_q_misses(make):
    found = estimate_evidence(ONE.model, X, make(**SETTINGS), key=KEY)
    assert np.abs(found.values - (ONE.log_evidence(X) - np.log(2))).max() < 1e-6
    compared = found.other_start
    assert len(compared.index) == 12
    # Few chains leave the log of a mean low by half its relative variance.
    bias = 0.5 * np.mean(compared.standard_errors**2)
    assert abs(compared.difference + bias - np.log(2)) < 4 * compared.standard_error
    assert compared.difference > 5 * compared.standard_error
    assert found.bound == "lower"
    assert not found.trusted.any()
    (note,) = missed(found)
    assert f"{compared.difference:+.3f} +- {compared.standard_error:.3f} nats" in note
    there = found.values[compared.index].mean()
    assert (
        f"at least {there + compared.difference:.3f}, where this estimate says {there:.3f}" in note
    )


@pytest.mark.parametrize("make", [Annealed, Auto])
def test_an_encoder_of_both_modes_is_not_accused(make):
    found = estimate_evidence(BOTH.model, X, make(**SETTINGS), key=KEY)
    assert abs(found.value - BOTH.log_evidence(X).mean()) < 4 * found.standard_error
    assert not missed(found)
    assert not found.other_start.disagrees
    assert not found.misses_modes
    assert found.trusted.mean() > 0.7  # so few temperatures leave few chains in effect at some data
    if make is Auto:
        assert found.trusted.all() and found.bound == ""
    assert any("find no more than this estimate" in note for note in found.notes)


def test_chains_that_begin_at_the_prior_say_what_those_from_q_lack():
    found = estimate_evidence(ONE.model, X, Annealed(start="prior", **SETTINGS), key=KEY)
    bias = 0.5 * np.mean(found.standard_errors**2)
    assert abs(found.value + bias - ONE.log_evidence(X).mean()) < 4 * found.standard_error
    assert not missed(found)
    assert found.other_start.start == "encoder"
    assert any("whatever else rests on q(z|x) is too low" in note for note in found.notes)


def test_no_comparison_is_made_where_none_is_asked_for():
    found = estimate_evidence(
        ONE.model, X[:4], Annealed(num_temperatures=60, check_data=0), key=KEY
    )
    assert found.other_start is None and not found.notes
    with pytest.raises(ValueError, match=r"check_data is a number of data.*got -1"):
        Annealed(check_data=-1)
    with pytest.raises(ValueError, match=r"check_data is a number of data.*got -1"):
        Auto(check_data=-1)


def test_reverse_chains_from_the_true_code_show_the_mode_that_q_misses():
    """Half of the simulated codes lie where q never draws: chains from there end far above those from q."""
    settings = Annealed(num_temperatures=60)
    found = bidirectional(ONE.model, settings, key=KEY, num_data=24)
    # All whose gap is large, a third of the data: as many have their code far out in that mode.
    assert found.apart.sum() >= 4 and (found.apart == (found.gaps > 5)).mean() > 0.9
    assert found.gaps[found.apart].min() > 1
    assert "end above" in found.certifies and "modes" in found.certifies
    # More data: a rule that noise breaks at 1 of 250 data is seen to be wrong.
    fine = bidirectional(BOTH.model, settings, key=KEY, num_data=60)
    assert (fine.gaps > 0.5).any()  # there is noise to mistake
    assert not fine.apart.any()
    assert "end above" not in fine.certifies
