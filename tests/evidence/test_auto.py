"""Auto: which data are sent to annealing, what comes back where, and that it is said. The annealing is a stand-in with the same interface."""

import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

import discrete
import linear_gaussian
from jensen.evidence import Evidence, estimate_evidence
from jensen.evidence.auto import Auto
from jensen.evidence.importance import Importance

KEY = jr.key(4)
MODEL = linear_gaussian.make(stretch=0.6)
OPTIONS = {"num_samples": 100, "max_samples": 800, "check_data": 0}


@pytest.fixture
def annealed(monkeypatch):
    """A stand-in whose value of a datum is its log p(x) and a draw of its own number's key; the calls made of it."""
    calls = []

    class Annealed:
        start = "encoder"

        def __init__(self, *, num_temperatures: int, num_samples: int, check_data: int):
            assert check_data == 0  # auto compares all its data by itself
            self.options = (num_temperatures, num_samples)

        def estimate(self, model, data, key, *, chunk, on_progress, store, index=None):
            calls.append(
                {
                    "options": self.options,
                    "data": data,
                    "index": index,
                    "chunk": chunk,
                    "store": store,
                }
            )
            on_progress(len(data), len(data))
            draws = np.array([float(jr.normal(jr.fold_in(key, int(n)))) for n in index])
            n, nothing = len(data), np.full(len(data), np.nan)
            reasons = np.array(["" if i % 2 else "acceptance 0.66" for i in index])
            trusted = np.asarray(index) != index[0]
            values = MODEL.log_evidence(data) + 1e-3 * draws
            extra = {
                "samples": np.full(n, 7),
                "reasons": reasons,
                "trusted": trusted,
                "notes": ("Annealed by a stand-in.",),
            }
            return Evidence(
                values,
                np.full(n, 1e-3),
                nothing,
                nothing,
                num_samples=7,
                estimator="Annealed",
                **extra,
            )

    module = types.ModuleType("jensen.evidence.annealed")
    module.Annealed = Annealed
    module.CHECK = 0
    monkeypatch.setitem(sys.modules, "jensen.evidence.annealed", module)
    return calls


@pytest.mark.usefixtures("x64")
def test_exactly_the_data_without_trust_are_annealed_and_spliced_back_in_order(annealed, tmp_path):
    x = MODEL.data(14, seed=9)
    seen = []
    estimator = Auto(**OPTIONS, num_temperatures=55, num_chains=7)
    found = estimate_evidence(
        MODEL.model,
        x,
        estimator,
        key=KEY,
        chunk=300,
        store=tmp_path / "kept",
        on_progress=lambda *a: seen.append(a),
    )
    first = estimate_evidence(
        MODEL.model,
        x,
        Importance(num_samples=100, max_samples=800, until_trusted=True),
        key=jr.split(KEY)[0],
    )
    sent = np.flatnonzero(~first.trusted)
    assert 0 < len(sent) < 14
    assert len(annealed) == 1
    np.testing.assert_array_equal(annealed[0]["index"], sent)
    np.testing.assert_array_equal(annealed[0]["data"], x[sent])
    assert (annealed[0]["options"], annealed[0]["chunk"], annealed[0]["store"]) == (
        (55, 7),
        300,
        tmp_path / "kept",
    )
    kept = np.setdiff1d(np.arange(14), sent)
    for name in ("values", "standard_errors", "effective_samples", "pareto_k"):
        np.testing.assert_allclose(
            getattr(found, name)[kept], getattr(first, name)[kept], rtol=1e-9, atol=1e-9
        )
    assert np.abs(found.values[sent] - MODEL.log_evidence(x)[sent]).max() < 5e-3
    np.testing.assert_array_equal(found.samples[kept], first.samples[kept])
    assert (found.samples[sent] == 7).all()
    np.testing.assert_array_equal(
        found.trusted, np.arange(14) != sent[0]
    )  # the method that made an estimate says whether it is to be trusted
    assert set(found.methods[sent]) == {"annealed"}
    assert set(found.methods[kept]) == {"importance"}
    for n in range(14):
        own = "; acceptance 0.66" if n in sent and n % 2 == 0 else ""
        assert found.reasons[n] == first.reasons[n] + own
    assert all("still above 0.66 at 800 samples" in found.reasons[n] for n in sent)
    assert found.estimator == "Auto"
    assert (
        len(found.notes) == 2
    )  # that of importance sampling that stops by itself, and the stand-in's
    assert seen[-1] == ("evidence", 14, 14)


@pytest.mark.usefixtures("x64")
def test_an_annealed_estimate_does_not_depend_on_which_others_are(annealed):
    x = MODEL.data(14, seed=9)
    whole = estimate_evidence(MODEL.model, x, Auto(**OPTIONS), key=KEY)
    lenient = estimate_evidence(
        MODEL.model, x, Auto(num_samples=100, max_samples=100, check_data=0), key=KEY
    )  # fewer samples: other data are sent
    assert set(annealed[0]["index"]) != set(annealed[1]["index"])
    both = (whole.methods == "annealed") & (lenient.methods == "annealed")
    assert both.any()
    np.testing.assert_array_equal(whole.values[both], lenient.values[both])


@pytest.mark.usefixtures("x64")
def test_nothing_is_annealed_where_all_are_trusted(annealed):
    exact = linear_gaussian.make(orthogonal=True)
    x = exact.data(5, seed=0)
    found = estimate_evidence(exact.model, x, Auto(check_data=0), key=KEY)
    assert not annealed
    assert np.abs(found.values - exact.log_evidence(x)).max() < 1e-10
    assert set(found.methods) == {"importance"}
    assert (found.samples == 1000).all()


def test_discrete_codes_keep_importance_sampling_and_the_note_says_why(annealed):
    """Bits that the encoder all but rules out and the likelihood wants: heavy weights, which no annealing of bits can help."""
    with jax.enable_x64(True):
        model, x = (
            discrete.small_vae("bernoulli", variables=8, pixels=8, by=2.0),
            np.random.default_rng(0).integers(0, 2, (12, 8)).astype(float),
        )
        found = estimate_evidence(model, x, Auto(num_samples=50, max_samples=100), key=KEY)
        assert not annealed
        assert set(found.methods) == {"importance"}
        assert not found.trusted.all()
        assert any("Discrete codes" in note for note in found.notes)
        assert all("still above" in found.reasons[n] for n in np.flatnonzero(~found.trusted))
        assert np.isfinite(jnp.asarray(found.values)).all()


def test_options_are_those_of_importance_sampling():
    with pytest.raises(
        ValueError, match=r"until_trusted wants at least 25 samples.*got num_samples 20"
    ):
        Auto(num_samples=20)
    with pytest.raises(
        ValueError, match=r"max_samples must be at least num_samples, 5000.*got 400"
    ):
        Auto(num_samples=5000, max_samples=400)


@pytest.mark.usefixtures("x64")
def test_with_the_real_annealing_the_untrusted_data_come_to_the_closed_form():
    from jensen.evidence.annealed import Annealed

    x = MODEL.data(14, seed=9)
    found = estimate_evidence(
        MODEL.model, x, Auto(**OPTIONS, num_temperatures=60, num_chains=16), key=KEY
    )
    sent = np.flatnonzero(found.methods == "annealed")
    assert 0 < len(sent) < 14
    alone = Annealed(num_temperatures=60).estimate(
        MODEL.model, x[sent[-1:]], jr.split(KEY)[1], index=sent[-1:]
    )
    assert abs(found.values[sent[-1]] - alone.values[0]) < 1e-5
    z = (found.values - MODEL.log_evidence(x))[sent] / found.standard_errors[sent]
    assert np.abs(z).max() < 5
    assert found.trusted.all()
    assert len(found.curves["acceptance"]) == 60
