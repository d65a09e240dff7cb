"""The sandwich on a model whose log p(x) is known: every rung at its place, from the same data."""

import jax.random as jr
import numpy as np
import pytest

import linear_gaussian
from jensen.evidence import sandwich
from jensen.evidence.annealed import Annealed
from jensen.reports import draw_sandwich

WORLD = linear_gaussian.make(dimension=6, latent=3, stretch=0.8, shift=0.3)


@pytest.mark.usefixtures("x64")
def test_each_rung_is_where_the_closed_form_has_it():
    x = WORLD.data(50, seed=1)
    annealed = Annealed(num_samples=8, num_temperatures=60)
    found = sandwich(
        WORLD.model,
        x,
        key=jr.key(2),
        annealed=annealed,
        num_data=30,
        iwae_samples=10,
        num_samples=1000,
        simulated=8,
    )
    assert len(found.index) == 30
    assert len(set(found.index.tolist())) == 30
    elbo, iwae, importance, top = found.rungs
    data = x[found.index]
    exact = WORLD.log_evidence(data)
    assert np.abs((elbo.values - WORLD.elbo(data)) / elbo.standard_errors).max() < 5
    assert abs(top.value - exact.mean()) < 5 * top.standard_error
    # In order, each step outside its own noise but for the last, which has nothing left to win here.
    assert [value > 3 * error for value, error in found.steps[:2]] == [True, True]
    assert elbo.value < iwae.value < importance.value < exact.mean() + 3 * importance.standard_error
    for (value, _), below, above in zip(
        found.steps, found.rungs[:-1], found.rungs[1:], strict=True
    ):
        assert value == pytest.approx(above.value - below.value)
    assert (found.importance.values == importance.values).all()
    assert found.bidirectional is not None
    files = draw_sandwich(found)
    assert set(files) == {"sandwich.png", "sandwich.svg"}
    without = sandwich(
        WORLD.model,
        x,
        key=jr.key(2),
        annealed=annealed,
        num_data=30,
        iwae_samples=10,
        num_samples=1000,
        simulated=0,
    )
    assert without.bidirectional is None
    assert (without.rungs[-1].values == top.values).all()


def test_too_few_samples_for_two_groups_are_refused():
    with pytest.raises(
        ValueError, match=r"at least two groups of iwae_samples.*num_samples=60; got 50"
    ):
        sandwich(WORLD.model, WORLD.data(3, seed=1), key=jr.key(0), num_samples=60)
