"""What importance sampling can do besides: smoothing, a defensive proposal, the jackknife, and samples until a target is met; each against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from scipy.special import logsumexp

import discrete
import linear_gaussian
from jensen.evidence import estimate_evidence, evidence, pareto_k
from jensen.evidence._corrections import jackknifed, pareto_smoothed
from jensen.evidence.importance import Importance
from jensen.models.hvae import hvae
from jensen.models.markov import markov

KEY = jr.key(3)


def exponential_weights(repeats: int, samples: int, theta: float, seed: int) -> np.ndarray:
    """Log-weights of the proposal Exponential(theta) for Exponential(1): their mean is 1, k is 1 - 1 / theta (validation case 9)."""
    z = np.random.default_rng(seed).exponential(1 / theta, size=(repeats, samples))
    return -z - (np.log(theta) - theta * z)


# Pareto smoothing


def test_smoothing_keeps_the_scale_and_all_but_the_tail():
    log_w = exponential_weights(5, 2000, 2.5, 0)
    smoothed, k = pareto_smoothed(log_w)
    np.testing.assert_array_equal(k, pareto_k(log_w))
    tail = int(3 * 2000**0.5)
    order = np.argsort(log_w, axis=1)
    body = np.take_along_axis(smoothed - log_w, order[:, :-tail], axis=1)
    assert np.abs(body).max() < 1e-12
    assert (smoothed.max(axis=1) <= log_w.max(axis=1) + 1e-12).all()
    assert (
        np.diff(np.take_along_axis(smoothed, order, axis=1)) > -1e-12
    ).all()  # quantiles rise as the weights did
    moved, _ = pareto_smoothed(log_w - 800.0)
    np.testing.assert_allclose(moved, smoothed - 800.0, atol=1e-9)


def test_smoothed_weights_of_a_heavy_tail_have_a_better_mean():
    """k = .6: the raw mean has no finite variance; smoothed it is right to a few percent and scatters less."""
    log_w = exponential_weights(400, 1000, 2.5, 1)
    raw, smoothed = (
        logsumexp(w, axis=1) - np.log(1000) for w in (log_w, pareto_smoothed(log_w)[0])
    )
    assert np.sqrt(np.mean(smoothed**2)) < 0.95 * np.sqrt(np.mean(raw**2))
    assert abs(smoothed.mean()) < 0.05


def test_too_few_or_equal_weights_and_a_tail_among_zeros_stay_raw():
    few, equal = exponential_weights(2, 24, 2.5, 2), np.zeros((2, 100))
    zeros = np.where(np.arange(100) < 85, -np.inf, exponential_weights(2, 100, 2.5, 3))
    for log_w in (few, equal, zeros):
        np.testing.assert_array_equal(pareto_smoothed(log_w)[0], log_w)


@pytest.mark.usefixtures("x64")
def test_the_smoothed_estimate_and_its_error_are_those_of_the_smoothed_weights():
    from jensen.weights import log_weights

    model = linear_gaussian.make(stretch=0.7)
    x = model.data(6, seed=8)
    found = estimate_evidence(
        model.model, x, Importance(num_samples=1500, smooth=True), key=KEY, chunk=500
    )
    smoothed, k = pareto_smoothed(
        np.asarray(log_weights(model.model, x, key=KEY, num_samples=1500).tempered()).T
    )
    w = np.exp(smoothed)
    np.testing.assert_allclose(found.values, np.log(w.mean(axis=1)), atol=1e-9)
    np.testing.assert_allclose(
        found.standard_errors, w.std(axis=1, ddof=1) / np.sqrt(1500) / w.mean(axis=1), rtol=1e-7
    )
    np.testing.assert_allclose(found.pareto_k, k, atol=1e-6)
    assert (np.abs(found.values - model.log_evidence(x)) < 5 * found.standard_errors).all()
    assert any("smoothed" in note and "lower bound" in note for note in found.notes)


# The jackknife


def test_the_jackknife_is_what_leaving_each_out_gives():
    log_w = (
        np.random.default_rng(0).normal(size=(7, 13))
        * np.array([0, 0.1, 1, 3, 10, 40, 100])[:, None]
    )  # from equal weights to one that is everything
    value = logsumexp(log_w, axis=1) - np.log(13)
    without = np.stack(
        [logsumexp(np.delete(log_w, i, axis=1), axis=1) - np.log(12) for i in range(13)], axis=1
    )
    np.testing.assert_allclose(
        jackknifed(log_w, value), 13 * value - 12 * without.mean(axis=1), rtol=1e-10, atol=1e-10
    )
    np.testing.assert_allclose(
        jackknifed(log_w - 5000.0, value - 5000.0), jackknifed(log_w, value) - 5000.0, atol=1e-8
    )


def test_the_jackknife_of_one_weight_among_zeros_is_the_value_itself():
    log_w = np.array([[0.0, -np.inf, -np.inf]])
    assert jackknifed(log_w, np.array([-np.log(3)])) == pytest.approx(-np.log(3))


@pytest.mark.usefixtures("x64")
def test_the_bias_of_order_one_over_s_goes():
    """Many estimates of one datum at few samples: the mean of the raw ones is below log p(x) by many standard errors, that of the corrected ones is not."""
    model = linear_gaussian.make(stretch=1.3, shift=0.3)
    x = np.repeat(model.data(1, seed=1), 4000, axis=0)
    off = {}
    for correction in ("none", "jackknife"):
        found = estimate_evidence(
            model.model, x, Importance(num_samples=50, correction=correction), key=jr.key(0)
        )
        off[correction] = (found.values.mean() - model.log_evidence(x[:1])[0]) / (
            found.values.std(ddof=1) / np.sqrt(len(x))
        )
    assert off["none"] < -6
    assert abs(off["jackknife"]) < 5
    assert any("lower bound" in note for note in found.notes)


# The defensive proposal


@pytest.mark.usefixtures("x64")
def test_a_defended_narrow_posterior_is_right_where_it_alone_is_not():
    model = linear_gaussian.make(stretch=0.3)
    x = model.data(40, seed=1)
    alone, defended = (
        estimate_evidence(model.model, x, Importance(num_samples=4000, defensive=a), key=KEY)
        for a in (0.0, 0.2)
    )
    z = (defended.values - model.log_evidence(x)) / defended.standard_errors
    assert np.abs(z).max() < 5
    assert 0.5 < z.std() < 1.6
    assert defended.untrusted < 0.1 < 0.5 < alone.untrusted
    assert np.mean(alone.values - model.log_evidence(x)) < -5 * defended.standard_error


@pytest.mark.usefixtures("x64")
def test_the_mean_weight_of_the_defensive_proposal_is_unbiased():
    model = linear_gaussian.make(stretch=0.6, shift=0.3)
    x = np.repeat(model.data(1, seed=2), 3000, axis=0)
    found = estimate_evidence(model.model, x, Importance(num_samples=4, defensive=0.3), key=KEY)
    ratio = np.exp(found.values - model.log_evidence(x))
    assert abs(ratio.mean() - 1) < 5 * ratio.std(ddof=1) / np.sqrt(len(ratio))


def brute_evidence_of_two_levels(model, x: np.ndarray) -> np.ndarray:
    """log p(x) of codes (z1 [1], z2 [1]) on a grid that holds all of the prior."""
    axes = jnp.linspace(-40, 40, 400), jnp.linspace(-9, 9, 100)
    cell = sum(np.log(axis[1] - axis[0]) for axis in axes)
    z1, z2 = (a.reshape(-1, 1) for a in jnp.meshgrid(*axes))
    prior = model.prior(model.encoder)
    log_prior = jax.jit(jax.vmap(lambda a, b: prior.log_prob((a, b))))(z1, z2)
    assert abs(logsumexp(log_prior) + cell) < 1e-6
    log_likelihood = jax.jit(
        jax.vmap(lambda x: jax.vmap(lambda a, b: model.decoder((a, b)).log_prob(x))(z1, z2))
    )(jnp.asarray(x))
    return np.asarray(logsumexp(np.asarray(log_prior + log_likelihood), axis=1) + cell)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("build", [hvae, markov])
def test_codes_of_two_levels_can_be_defended(build):
    model = discrete.moved(
        build(
            (3,),
            latent_dim=(1, 1),
            network={"name": "dense", "hidden": (4,), "activation": "tanh"},
            key=jr.key(0),
        ),
        by=0.25,
    )
    x = np.random.default_rng(0).integers(0, 2, (4, 3)).astype(float)
    found = estimate_evidence(model, x, Importance(num_samples=4000, defensive=0.4), key=KEY)
    assert (found.standard_errors > 1e-5).all()
    assert (
        np.abs(found.values - brute_evidence_of_two_levels(model, x)) < 5 * found.standard_errors
    ).all()


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", discrete.DISCRETE)
def test_discrete_codes_can_be_defended_and_no_weight_exceeds_its_bound(name):
    model, share = discrete.small_vae(name, variables=3), 0.25
    x = np.random.default_rng(1).integers(0, 2, (5, 3)).astype(float)
    exact = discrete.table(model, name, 3, x)
    estimator = Importance(num_samples=4000, defensive=share)
    found = estimate_evidence(model, x, estimator, key=KEY)
    assert (np.abs(found.values - exact.log_evidence) < 5 * found.standard_errors).all()
    prior = model.prior(model.encoder)
    log_prior = np.asarray(jax.vmap(prior.log_prob)(jnp.asarray(discrete.all_codes(name, 3))))
    log_w = estimator.log_weights(model, prior, jnp.asarray(x[0]), KEY, block=4000)
    possible = exact.log_joint[0] - np.logaddexp(
        np.log(1 - share) + exact.log_posterior[0], np.log(share) + log_prior
    )
    assert (
        np.abs(np.asarray(log_w)[:, None] - possible).min(axis=1).max() < 1e-10
    )  # each weight is that of a code under the mixture
    assert np.max(log_w) <= np.max(exact.log_joint[0] - log_prior) - np.log(share)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"defensive": 1.0}, r"defensive .*\[0, 1\); got 1.0"),
        ({"defensive": -0.1}, r"defensive .*\[0, 1\); got -0.1"),
        ({"target_error": 0.0}, "target_error .*positive.*got 0.0"),
        ({"target_error": -1.0}, "target_error .*positive.*got -1.0"),
        (
            {"until_trusted": True, "num_samples": 500, "max_samples": 400},
            "max_samples must be at least num_samples, 500.*got 400",
        ),
        (
            {"target_error": 0.1, "num_samples": 500, "max_samples": 499},
            "max_samples must be at least num_samples, 500.*got 499",
        ),
        ({"max_samples": 400}, "max_samples .400. bounds the doubling.*set until_trusted"),
        (
            {"smooth": True, "correction": "jackknife"},
            "smooth and correction=jackknife.*choose one",
        ),
        (
            {"until_trusted": True, "num_samples": 24},
            "until_trusted wants at least 25 samples.*got num_samples 24",
        ),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Importance(**options)


def test_another_correction_is_refused_by_name():
    with pytest.raises(
        ValueError, match="correction must be one of none, jackknife; got 'jacknife'"
    ):
        evidence.build("importance", {"correction": "jacknife"}, {})


@pytest.mark.usefixtures("x64")
def test_a_refined_proposal_agrees_with_the_closed_form_and_spreads_its_weights_less():
    world = linear_gaussian.make(dimension=6, latent=3, stretch=0.6, shift=0.4)
    x = world.data(12, seed=3)
    found = {
        name: estimate_evidence(
            world.model, x, Importance(num_samples=400, **options), key=jax.random.key(4)
        )
        for name, options in {
            "encoder": {},
            "diagonal": {"proposal": "refined"},
            "full": {"proposal": "refined", "family": "full"},
        }.items()
    }
    for name in ("diagonal", "full"):
        z = (found[name].values - world.log_evidence(x)) / found[name].standard_errors
        assert np.abs(z).max() < 5, name
    # relative variance of the weights: S / ess - 1; that of a full normal on a normal posterior is 0
    spread = {name: np.mean(400 / e.effective_samples - 1) for name, e in found.items()}
    assert spread["full"] < 0.1 * spread["diagonal"] < 0.1 * spread["encoder"]
    assert "diagonal family" in found["diagonal"].notes[0]
    alone = estimate_evidence(
        world.model,
        x[:2],
        Importance(num_samples=400, proposal="refined"),
        key=jax.random.key(4),
        chunk=100,
    )
    assert np.abs(alone.values - found["diagonal"].values[:2]).max() < 1e-6


def test_a_family_without_a_refined_proposal_is_refused():
    with pytest.raises(
        ValueError, match="family 'full' is that of a refined proposal; set proposal=refined too"
    ):
        Importance(family="full")
