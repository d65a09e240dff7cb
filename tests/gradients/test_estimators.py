"""Every valid pair of bound and gradient estimator, on a linear-Gaussian model in float64.

The model's encoder is not the posterior. The batch (5), the number of samples (3), the data's dimensions (4) and the latent ones (2) all differ.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from jax.flatten_util import ravel_pytree

from jensen.bounds import bounds
from jensen.gradients import gradients
from jensen.model import Model
from jensen.models.vae import vae
from linear_gaussian import make

TRUTH = make(dimension=4, latent=2, shift=0.3, stretch=1.3)
X = TRUTH.data(5, seed=1)
NUM_SAMPLES = 3
OPTIONS = {"free_bits": {"floor": 0.0}}  # with a floor it is another objective, see test_free_bits.py


def valid_pairs():
    with jax.enable_x64(True):
        for bound in bounds.names():
            for gradient in gradients.names():
                try:
                    gradients.build(gradient, OPTIONS.get(gradient, {}), {}).check(bounds.build(bound, {}, {}), TRUTH.model, NUM_SAMPLES)
                except ValueError:
                    continue
                yield bound, gradient


PAIRS = list(valid_pairs())


def estimates(model, bound, gradient, key, *, beta=1.0, num_samples=NUM_SAMPLES, x=X):
    """Estimate with leaves [batch]."""
    bound, estimator = bounds.build(bound, {}, {}), gradients.build(gradient, OPTIONS.get(gradient, {}), {})
    prior = model.prior(model.encoder)

    def one(datum, n):
        return estimator.surrogate(bound, model, prior, datum, jr.fold_in(key, n), num_samples=num_samples, beta=beta)

    return jax.vmap(one)(jnp.asarray(x), jnp.arange(len(x)))


def flat(model):
    parameters, static = eqx.partition(model, eqx.is_inexact_array)
    vector, unravel = ravel_pytree(parameters)
    return vector, lambda v: eqx.combine(unravel(v), static)


def surrogate_gradient(bound, gradient, key, **options):
    vector, rebuild = flat(TRUTH.model)
    return jax.jit(jax.grad(lambda v: estimates(rebuild(v), bound, gradient, key, **options).surrogate.mean()))(vector)


def finite_differences(value, vector, h=1e-5):
    steps = h * jnp.eye(len(vector))
    return jax.jit(jax.vmap(lambda s: (value(vector + s) - value(vector - s)) / (2 * h)))(steps)


# Estimators that differentiate the bound of the draws themselves; the others agree in expectation only.
EXACT = [pair for pair in PAIRS if pair[1] in ("pathwise", "closed_form_kl", "free_bits")]


def test_the_pairs_that_must_be_valid_are():
    assert {("elbo", "pathwise"), ("iwae", "pathwise"), ("elbo", "closed_form_kl")} <= set(PAIRS)
    assert ("iwae", "closed_form_kl") not in PAIRS


@pytest.mark.parametrize(("bound", "gradient"), EXACT)
def test_the_gradient_is_that_of_the_reported_bound_of_the_same_draws(x64, bound, gradient):
    vector, rebuild = flat(TRUTH.model)
    exact = surrogate_gradient(bound, gradient, jr.key(0))
    numeric = finite_differences(lambda v: estimates(rebuild(v), bound, gradient, jr.key(0)).bound.mean(), vector)
    assert float(jnp.abs(exact).max()) > 0.1
    # h^2 times third derivatives of order 10, and rounding of 10 nats over h.
    np.testing.assert_allclose(exact, numeric, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(("bound", "gradient"), [pair for pair in PAIRS if pair[1] != "pathwise"])
def test_every_estimator_has_the_expectation_of_the_pathwise_gradient(x64, bound, gradient):
    keys = jr.split(jr.key(1), 2 * 600)
    ours = np.asarray(jax.lax.map(lambda k: surrogate_gradient(bound, gradient, k), keys[:600], batch_size=100))
    pathwise = np.asarray(jax.lax.map(lambda k: surrogate_gradient(bound, "pathwise", k), keys[600:], batch_size=100))
    se = np.sqrt((ours.var(0) + pathwise.var(0)) / 600)
    assert (np.abs(ours.mean(0) - pathwise.mean(0)) < 5 * se + 1e-12).all()
    assert np.median(se) < 0.05 * np.abs(pathwise.mean(0)).max()


@pytest.mark.parametrize(("bound", "gradient"), [p for p in PAIRS if p[0] == "elbo"])
def test_the_expected_gradient_of_the_elbo_is_that_of_the_closed_form(x64, bound, gradient):
    # By the encoder's shift and the log of its stretch, from the closed form by central differences.
    def closed_form(shift, log_stretch):
        return make(dimension=4, latent=2, shift=shift, stretch=np.exp(log_stretch)).elbo(X).mean()

    h, shift, log_stretch = 1e-5, 0.3, np.log(1.3)
    exact = [
        (closed_form(shift + h, log_stretch) - closed_form(shift - h, log_stretch)) / (2 * h),
        (closed_form(shift, log_stretch + h) - closed_form(shift, log_stretch - h)) / (2 * h),
    ]
    _, rebuild = flat(TRUTH.model)

    def projected(key):
        gradient_tree = rebuild(surrogate_gradient(bound, gradient, key))
        return jnp.stack([gradient_tree.encoder.bias.sum(), gradient_tree.encoder.log_scale.sum()])

    draws = np.asarray(jax.lax.map(projected, jr.split(jr.key(2), 2000), batch_size=200))
    assert (np.abs(draws.mean(0) - exact) < 5 * draws.std(0) / np.sqrt(len(draws))).all()


@pytest.mark.parametrize(("bound", "gradient"), PAIRS)
def test_beta_moves_the_gradient_but_not_what_is_reported(x64, bound, gradient):
    at_one, at_four = (estimates(TRUTH.model, bound, gradient, jr.key(3), beta=beta) for beta in (1.0, 4.0))
    for term in ("bound", "reconstruction", "average_kl"):
        np.testing.assert_array_equal(getattr(at_one, term), getattr(at_four, term))
    change = surrogate_gradient(bound, gradient, jr.key(3), beta=4.0) - surrogate_gradient(bound, gradient, jr.key(3))
    assert float(jnp.abs(change).max()) > 0.1
    if bound == "elbo":
        vector, rebuild = flat(TRUTH.model)
        terms = jax.grad(lambda v: -3 * estimates(rebuild(v), bound, gradient, jr.key(3)).average_kl.mean())(vector)
        np.testing.assert_allclose(change, terms, atol=1e-10)


@pytest.mark.parametrize(("bound", "gradient"), PAIRS)
def test_what_is_reported_is_the_bound_of_the_closed_form(x64, bound, gradient):
    x = np.repeat(X, 2000, axis=0)
    found = estimates(TRUTH.model, bound, gradient, jr.key(4), x=x)
    groups = lambda v: np.asarray(v).reshape(5, 2000)  # noqa: E731
    for values, exact in [(groups(found.reconstruction), TRUTH.reconstruction(X)), (groups(found.average_kl), TRUTH.average_kl(X))]:
        assert (np.abs(values.mean(1) - exact) < 5 * values.std(1) / np.sqrt(2000) + 1e-10).all()
    values = groups(found.bound)
    slack = 5 * values.std(1) / np.sqrt(2000)
    if bounds.find(bound).linear:
        assert (np.abs(values.mean(1) - TRUTH.elbo(X)) < slack).all()
        np.testing.assert_allclose(found.bound, found.reconstruction - found.average_kl, rtol=0, atol=1e-10)
    else:
        assert (values.mean(1) > TRUTH.elbo(X)).all()
        assert (values.mean(1) < TRUTH.log_evidence(X) + slack).all()


def test_at_the_exact_posterior_the_expected_gradient_of_the_encoder_vanishes(x64):
    truth = make(dimension=4, latent=2, orthogonal=True)
    vector, rebuild = flat(truth.model)

    def encoder_gradient(key):
        value = lambda v: estimates(rebuild(v), "elbo", "pathwise", key, x=truth.data(5, seed=1)).surrogate.mean()  # noqa: E731
        return ravel_pytree(eqx.filter(rebuild(jax.grad(value)(vector)).encoder, eqx.is_inexact_array))[0]

    draws = np.asarray(jax.lax.map(encoder_gradient, jr.split(jr.key(5), 1000), batch_size=200))
    se = draws.std(0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(0)) < 5 * se).all()
    assert (se < 0.05).all()


VALID_MODEL = {"latent_dim": 2, "network": {"name": "dense", "hidden": (4,)}}


@pytest.mark.parametrize(
    ("gradient", "bound", "prior", "num_samples", "message"),
    [
        ("closed_form_kl", "iwae", "standard_normal", 1, "valid for the elbo only: the IWAE bound is not an average of log w.*--gradient pathwise"),
        ("closed_form_kl", "elbo", "vamp", 1, "no closed form of KL.*for the vamp prior. Use --gradient pathwise"),
        ("closed_form_kl", "elbo", "mixture", 1, "no closed form of KL.*for the mixture prior. Use --gradient pathwise"),
        ("closed_form_kl", "elbo", "standard_normal", 0, "num_samples must be at least 1 for closed_form_kl; got 0"),
        ("pathwise", "iwae", "vamp", 0, "num_samples must be at least 1 for pathwise; got 0"),
    ],
)
def test_combinations_that_are_not_valid_are_refused_with_reason_and_remedy(gradient, bound, prior, num_samples, message):
    prior = {"name": prior} | ({} if prior == "standard_normal" else {"num_components": 3})
    model = vae((3,), prior=prior, key=jr.key(0), **VALID_MODEL)
    with pytest.raises(ValueError, match=message):
        gradients.build(gradient, {}, {}).check(bounds.build(bound, {}, {}), model, num_samples)


def test_a_model_put_together_by_hand_is_refused_too():
    made = vae((3,), prior={"name": "mixture", "num_components": 3}, key=jr.key(0), **VALID_MODEL)
    by_hand = Model(made.prior, made.encoder, made.decoder)
    with pytest.raises(ValueError, match=r"no closed form of KL.*for the Mixture prior. Use --gradient pathwise"):
        estimates(by_hand, "elbo", "closed_form_kl", jr.key(0), x=np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("prior", ["standard_normal", "mixture", "vamp"])
@pytest.mark.parametrize("bound", ["elbo", "iwae"])
def test_pathwise_on_a_vae_from_names_differentiates_its_bound(x64, prior, bound):
    prior = {"name": prior} | ({} if prior == "standard_normal" else {"num_components": 4})
    x = np.random.default_rng(0).integers(0, 2, (5, 3)).astype(np.uint8)
    network = {"name": "dense", "hidden": (4,), "activation": "tanh"}
    model = vae((3,), latent_dim=2, prior=prior, network=network, data=x, key=jr.key(0))
    model = jax.tree.map(lambda a: a.astype(jnp.float64) if eqx.is_inexact_array(a) else a, model)
    vector, rebuild = flat(model)
    vector = vector + 0.1 * jr.normal(jr.key(1), vector.shape)
    # The units (data_mean, data_scale) are held fixed by stop_gradient, so directions leave them alone.
    moved = flat(jax.tree.map(jnp.ones_like, eqx.filter(model, eqx.is_inexact_array)))[1](jnp.ones_like(vector))
    fixed = eqx.tree_at(lambda m: (m.encoder.data_mean, m.encoder.data_scale), moved, (jnp.zeros(3), jnp.zeros(())))
    directions = jr.normal(jr.key(2), (6, len(vector))) * flat(fixed)[0]
    value = lambda v: estimates(rebuild(v), bound, "pathwise", jr.key(3), x=x)  # noqa: E731
    gradient = jax.jit(jax.grad(lambda v: value(v).surrogate.mean()))(vector)
    numeric = jax.jit(jax.vmap(lambda d: (value(vector + 1e-5 * d).bound.mean() - value(vector - 1e-5 * d).bound.mean()) / 2e-5))(directions)
    np.testing.assert_allclose(directions @ gradient, numeric, rtol=1e-6, atol=1e-7)
