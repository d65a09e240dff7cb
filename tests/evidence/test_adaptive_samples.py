"""Samples until a target is met: each datum's estimate is that of exactly its samples, whatever else is estimated, and the reason is told."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

import linear_gaussian
from jensen.decoders import AbstractDecoder
from jensen.distributions import diagonal_normal
from jensen.evidence import _adaptive, estimate_evidence, pareto_k_threshold
from jensen.evidence.importance import Importance

KEY = jr.key(3)
ADAPTIVE = functools.partial(Importance, num_samples=100, until_trusted=True, max_samples=1000)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "options", [{}, {"smooth": True}, {"correction": "jackknife"}, {"defensive": 0.2}]
)
def test_each_datum_has_the_estimate_of_exactly_its_samples(options):
    model = linear_gaussian.make(stretch=0.6)
    x = model.data(12, seed=9)
    found = estimate_evidence(model.model, x, ADAPTIVE(**options), key=KEY)
    assert set(found.samples) <= {100, 200, 400, 800, 1000}
    assert len(set(found.samples)) > 1
    for samples in set(found.samples):
        plain = estimate_evidence(
            model.model, x, Importance(num_samples=int(samples), **options), key=KEY
        )
        for n in np.flatnonzero(found.samples == samples):
            for name in ("values", "standard_errors", "effective_samples", "pareto_k"):
                assert getattr(found, name)[n] == pytest.approx(
                    getattr(plain, name)[n], rel=1e-7, abs=1e-9
                ), name


@pytest.mark.usefixtures("x64")
def test_doubling_stops_at_the_target_and_says_why():
    model = linear_gaussian.make(stretch=0.6)
    x = model.data(12, seed=9)
    found = estimate_evidence(model.model, x, ADAPTIVE(), key=KEY)
    thresholds = np.array([pareto_k_threshold(int(s)) for s in found.samples])
    np.testing.assert_array_equal(found.trusted, found.pareto_k <= thresholds)
    assert (found.samples[~found.trusted] == 1000).all()
    for k, samples, trusted, threshold, reason in zip(
        found.pareto_k, found.samples, found.trusted, thresholds, found.reasons
    ):
        assert reason == (
            f"k-hat {k:.2f} at {samples} samples"
            if trusted
            else f"k-hat {k:.2f} still above {threshold:.2f} at 1000 samples"
        )
    for n in np.flatnonzero(
        found.samples > 100
    ):  # not before the doubling of the samples with which it was not trusted
        half = estimate_evidence(
            model.model,
            x,
            Importance(num_samples=100 * 2 ** int(np.ceil(np.log2(found.samples[n] / 100) - 1))),
            key=KEY,
        )
        assert not half.trusted[n]
    assert found.num_samples == found.samples.max()
    assert any("small bias" in note for note in found.notes)


@pytest.mark.usefixtures("x64")
def test_a_standard_error_is_reached_or_said_not_to_be():
    model = linear_gaussian.make(stretch=1.4, shift=0.3)
    x = model.data(20, seed=10)
    target = float(
        np.median(
            estimate_evidence(model.model, x, Importance(num_samples=1000), key=KEY).standard_errors
        )
    )  # half the data cannot meet it
    found = estimate_evidence(
        model.model, x, Importance(num_samples=50, target_error=target, max_samples=1000), key=KEY
    )
    met = found.standard_errors <= target
    assert 10 <= met.sum() < 20
    assert (found.samples[~met] == 1000).all()
    assert all(
        (f"still above {target:.3g} at 1000 samples" in reason) != bool(ok)
        for reason, ok in zip(found.reasons, met)
    )
    assert (np.abs(found.values - model.log_evidence(x)) < 5 * found.standard_errors).all()
    both = estimate_evidence(
        model.model,
        x,
        Importance(num_samples=50, target_error=0.05, until_trusted=True, max_samples=3000),
        key=KEY,
    )
    done = both.samples < 3000
    assert ((both.standard_errors <= 0.05) & both.trusted)[done].all()


@pytest.mark.usefixtures("x64")
def test_weights_that_are_all_equal_need_no_more_samples():
    exact = linear_gaussian.make(orthogonal=True)
    found = estimate_evidence(exact.model, exact.data(5, seed=0), ADAPTIVE(), key=KEY)
    assert (found.samples == 100).all()
    assert set(found.reasons) == {"equal weights at 100 samples"}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("chunk", [1, 30, 270, 100_000])
def test_an_estimate_depends_on_neither_chunk_nor_the_other_data(chunk, monkeypatch):
    model = linear_gaussian.make(stretch=0.6)
    x = model.data(11, seed=9)
    whole = estimate_evidence(model.model, x, ADAPTIVE(), key=KEY)
    monkeypatch.setattr(_adaptive, "LOG_WEIGHTS", 3000)  # three data in flight
    for part in (x, x[:5]):
        seen: list[int] = []
        found = estimate_evidence(
            model.model,
            part,
            ADAPTIVE(),
            key=KEY,
            chunk=chunk,
            on_progress=lambda _, done, total, seen=seen: seen.append(done),
        )
        np.testing.assert_array_equal(found.samples, whole.samples[: len(part)])
        assert np.abs(found.values - whole.values[: len(part)]).max() < 1e-10
        assert seen == sorted(seen)
        assert seen[-1] == len(part)


def test_nothing_is_compiled_again_for_a_later_round():
    traced = []

    class Watched(AbstractDecoder):
        weight: jax.Array

        def __call__(self, z):
            traced.append(1)
            return diagonal_normal(self.weight @ z, jnp.ones(5))

    made = linear_gaussian.make(stretch=0.3)
    model = eqx.tree_at(lambda m: m.decoder, made.model, Watched(jnp.asarray(made.w, jnp.float32)))
    x = made.data(7, seed=0).astype(np.float32)
    counts = []
    for samples in (100, 1600):  # no round after the first, and four
        traced.clear()
        found = estimate_evidence(
            model,
            x,
            Importance(num_samples=100, target_error=1e-9, max_samples=samples),
            key=KEY,
            chunk=250,
        )
        assert (found.samples == samples).all()
        counts.append(len(traced))
    assert counts[0] == counts[1]


def test_a_bad_weight_is_named_by_its_datum_and_sample():
    model = linear_gaussian.make()
    x = model.data(5, seed=7).astype(np.float32)
    x[3, 0] = np.nan
    with pytest.raises(ValueError, match="log-weight of datum 3, sample 0"):
        estimate_evidence(model.model, x, ADAPTIVE(), key=KEY)


def test_weights_that_one_draw_dominates_are_not_called_equal():
    met, texts = _adaptive.Target(trusted=True).verdicts(
        np.zeros(3), np.array([np.inf, -np.inf, 0.1]), 1000
    )
    assert met.tolist() == [False, True, True]
    assert texts.tolist() == [
        "k-hat inf still above 0.67 at 1000 samples",
        "equal weights at 1000 samples",
        "k-hat 0.10 at 1000 samples",
    ]
