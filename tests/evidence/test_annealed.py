"""Annealed importance sampling against closed forms, its independence of everything that should not matter, its resumption, and its faults."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jensen
import linear_gaussian
from jensen.decoders import AbstractDecoder
from jensen.evidence import _chains, _lots, _schedules, estimate_evidence
from jensen.evidence._chains import Chains, Steps, chain_keys, tuned
from jensen.evidence.annealed import Annealed
from jensen.evidence.importance import Importance

KEY = jr.key(11)
OFF = linear_gaussian.make(dimension=6, latent=3, stretch=0.8, shift=0.3)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "options",
    [{}, {"start": "prior"}, {"schedule": "linear"}, {"schedule": "adaptive", "target_ess": 0.995}],
    ids=str,
)
def test_estimates_agree_with_the_closed_form_within_their_standard_errors(options):
    x = OFF.data(40, seed=1)
    found = estimate_evidence(
        OFF.model, x, Annealed(num_samples=64, num_temperatures=60, **options), key=KEY
    )
    z = (found.values - OFF.log_evidence(x)) / found.standard_errors
    assert np.abs(z).max() < 5
    # log of a mean of weights is low by half its relative variance; what is left has to be chance.
    bias = -0.5 * np.mean(found.standard_errors**2)
    assert abs(found.value - OFF.log_evidence(x).mean() - bias) < 5 * found.standard_error
    assert 0.6 < z.std() < 1.6
    assert found.standard_error < 0.5 * np.mean(OFF.gap(x))
    assert found.trusted.all()
    assert np.isnan(found.pareto_k).all()


@pytest.mark.usefixtures("x64")
def test_from_the_exact_posterior_every_weight_is_p_of_x():
    exact = linear_gaussian.make(orthogonal=True)
    x = exact.data(5, seed=0)
    found = estimate_evidence(exact.model, x, Annealed(num_samples=4, num_temperatures=7), key=KEY)
    assert np.abs(found.values - exact.log_evidence(x)).max() < 1e-10
    assert found.standard_errors.max() < 1e-10


@pytest.mark.usefixtures("x64")
def test_moves_leave_the_posterior_as_it_is():
    n, chains = 6, Chains(1, 5, 0.65, "encoder")
    x = OFF.data(n, seed=4)
    mean, covariance = OFF.posterior(x)
    z = (
        mean[:, None]
        + np.random.default_rng(0).normal(size=(n, 400, 3)) @ np.linalg.cholesky(covariance).T
    )
    # The chains of bidirectional annealing: each sets out from one draw of its posterior.
    steps = Steps(jnp.full((n * 400, 1), 0.0), jnp.ones(1))
    keys = chain_keys(chains, jnp.arange(n * 400), KEY)
    prior = OFF.model.prior(OFF.model.encoder)
    moved = np.asarray(
        _lots._spread(
            chains,
            OFF.model,
            prior,
            jnp.asarray(np.repeat(x, 400, axis=0)),
            keys,
            z.reshape(-1, 3),
            steps,
        )
    ).reshape(n, 400, 3)
    white = (moved - mean[:, None]) @ np.linalg.inv(np.linalg.cholesky(covariance)).T
    flat = white.reshape(-1, 3)
    assert np.abs(flat.mean(axis=0)).max() < 5 / np.sqrt(len(flat))
    assert np.abs(np.cov(flat.T) - np.eye(3)).max() < 5 * np.sqrt(2 / len(flat))
    assert np.abs(moved - z).mean() > 0.1  # they did move


@pytest.mark.usefixtures("x64")
def test_step_sizes_are_tuned_to_the_acceptance_that_was_asked_for():
    x = OFF.data(30, seed=2)
    for target in (0.5, 0.8):
        found = estimate_evidence(
            OFF.model,
            x,
            Annealed(num_samples=32, num_temperatures=60, target_acceptance=target),
            key=KEY,
        )
        assert abs(found.curves["acceptance"].mean() - target) < 0.05


@pytest.mark.usefixtures("x64")
def test_step_sizes_make_up_for_an_encoder_of_another_scale():
    wrong = dataclasses.replace(OFF, stretch=0.02, shift=0.0)
    x, chains = jnp.asarray(wrong.data(4, seed=2)), Chains(8, 10, 0.65, "encoder")
    prior = wrong.model.prior(wrong.model.encoder)
    log_steps = tuned(
        chains,
        wrong.model,
        prior,
        x,
        chain_keys(chains, jnp.arange(4), KEY),
        np.linspace(0.05, 1, 20),
        10,
    )
    assert (np.asarray(log_steps)[:, -1] > np.log(4)).all()  # 50 times narrower than the posterior


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("chunk", [1, 24])
def test_the_result_does_not_depend_on_the_chunk(chunk):
    x = OFF.data(7, seed=3)
    estimator = Annealed(num_samples=8, num_temperatures=30)
    whole, found = (
        estimate_evidence(OFF.model, x, estimator, key=KEY, chunk=c) for c in (None, chunk)
    )
    # 1e-16 grows along 300 leapfrog steps of a chain, to about 1e-6 here.
    assert np.allclose(found.values, whole.values, atol=1e-5)
    assert np.allclose(found.curves["acceptance"], whole.curves["acceptance"], atol=1e-3)


@pytest.mark.usefixtures("x64")
def test_the_result_of_a_datum_depends_on_neither_the_others_nor_the_parts(monkeypatch):
    x = OFF.data(6, seed=3)
    estimator = Annealed(num_samples=8, num_temperatures=30)
    whole = estimate_evidence(OFF.model, x, estimator, key=KEY)
    some = estimator.estimate(OFF.model, x[[4, 1]], KEY, index=np.array([4, 1]))
    assert np.abs(some.values - whole.values[[4, 1]]).max() < 1e-5
    monkeypatch.setattr(_chains, "PART", 7)
    jax.clear_caches()
    assert (
        np.abs(estimate_evidence(OFF.model, x, estimator, key=KEY).values - whole.values).max()
        < 1e-5
    )


def test_a_run_that_was_stopped_goes_on_to_the_same_figures(tmp_path, monkeypatch):
    monkeypatch.setattr(_lots, "KEEP_SECONDS", 0.0)
    x, estimator = (
        OFF.data(5, seed=3).astype(np.float32),
        Annealed(num_samples=4, num_temperatures=60),
    )
    whole = estimate_evidence(
        OFF.model, x, estimator, key=KEY, chunk=8
    )  # lots of two data, parts of 25 temperatures
    store, seen = tmp_path / "kept.npz", []

    def stop(what, done, total):
        seen.append(done)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estimate_evidence(OFF.model, x, estimator, key=KEY, chunk=8, on_progress=stop, store=store)
    rest = []
    found = estimate_evidence(
        OFF.model,
        x,
        estimator,
        key=KEY,
        chunk=8,
        on_progress=lambda _, d, t: rest.append(d),
        store=store,
    )
    assert rest[0] == seen[-1]  # the part that was on its way is made again, nothing before it
    for column in ("values", "standard_errors", "trusted"):
        assert (getattr(found, column) == getattr(whole, column)).all()
    assert np.allclose(found.curves["ess"], whole.curves["ess"])
    again = []
    assert (
        estimate_evidence(
            OFF.model,
            x,
            estimator,
            key=KEY,
            chunk=8,
            on_progress=lambda _, d, t: again.append(d),
            store=store,
        ).values
        == whole.values
    ).all()
    assert again == []
    other = estimate_evidence(
        OFF.model, x, estimator, key=jr.key(12), chunk=8, store=store
    )  # another key: nothing of it is used
    assert (other.values != whole.values).any()


@pytest.mark.parametrize(
    ("model", "prior"),
    [("vae", "mixture"), ("hvae", "vamp"), pytest.param("hvae", "flow", marks=pytest.mark.slow)],
)
def test_any_prior_and_two_levels_agree_with_importance_sampling(prior, model):
    rng = np.random.default_rng(0)
    x = (rng.random((6, 4, 4)) < 0.4).astype(np.uint8)
    size = {"num_layers": 1, "hidden": 8} if prior == "flow" else {"num_components": 5}
    built = getattr(jensen, model)(
        (4, 4),
        latent_dim=2,
        prior={"name": prior, **size},
        network={"name": "dense", "hidden": [8]},
        data=x,
        key=jr.key(1),
    )
    # Codes that matter: untrained decoders hardly read them.
    built = eqx.tree_at(
        lambda m: m.decoder,
        built,
        jax.tree.map(
            lambda a: 3 * a if eqx.is_inexact_array(a) and a.ndim == 2 else a, built.decoder
        ),
    )
    annealed = estimate_evidence(built, x, Annealed(num_samples=32, num_temperatures=40), key=KEY)
    importance = estimate_evidence(built, x, Importance(num_samples=20_000), key=KEY)
    z = (annealed.values - importance.values) / np.hypot(
        annealed.standard_errors, importance.standard_errors
    )
    assert np.abs(z).max() < 5


class Faulty(AbstractDecoder):
    """A linear decoder; data whose first number is 9 have a density that is not finite, those where it is 8 one without a finite gradient."""

    inner: AbstractDecoder

    def __call__(self, z):
        return FaultyLikelihood(self.inner(z), z)


class FaultyLikelihood(eqx.Module):
    inner: object
    z: jax.Array

    def log_prob(self, x):
        fine = self.inner.log_prob(x)
        no_gradient = jnp.sum(jnp.sqrt(jnp.where(x[0] == 8, 0 * self.z, 1.0))) - jnp.where(
            x[0] == 8, 0, len(self.z)
        )
        return jnp.where((x[0] == 9) & (self.z[0] > -1e9), jnp.nan, fine) + no_gradient


@pytest.mark.usefixtures("x64")
def test_a_density_that_is_not_finite_costs_its_datum_only():
    x = OFF.data(5, seed=3)
    model = dataclasses.replace(OFF.model, decoder=Faulty(OFF.model.decoder))
    estimator = Annealed(num_samples=4, num_temperatures=20)
    whole = estimate_evidence(model, x, estimator, key=KEY)
    wrong = x.copy()
    wrong[2, 0] = 9
    found = estimate_evidence(model, wrong, estimator, key=KEY)
    rest = [0, 1, 3, 4]
    assert np.isnan(found.values[2])
    assert np.abs(found.values[rest] - whole.values[rest]).max() < 1e-5
    assert found.value == pytest.approx(whole.values[rest].mean())
    assert not found.trusted[2]
    assert "datum 2, at temperature 1, beta = " in found.notes[0]
    assert "1 of 5 data have no estimate" in found.notes[0]
    # Of a subset, by its number in the whole.
    some = estimator.estimate(model, wrong[[1, 2]], KEY, index=np.array([1, 2]))
    assert "datum 2, at temperature 1" in some.notes[0]


@pytest.mark.usefixtures("x64")
def test_chains_that_do_not_move_are_named():
    x = OFF.data(5, seed=3)
    x[3, 0] = 8
    model = dataclasses.replace(OFF.model, decoder=Faulty(OFF.model.decoder))
    found = estimate_evidence(model, x, Annealed(num_samples=4, num_temperatures=20), key=KEY)
    assert "acceptance collapsed for 1 data (the first: datum 3, 0.0%)" in found.notes[0]
    assert not found.trusted[3]


@pytest.mark.usefixtures("x64")
def test_chains_that_creep_are_named():
    narrow = dataclasses.replace(OFF, stretch=1e-4, shift=0.0)
    found = estimate_evidence(
        narrow.model,
        narrow.data(3, seed=3),
        Annealed(num_samples=4, num_temperatures=20, start="prior"),
        key=KEY,
    )
    assert "acceptance sticks near 1 for 3 data" in found.notes[0]
    assert not found.trusted.any()


def test_discrete_codes_are_refused_with_the_reason():
    model = jensen.vae((4, 4), latent_dim=3, encoder="bernoulli", prior="bernoulli", key=jr.key(0))
    with pytest.raises(
        ValueError,
        match=r"follows gradients .* codes of this model are binary.*--estimator importance",
    ):
        estimate_evidence(model, np.zeros((2, 4, 4), np.uint8), Annealed(), key=KEY)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_temperatures": 0}, "num_temperatures must be at least 1; got 0. Try 500"),
        ({"num_leapfrog": 0}, "num_leapfrog must be at least 1; got 0. Try 10"),
        ({"target_ess": 1.0}, "target_ess is a share between 0 and 1; got 1.0. Try 0.995"),
        ({"target_acceptance": -0.5}, "target_acceptance is a share"),
        ({"num_samples": 1}, "num_samples must be at least 2"),
    ],
)
def test_bad_options_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        estimate_evidence(
            OFF.model, OFF.data(2, seed=0).astype(np.float32), Annealed(**options), key=KEY
        )


def test_schedules_go_from_0_to_1():
    assert np.allclose(_schedules.linear(4), [0, 0.25, 0.5, 0.75, 1])
    sigmoid = _schedules.sigmoid(8)
    assert (sigmoid[0], sigmoid[-1]) == (0, 1)
    assert np.allclose(sigmoid + sigmoid[::-1], 1)
    ends, middle = np.diff(sigmoid)[0], np.diff(sigmoid)[4]
    # sigma'(4) / sigma'(0) over steps of 1: (s(-3) - s(-4)) / (s(1) - s(0))
    assert ends / middle == pytest.approx(
        (1 / (1 + np.exp(3)) - 1 / (1 + np.exp(4))) / (1 / (1 + np.exp(-1)) - 0.5)
    )


@pytest.mark.usefixtures("x64")
def test_an_adaptive_schedule_keeps_the_effective_samples_of_each_step():
    """From the prior to a posterior with variance v per dimension the steps can be had in closed form: here by what they leave of the ESS, measured anew."""
    x, model = OFF.data(24, seed=5), OFF.model
    chains, prior = Chains(16, 10, 0.65, "prior"), model.prior(model.encoder)
    betas, asked = _schedules.adaptive(chains, model, prior, x, KEY, target_ess=0.9, most=1000)
    assert asked == len(betas) - 1
    assert (np.diff(betas) > 0).all()
    mean, covariance = OFF.posterior(x)
    left = []
    for low, high in itertools.pairwise(betas):
        precision = np.eye(3) + low * (np.linalg.inv(covariance) - np.eye(3))
        z = np.linalg.solve(precision, low * np.linalg.inv(covariance) @ mean.T).T[:, None]
        z = z + np.random.default_rng(1).normal(size=(24, 2000, 3)) @ np.linalg.inv(
            np.linalg.cholesky(precision)
        )
        log_ratio = -0.5 * np.sum((x[:, None] - OFF.b - z @ OFF.w.T) ** 2, axis=2) / OFF.s2
        w = np.exp((high - low) * (log_ratio - log_ratio.max(axis=1, keepdims=True)))
        left.append(np.mean(w.mean(axis=1) ** 2 / np.mean(w**2, axis=1)))
    assert abs(np.mean(left[:-1]) - 0.9) < 0.03
    assert min(left) > 0.8
    thinned, _ = _schedules.adaptive(chains, model, prior, x, KEY, target_ess=0.9, most=5)
    assert len(thinned) == 6
    assert np.isin(thinned[[0, -1]], [0, 1]).all()


def test_what_was_kept_is_found_by_another_process():
    """Static parts of a model may hold functions, whose repr has their address."""

    class Held(eqx.Module):
        function: object = eqx.field(static=True)

    def make():
        def activation(x):
            return x

        return Held(activation)

    one, other = make(), make()
    assert repr(one.function) != repr(other.function)
    assert _lots.fingerprint(one, KEY) == _lots.fingerprint(other, KEY)
    assert _lots.fingerprint(one, KEY) != _lots.fingerprint(one, jr.key(12))
    assert _lots.fingerprint(one, np.zeros(2)) != _lots.fingerprint(one, np.ones(2))
