"""Evidence against closed forms, and its independence of everything that should not matter: chunks, sample counts, order."""

import jax
import numpy as np
import pytest

import linear_gaussian
from jensen.evidence import estimate_evidence, pareto_k, pareto_k_threshold
from jensen.evidence.importance import Importance
from jensen.evidence.monte_carlo import MonteCarlo

KEY = jax.random.key(3)


@pytest.mark.usefixtures("x64")
def test_the_exact_posterior_gives_log_p_of_x_without_variance():
    exact = linear_gaussian.make(orthogonal=True)
    x = exact.data(7, seed=0)
    found = estimate_evidence(exact.model, x, Importance(num_samples=50), key=KEY)
    assert np.abs(found.values - exact.log_evidence(x)).max() < 1e-10
    assert found.standard_errors.max() < 1e-10
    assert np.allclose(found.effective_samples, 50, atol=1e-8)
    assert found.untrusted == 0  # weights without spread have no tail to distrust


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("estimator", [Importance, MonteCarlo])
def test_estimates_agree_with_the_closed_form_within_their_standard_errors(estimator):
    model = linear_gaussian.make(stretch=1.2)
    x = model.data(40, seed=1)
    found = estimate_evidence(model.model, x, estimator(num_samples=4000), key=KEY)
    z = (found.values - model.log_evidence(x)) / found.standard_errors
    assert np.abs(z).max() < 5
    assert abs(found.value - model.log_evidence(x).mean()) < 5 * found.standard_error
    assert (
        0.5 < z.std() < 1.6
    )  # the standard errors are neither timid nor boastful: sd of 40 standard normals +- 5 of its standard errors


@pytest.mark.usefixtures("x64")
def test_importance_sampling_beats_plain_monte_carlo():
    model = linear_gaussian.make(s2=0.005, orthogonal=True, stretch=1.1)
    x = model.data(10, seed=2)
    errors = {
        e: estimate_evidence(model.model, x, e(num_samples=2000), key=KEY).standard_errors
        for e in (Importance, MonteCarlo)
    }
    assert (errors[Importance] < 0.2 * errors[MonteCarlo]).all()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("chunk", [1, 7, 64, 100_000])
def test_the_result_does_not_depend_on_the_chunk(chunk):
    model = linear_gaussian.make()
    x = model.data(13, seed=3)
    whole = estimate_evidence(model.model, x, Importance(num_samples=150), key=KEY)
    found = estimate_evidence(model.model, x, Importance(num_samples=150), key=KEY, chunk=chunk)
    assert np.abs(found.values - whole.values).max() < 1e-12
    assert np.abs(found.standard_errors - whole.standard_errors).max() < 1e-12


@pytest.mark.usefixtures("x64")
def test_exactly_so_many_samples_are_used():
    """With S samples of one datum, value and effective sample size are those of the first S log-weights: no rounding to a chunk, no other log S."""
    from jensen.weights import log_weights

    model = linear_gaussian.make(stretch=1.3)
    x = model.data(1, seed=4)
    every = np.asarray(log_weights(model.model, x, key=KEY, num_samples=257).tempered())[:, 0]
    for samples in (2, 100, 101, 257):
        found = estimate_evidence(
            model.model, x, Importance(num_samples=samples), key=KEY, chunk=64
        )
        w = np.exp(every[:samples])
        assert found.values[0] == pytest.approx(np.log(w.mean()), abs=1e-12)
        assert found.effective_samples[0] == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-10)
        assert found.standard_errors[0] == pytest.approx(
            w.std(ddof=1) / np.sqrt(samples) / w.mean(), rel=1e-10
        )


@pytest.mark.usefixtures("x64")
def test_values_follow_the_datum_not_its_place_among_others():
    model = linear_gaussian.make()
    x = model.data(9, seed=5)
    whole = estimate_evidence(model.model, x, Importance(num_samples=60), key=KEY)
    first = estimate_evidence(model.model, x[:4], Importance(num_samples=60), key=KEY)
    assert (
        np.abs(whole.values[:4] - first.values).max() < 1e-12
    )  # rounding: another shape is another program


def test_pareto_k_of_an_exponential_proposal():
    """validation.md case 9: proposal Exponential(theta), target Exponential(1): k = 1 - 1/theta, to .12 at 1e5 draws."""
    rng = np.random.default_rng(0)
    for theta in (1.5, 2.5, 4.0):
        z = rng.exponential(1 / theta, size=100_000)
        log_w = -z - (np.log(theta) - theta * z)
        assert abs(pareto_k(log_w[None])[0] - (1 - 1 / theta)) < 0.12


def test_the_threshold_of_k_hat():
    assert pareto_k_threshold(5000) == 0.7
    assert pareto_k_threshold(100) == pytest.approx(0.5)


def test_a_light_tailed_proposal_is_not_trusted():
    model = linear_gaussian.make(stretch=0.2)
    found = estimate_evidence(
        model.model,
        model.data(20, seed=6).astype(np.float32),
        Importance(num_samples=1000),
        key=KEY,
    )
    # For a normal q of sd ratio r the true k is 1 - r^2 = .96; a thousand draws see less of the tail, but most data must be marked.
    assert found.untrusted > 0.5


def test_refusals():
    model = linear_gaussian.make()
    x = model.data(2, seed=7).astype(np.float32)
    with pytest.raises(ValueError, match=r"num_samples must be at least 2.*got 1"):
        estimate_evidence(model.model, x, Importance(num_samples=1), key=KEY)
    with pytest.raises(ValueError, match="no data"):
        estimate_evidence(model.model, x[:0], Importance(num_samples=10), key=KEY)
    x[1, 0] = np.nan
    with pytest.raises(ValueError, match="log-weight of datum 1"):
        estimate_evidence(model.model, x, Importance(num_samples=10), key=KEY)


def test_weights_of_a_few_values_are_bounded_and_not_taken_for_a_heavy_tail():
    values = np.sort(np.random.default_rng(0).normal(size=8))
    rng = np.random.default_rng(1)
    for probability in (
        [0.5, 0.2, 0.1, 0.1, 0.05, 0.03, 0.01, 0.01],
        [0.9, 0.05, 0.02, 0.01, 0.01, 0.005, 0.003, 0.002],
    ):
        assert (
            pareto_k(rng.choice(values, (5, 2000), p=probability)) < pareto_k_threshold(2000)
        ).all()


@pytest.mark.parametrize("spread", [20, 500, 5000])
def test_weights_that_one_draw_dominates_are_never_trusted(spread):
    """Beyond 700 nats all other weights underflow to equal zeros, which a fit to their exponentials takes for the lightest of tails."""
    log_w = np.random.default_rng(0).normal(size=(3, 1000)) * spread
    assert (pareto_k(log_w) > 5).all()
