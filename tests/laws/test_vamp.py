"""The VampPrior: a mixture of the encoder's posteriors at pseudo-inputs in the data's range, encoded once per step."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random as jr
from scipy.special import logsumexp
from scipy.stats import laplace, norm

import jensen
from jensen._types import Array, Distribution
from jensen.bounds import bounds
from jensen.encoders import AbstractEncoder
from jensen.gradients import gradients
from jensen.likelihoods import AbstractLikelihood, likelihoods, summarise
from jensen.model import Model
from jensen.priors import priors
from jensen.training.options import TrainingOptions
from jensen.training.program import Objective, batch_loss, batch_of
from linear_gaussian import LinearDecoder, LinearEncoder

RNG = np.random.default_rng(0)
BINARY = RNG.integers(0, 2, (30, 4)).astype(np.uint8)
REAL = (5 + np.array([1.0, 10.0, 0.1, 3.0]) * RNG.normal(size=(30, 4))).astype(np.float32)
ENCODER = LinearEncoder(
    jnp.asarray(RNG.normal(size=(2, 4))), jnp.zeros(2), jnp.log(jnp.array([0.4, 0.7]))
)


def vamp(likelihood, rows, **options):
    data = summarise(rows)
    head = likelihoods.build(likelihood, {}, {"event_shape": (4,), "data": data})
    return priors.build(
        "vamp",
        {"num_components": 6} | options,
        {"event_shape": (4,), "data": data, "likelihood": head, "key": jr.key(1)},
    )


def test_density_is_the_equal_mixture_of_the_posteriors_at_the_pseudo_inputs():
    prior = vamp("bernoulli", BINARY, initialise="data")
    z = 3 * RNG.normal(size=(20, 2))
    loc = np.asarray(prior.pseudo_inputs) @ np.asarray(ENCODER.weight).T
    truth = logsumexp(norm.logpdf(z[:, None], loc, [0.4, 0.7]).sum(-1) - np.log(6), axis=1)
    np.testing.assert_allclose(prior(ENCODER).log_prob(jnp.asarray(z)), truth, rtol=2e-5)
    assert len(np.unique(loc.round(3), axis=0)) > 3


def test_learned_weights_change_the_density_and_start_equal():
    plain, weighted = (
        vamp("bernoulli", BINARY, initialise="data"),
        vamp("bernoulli", BINARY, initialise="data", learn_weights=True),
    )
    z = jnp.asarray(RNG.normal(size=(20, 2)))
    np.testing.assert_allclose(plain(ENCODER).log_prob(z), weighted(ENCODER).log_prob(z), rtol=1e-6)
    logits = jnp.array([0.0, 3.0, -2.0, 0.0, 1.0, 0.0])
    moved = eqx.tree_at(lambda p: p.logits, weighted, logits)
    loc = np.asarray(plain.pseudo_inputs) @ np.asarray(ENCODER.weight).T
    truth = logsumexp(
        norm.logpdf(np.asarray(z)[:, None], loc, [0.4, 0.7]).sum(-1)
        + np.asarray(jax.nn.log_softmax(logits)),
        axis=1,
    )
    np.testing.assert_allclose(moved(ENCODER).log_prob(z), truth, rtol=2e-5)


@pytest.mark.parametrize("initialise", ["random", "data"])
def test_pseudo_inputs_of_binary_data_stay_in_the_unit_interval_whatever_is_learned(initialise):
    prior = vamp("bernoulli", BINARY, initialise=initialise)
    assert 0 < float(prior.pseudo_inputs.min()) < float(prior.pseudo_inputs.max()) < 1
    far = eqx.tree_at(
        lambda p: p.raw, prior, prior.raw + 30 * jr.normal(jr.key(2), prior.raw.shape)
    )
    assert 0 <= float(far.pseudo_inputs.min()) < 1e-3 < 0.999 < float(far.pseudo_inputs.max()) <= 1


@pytest.mark.parametrize(("likelihood", "rows"), [("bernoulli", BINARY), ("normal", REAL)])
def test_pseudo_inputs_from_data_are_different_rows_of_it_in_its_units(likelihood, rows):
    found = np.asarray(vamp(likelihood, rows, initialise="data", num_components=20).pseudo_inputs)
    # The raw parameter carries noise of 0.01: at .01/.99 the sigmoid's slope is .0099; real data are in standard deviations.
    unit = 1.0 if likelihood == "bernoulli" else rows.std(0)
    distance = np.abs(found[:, None] - rows.astype(np.float64)) / unit
    assert distance.max(-1).min(1).max() < (0.0101 + 6e-4 if likelihood == "bernoulli" else 0.06)
    if likelihood == "normal":
        nearest = distance.max(-1).argmin(1)
        assert len(set(nearest)) == 20


def test_random_pseudo_inputs_start_at_the_datas_mean_in_its_units():
    found = np.asarray(vamp("normal", REAL, num_components=400).pseudo_inputs)
    standardised = (found - REAL.mean(0)) / REAL.std(0)
    assert (np.abs(standardised.mean(0)) < 5 * 0.1 / np.sqrt(400) + 1e-4).all()
    assert abs(standardised.std() - 0.1) < 5 * 0.1 / np.sqrt(2 * standardised.size)


@pytest.mark.parametrize(
    ("likelihood", "rows", "upper"),
    [
        ("poisson", 9 * BINARY, np.inf),
        ("discretized_logistic", 80 * BINARY, 255),
        ("categorical", 4 * BINARY, 4),
    ],
)
def test_pseudo_inputs_of_counts_and_levels_are_in_their_units_not_in_those_of_bits(
    likelihood, rows, upper
):
    prior = vamp(likelihood, rows, num_components=400)
    found = np.asarray(prior.pseudo_inputs, np.float64)
    # The noise of 0.1 is in standard deviations, or in front of a sigmoid, whose mean it moves by less than 0.1^2 / 8 of the interval.
    assert (
        np.abs(found.mean(0) - rows.mean(0))
        < 5 * found.std(0) / 20 + 0.0013 * min(upper, 0.1 * rows.max()) + 1e-3
    ).all()
    far = np.asarray(
        eqx.tree_at(
            lambda p: p.raw, prior, prior.raw + 30 * jr.normal(jr.key(2), prior.raw.shape)
        ).pseudo_inputs
    )
    assert far.max() > 0.5 * rows.max() and far.max() <= upper


class CountingEncoder(AbstractEncoder):
    inner: LinearEncoder
    calls: list = eqx.field(static=True)

    def __call__(self, x: Array) -> Distribution:
        jax.debug.callback(lambda _: self.calls.append(1), x)
        return self.inner(x)


def test_pseudo_inputs_are_encoded_once_per_step_whatever_batch_and_samples(x64):
    calls = []
    decoder = LinearDecoder(jnp.asarray(RNG.normal(size=(4, 2))), jnp.zeros(4), jnp.zeros(()))
    model = Model(vamp("normal", REAL), CountingEncoder(ENCODER, calls), decoder)
    parameters, static = eqx.partition(model, eqx.is_inexact_array)
    options = TrainingOptions(num_samples=3)
    objective = Objective(
        static,
        bounds.build("elbo", {}, {}),
        gradients.build("pathwise", {}, {}),
        optax.adam(1e-3),
        options,
        None,
    )
    batch = batch_of(jnp.arange(10), None, jr.key(0))
    loss = jax.jit(
        jax.grad(
            lambda p: batch_loss(
                objective, p, jnp.asarray(REAL, jnp.float64), batch, jnp.asarray(1.0)
            ),
            has_aux=True,
        )
    )
    jax.block_until_ready(loss(parameters))
    jax.effects_barrier()
    assert len(calls) == 10 + 6  # a posterior per datum, and one per pseudo-input


def test_posteriors_of_any_family_make_the_mixture(x64):
    class Other(AbstractEncoder):
        def __call__(self, x: Array) -> Distribution:
            import numpyro.distributions as dist

            return dist.Laplace(x[:2], jnp.array([0.5, 2.0])).to_event(1)

    prior = vamp("normal", REAL)
    z = np.asarray(prior.pseudo_inputs)[:3, :2] + 1
    loc = np.asarray(prior.pseudo_inputs)[:, :2]
    truth = logsumexp(laplace.logpdf(z[:, None], loc, [0.5, 2.0]).sum(-1) - np.log(6), axis=1)
    np.testing.assert_allclose(prior(Other()).log_prob(jnp.asarray(z)), truth, rtol=1e-6)


def test_an_encoder_whose_posteriors_cannot_be_stacked_is_refused_with_the_remedy():
    class Opaque:
        def sample(self, key, sample_shape=()):
            raise NotImplementedError

        def log_prob(self, value):
            raise NotImplementedError

    class Other(AbstractEncoder):
        def __call__(self, x: Array) -> Distribution:
            return Opaque()

    with pytest.raises(
        ValueError,
        match=r"prior vamp is a mixture of the encoder's posteriors.*must be a pytree.*Use --prior mixture",
    ):
        vamp("normal", REAL)(Other())


class Bounded(AbstractLikelihood):
    """Anything between 10 and 50."""

    support: ClassVar[str] = "10 to 50"
    event_shape: tuple[int, ...] = (4,)
    num_outputs: int = 4

    def __call__(self, outputs):
        raise NotImplementedError

    def initial_bias(self, data):
        raise NotImplementedError

    @classmethod
    def outside(cls, values):
        return (values < 10) | (values > 50)

    @property
    def interval(self):
        return (10.0, 50.0)


RANGED = RNG.uniform(10, 50, (30, 4)).astype(np.float32)


@pytest.mark.parametrize("onto_range", ["sigmoid", "clip"])
def test_pseudo_inputs_of_bounded_data_keep_the_datas_range_whatever_is_learned(onto_range):
    context = {
        "event_shape": (4,),
        "data": summarise(RANGED),
        "likelihood": Bounded(),
        "key": jr.key(1),
    }
    at_data = priors.build(
        "vamp",
        {
            "num_components": 20,
            "initialise": "data",
            "initial_spread": 0.0,
            "onto_range": onto_range,
        },
        context,
    )
    lower, upper = 10, 50
    distance = np.abs(np.asarray(at_data.pseudo_inputs)[:, None] - RANGED).max(-1)
    assert distance.min(1).max() < (0.0101 * (upper - lower) if onto_range == "sigmoid" else 1e-4)
    assert len(set(distance.argmin(1))) == 20
    far = eqx.tree_at(
        lambda p: p.raw, at_data, at_data.raw + 30 * jr.normal(jr.key(2), at_data.raw.shape)
    )
    assert (
        lower - 1e-4
        <= float(far.pseudo_inputs.min())
        < lower + 1
        < upper - 1
        < float(far.pseudo_inputs.max())
        <= upper + 1e-4
    )


def test_the_published_start_is_a_clipped_normal():
    found = vamp(
        "bernoulli",
        BINARY,
        num_components=4000,
        onto_range="clip",
        initial_mean=0.02,
        initial_spread=0.02,
    )
    raw, u = np.asarray(found.raw), np.asarray(found.pseudo_inputs)
    assert abs(raw.mean() - 0.02) < 5 * 0.02 / np.sqrt(raw.size) and abs(
        raw.std() - 0.02
    ) < 5 * 0.02 / np.sqrt(2 * raw.size)
    np.testing.assert_array_equal(u, np.clip(raw, 0, 1))
    assert abs((u == 0).mean() - norm.cdf(-1)) < 5 * np.sqrt(0.16 * 0.84 / u.size)
    slope = np.asarray(jax.grad(lambda p: p.pseudo_inputs.sum())(found).raw)
    np.testing.assert_array_equal(slope, (raw > 0) & (raw < 1))


def test_random_pseudo_inputs_start_where_asked_in_the_datas_units():
    found = np.asarray(
        vamp("normal", REAL, num_components=400, initial_mean=7.0, initial_spread=0.5).pseudo_inputs
    )
    unit = REAL.std(0)
    assert (np.abs(found.mean(0) - 7) < 5 * 0.5 * unit / np.sqrt(400)).all()
    assert abs(((found - 7) / unit).std() - 0.5) < 5 * 0.5 / np.sqrt(2 * found.size)
    binary = np.asarray(
        vamp(
            "bernoulli", BINARY, num_components=400, initial_mean=0.3, initial_spread=0.0
        ).pseudo_inputs
    )
    np.testing.assert_allclose(binary, 0.3, rtol=1e-5)


@pytest.mark.parametrize(
    ("likelihood", "rows"),
    [("bernoulli", np.clip(BINARY[:6], 0.05, 0.9)), ("normal", REAL[:6].astype(np.float64))],
)
def test_pseudo_inputs_from_a_file_are_these_in_the_datas_units(tmp_path, likelihood, rows):
    np.save(tmp_path / "u.npy", rows)
    found = vamp(
        likelihood,
        BINARY if likelihood == "bernoulli" else REAL,
        initialise=str(tmp_path / "u.npy"),
    ).pseudo_inputs
    np.testing.assert_allclose(found, rows, rtol=1e-5)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.zeros((5, 4)),
            r"have shape \(5, 4\), but num_components=6 of data of shape \(4,\) need \(6, 4\).*set num_components",
        ),
        (np.zeros((6, 2, 2)), r"have shape \(6, 2, 2\)"),
        (np.full((6, 4), np.nan), "must be finite real numbers; got float64 with NaN"),
        (np.zeros((6, 4), complex), "must be finite real numbers; got complex128"),
        (
            np.full((6, 4), 255.0),
            "24 of the pseudo-inputs .* outside the data's range 0 to 1; the first is 255",
        ),
        (np.array([{}] * 6), "cannot be read .*numpy.save"),
        (None, "cannot be read .*No such file"),
    ],
)
def test_a_pseudo_input_file_that_will_not_do_is_refused_by_name(tmp_path, array, message):
    if array is not None:
        np.save(tmp_path / "u.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=message) as error:
        vamp("bernoulli", BINARY, initialise=str(tmp_path / "u.npy"))
    assert "u.npy" in str(error.value)


def test_a_run_is_loaded_without_the_file_that_its_pseudo_inputs_came_from(tmp_path):
    np.save(tmp_path / "u.npy", np.clip(BINARY[:6], 0.1, 0.8))
    model = jensen.vae(
        (4,),
        latent_dim=2,
        network={"name": "dense", "hidden": (3,)},
        prior={"name": "vamp", "num_components": 6, "initialise": str(tmp_path / "u.npy")},
        data=BINARY,
        key=jr.key(3),
    )
    fit = jensen.fit(model, BINARY, epochs=1, key=jr.key(4), out=tmp_path / "run", progress=False)
    (tmp_path / "u.npy").unlink()
    np.testing.assert_array_equal(
        jensen.load(tmp_path / "run").model.prior.raw, fit.model.prior.raw
    )
