"""Bidirectional annealing: below and above the exact log p(x) of simulated data, and what the gap between them promises."""

import jax.random as jr
import numpy as np
import pytest

import jensen
import linear_gaussian
from jensen.evidence import _bidirectional, bidirectional
from jensen.evidence.annealed import Annealed

KEY = jr.key(5)
OFF = linear_gaussian.make(dimension=6, latent=3, stretch=0.7, shift=0.3)


def exact_of_simulated(world, num_data):
    data, _ = _bidirectional._simulated(
        world.model, world.model.prior(world.model.encoder), jr.split(KEY, 4)[0], num_data
    )
    return world.log_evidence(np.asarray(data))


@pytest.mark.usefixtures("x64")
def test_the_sandwich_holds_log_p_of_x_and_closes_with_more_temperatures():
    exact, gaps = exact_of_simulated(OFF, 60), []
    for temperatures in (4, 60):
        found = bidirectional(
            OFF.model, Annealed(num_samples=16, num_temperatures=temperatures), key=KEY, num_data=60
        )
        low, high = found.lower - exact, found.upper - exact
        assert low.mean() < 3 * low.std() / np.sqrt(60)
        assert high.mean() > -3 * high.std() / np.sqrt(60)
        assert np.mean(low <= 3 * found.lower_errors) >= 0.98
        assert np.mean(high >= -3 * found.upper_errors) >= 0.98
        assert found.gap == pytest.approx(np.mean(found.upper - found.lower))
        # What the certificate promises: neither end is further from the truth, on average, than the gap.
        assert -low.mean() <= found.gap + 3 * found.standard_error
        gaps.append(found)
    assert (
        gaps[0].gap > 3 * gaps[0].standard_error
    )  # with four temperatures there is something to certify
    assert gaps[1].gap < 0.25 * gaps[0].gap
    assert f"a gap of {gaps[1].gap:.3f} +-" in gaps[1].certifies
    assert "no bound on real data" in gaps[1].certifies


@pytest.mark.usefixtures("x64")
def test_with_the_exact_posterior_there_is_no_gap():
    world = linear_gaussian.make(orthogonal=True)
    found = bidirectional(
        world.model, Annealed(num_samples=4, num_temperatures=5), key=KEY, num_data=5
    )
    assert np.abs(found.gaps).max() < 1e-10


def sandwich_of(gaps, errors, separations, num_chains=16):
    n = len(gaps)
    return _bidirectional.Bidirectional(
        lower=np.full(n, -5.0),
        upper=np.asarray(gaps) - 5.0,
        lower_errors=np.full(n, errors),
        upper_errors=np.zeros(n),
        separations=np.asarray(separations),
        num_chains=num_chains,
        acceptance=(0.6, 0.6),
    )


def test_chains_are_apart_where_no_weights_meet_and_noise_does_not_explain_the_gap():
    # A gap of six errors, but weights in common; weights apart, but by less than a nat.
    assert list(sandwich_of([3, 3, 3], 0.5, [-0.1, 0.5, 2.0]).apart) == [False, False, True]
    # 4 errors of 16 chains are too many for 2 data, not for 1,000; of 2 chains for none.
    one_of = lambda n, chains: sandwich_of(  # noqa: E731
        [2.0] + [0.0] * (n - 1), 0.5, [1.5] + [-1.0] * (n - 1), chains
    )
    assert list(one_of(2, 16).apart) == [True, False]
    assert not one_of(1000, 16).apart.any()
    assert not one_of(2, 2).apart.any()
    assert list(sandwich_of([np.inf, np.nan], np.nan, [np.inf, np.nan]).apart) == [False, False]


def test_what_was_done_is_kept_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("jensen.evidence._lots.KEEP_SECONDS", 0.0)
    world, estimator, options = (
        linear_gaussian.make(stretch=0.8),
        Annealed(num_samples=4, num_temperatures=30),
        {"num_data": 4, "chunk": 8},
    )
    whole = bidirectional(world.model, estimator, key=KEY, **options)
    seen = []

    def stop(what, done, total):
        seen.append((done, total))
        if len(seen) == 6:  # among the reverse chains
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bidirectional(world.model, estimator, key=KEY, **options, on_progress=stop, store=tmp_path)
    assert seen[-1][0] > seen[-1][1] / 2
    rest = []
    found = bidirectional(
        world.model,
        estimator,
        key=KEY,
        **options,
        on_progress=lambda _, d, t: rest.append(d),
        store=tmp_path,
    )
    assert rest[0] == seen[-1][0]
    assert (found.lower == whole.lower).all()
    assert (found.upper == whole.upper).all()


def test_too_little_is_refused():
    model = jensen.vae((4, 4), latent_dim=3, encoder="bernoulli", prior="bernoulli", key=jr.key(0))
    with pytest.raises(ValueError, match="codes of this model are binary"):
        bidirectional(model, Annealed(), key=KEY)
    with pytest.raises(ValueError, match="at least 2 data and 2 chains; got 1 and 16"):
        bidirectional(OFF.model, Annealed(), key=KEY, num_data=1)
