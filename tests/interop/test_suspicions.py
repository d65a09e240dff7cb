"""Mistakes in models made elsewhere that can be seen from outside, and right models of which nothing is told."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jensen
import linear_gaussian
from interop._copies import NumpyCopy, trained
from jensen.decoders import AbstractDecoder
from jensen.distributions import Bernoulli
from jensen.interop import foreign_remarks
from jensen.model import Model
from jensen.priors import StandardNormal

KEY = jr.key(0)
WIDE = linear_gaussian.LinearGaussian(np.diag([0.5, 2.0, 5.0, 9.0]), np.zeros(4), 0.5)
RNG = np.random.default_rng(0)
CODES = RNG.normal(size=(200, 2))
WEIGHT = 3 * RNG.normal(size=(2, 12))
BINARY = (RNG.random((200, 12)) < 1 / (1 + np.exp(-(CODES @ WEIGHT)))).astype(np.float32)


def of_logits(logits):
    """A foreign model whose decoder gives these logits of a code."""

    def log_likelihood(x, z):
        answer = logits(z)
        return (x * answer - np.logaddexp(0, answer)).sum(1)

    def encode(x):  # a least-squares guess of the code
        guess = (2 * x - 1) @ np.linalg.pinv(WEIGHT)
        return 2 * guess, np.full((len(x), 2), 0.4)

    return jensen.foreign(
        event_shape=(12,), latent_dim=2, encode=encode, log_likelihood=log_likelihood
    )


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def of_scales(change, world=WIDE, **options):
    """The linear-Gaussian world with scales changed by a function."""

    def encode(x):
        loc, scale = world.q(x)
        return loc, change(scale)

    def log_likelihood(x, z):
        residuals = (x - world.b - z @ world.w.T) / np.sqrt(world.s2)
        constant = x.shape[1] * (np.log(world.s2) + linear_gaussian.LOG_2PI)
        return -0.5 * (np.square(residuals).sum(1) + constant)

    dimension, latent = world.w.shape
    return jensen.foreign(
        event_shape=(dimension,),
        latent_dim=latent,
        encode=encode,
        log_likelihood=log_likelihood,
        **options,
    )


def names(remarks):
    return [remark.partition(":")[0] for remark in remarks]


def test_a_sigmoid_left_on_is_named_in_the_account():
    found = jensen.account(
        of_logits(lambda z: sigmoid(z @ WEIGHT)), BINARY, key=KEY, num_samples=50
    )
    assert found.verdicts[0].startswith("Suspicious logits: all that were looked at lie within [0")
    assert "Remove the Sigmoid" in found.verdicts[0]


@pytest.mark.parametrize(
    ("what", "logits"),
    [
        ("right", lambda z: z @ WEIGHT),
        ("barely learned", lambda z: 0.05 * (z @ WEIGHT)),
        ("one number for all", lambda z: np.full((len(z), 12), 0.3)),
    ],
)
def test_logits_of_other_decoders_are_not_suspicious(what, logits):
    assert foreign_remarks(of_logits(logits), BINARY) == ()


def test_logits_within_0_and_1_that_are_right_are_not_suspicious():
    """Data of which every probability is between .5 and .73: their logits lie within [0, 1]."""
    logits = lambda z: sigmoid(z @ WEIGHT)  # noqa: E731
    rows = (RNG.random((200, 12)) < sigmoid(logits(CODES))).astype(np.float32)
    assert foreign_remarks(of_logits(logits), rows) == ()


def test_a_callable_that_refuses_changed_rows_is_no_fault():
    """One-hot rows: with one element changed they are none."""
    rows = np.eye(12, dtype=np.float32)[RNG.integers(12, size=200)]

    def log_likelihood(x, z):
        if not (x.sum(1) == 1).all():
            raise ValueError("rows must be one-hot")
        logits = z @ WEIGHT
        return (x * (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))).sum(1)

    encode = lambda x: (x @ WEIGHT.T, np.full((len(x), 2), 0.5))  # noqa: E731
    model = jensen.foreign(
        event_shape=(12,), latent_dim=2, encode=encode, log_likelihood=log_likelihood
    )
    found = jensen.account(model, rows, key=KEY, num_samples=20)
    assert not any(v.startswith("Suspicious") for v in found.verdicts)


class LeftOn(AbstractDecoder):
    """A decoder in JAX, put together by hand, with the same mistake."""

    weight: jax.Array

    def __call__(self, z):
        return Bernoulli(jax.nn.sigmoid(z @ self.weight))


def test_a_sigmoid_left_on_in_a_model_put_together_by_hand():
    encoder = linear_gaussian.LinearEncoder(
        jnp.asarray(2 * np.linalg.pinv(WEIGHT).T), jnp.zeros(2), jnp.log(jnp.full(2, 0.4))
    )
    model = Model(StandardNormal(2), encoder, LeftOn(jnp.asarray(WEIGHT)))
    assert names(foreign_remarks(model, BINARY)) == ["Suspicious logits"]


def test_a_log_variance_declared_as_a_log_scale_is_named_in_the_account():
    """exp(log_var) is the square of the scale."""
    found = jensen.account(
        of_scales(np.square), WIDE.data(100, seed=1).astype(np.float32), key=KEY, num_samples=50
    )
    assert found.verdicts[0].startswith("Suspicious scales: those of q(z|x) look like variances")
    assert "second='log_scale'" in found.verdicts[0]


def test_a_log_scale_declared_as_a_log_variance_is_named():
    rows = WIDE.data(100, seed=1).astype(np.float32)
    (remark,) = foreign_remarks(of_scales(np.sqrt), rows)
    assert "look like square roots of scales" in remark and "second='log_var'" in remark


@pytest.mark.parametrize(
    "change",
    [
        lambda scale: scale,
        lambda scale: 1.5 * scale,
        lambda scale: 0.4 * scale,
        lambda scale: np.broadcast_to(scale.mean(), scale.shape),
    ],
    ids=["right", "too wide", "too narrow", "one for all dimensions"],
)
def test_scales_that_are_off_otherwise_are_not_suspicious(change):
    rows = WIDE.data(100, seed=1).astype(np.float32)
    assert foreign_remarks(of_scales(change), rows) == ()


def test_collapsed_dimensions_have_no_power_and_are_not_suspicious():
    world = linear_gaussian.LinearGaussian(np.zeros((4, 4)), np.zeros(4), 0.5)
    rows = world.data(100, seed=1).astype(np.float32)
    assert foreign_remarks(of_scales(np.square, world), rows) == ()


@pytest.mark.parametrize("prior", ["standard_normal", "vamp"])
def test_a_trained_model_is_not_suspicious(prior):
    model, data = trained(prior)
    assert foreign_remarks(model, data) == ()  # built here: never asked
    given = model.prior.pseudo_inputs if prior == "vamp" else None
    copy = NumpyCopy(model).foreign(
        prior="standard_normal" if given is None else jensen.interop.PseudoInputs(given)
    )
    assert foreign_remarks(copy, data) == ()
