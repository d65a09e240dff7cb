"""Every valid pair of bound and gradient estimator, on a linear-Gaussian model in float64.

The model's encoder is not the posterior. The batch (5), the number of samples (6), its groups (3 of 2), the data's dimensions (4) and the latent ones (2)
differ.
"""

import functools

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
from jensen.weights import log_weights
from linear_gaussian import make

TRUTH = make(dimension=4, latent=2, shift=0.3, stretch=1.3)
X = TRUTH.data(5, seed=1)
NUM_SAMPLES = 6
OPTIONS = {"miwae": {"num_groups": 3}, "piwae": {"num_groups": 3}, "renyi": {"alpha": 0.3}, "cubo": {"n": 1.5}, "ciwae": {"elbo_weight": 0.3}}


ESTIMATOR_OPTIONS = {"free_bits": {"floor": 0.0}}  # with a floor it is another objective, see test_free_bits.py


def estimator_of(name):
    return gradients.build(name, ESTIMATOR_OPTIONS.get(name, {}), {})


def build(bound):
    return bounds.build(bound, OPTIONS.get(bound, {}), {})


def valid_pairs():
    with jax.enable_x64(True):
        for bound in bounds.names():
            for gradient in gradients.names():
                try:
                    estimator_of(gradient).check(build(bound), TRUTH.model, NUM_SAMPLES)
                except ValueError:
                    continue
                yield bound, gradient


PAIRS = list(valid_pairs())


def estimates(model, bound, gradient, key, *, beta=1.0, num_samples=NUM_SAMPLES, x=X):
    """Estimate with leaves [batch]."""
    bound, estimator = build(bound), estimator_of(gradient)
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
    return jax.grad(lambda v: estimates(rebuild(v), bound, gradient, key, **options).surrogate.mean())(vector)


@functools.cache
def program(bound, gradient):
    """(vector, keys, beta) -> (gradient of the surrogate, estimate) of every key: what most tests of a pair are about, compiled once."""
    rebuild = flat(TRUTH.model)[1]

    def value(vector, key, beta):
        found = estimates(rebuild(vector), bound, gradient, key, beta=beta)
        return found.surrogate.mean(), found

    return jax.jit(jax.vmap(jax.grad(value, has_aux=True), (None, 0, None)))


DRAWS = 1000


def drawn(bound, gradient, key, *, beta=1.0):
    """(gradients [draws, parameters], estimate with leaves [draws, batch])."""
    return program(bound, gradient)(flat(TRUTH.model)[0], jr.split(key, DRAWS), beta)


def finite_differences(value, vector, h=1e-5):
    steps = h * jnp.eye(len(vector))
    return jax.jit(jax.vmap(lambda s: (value(vector + s) - value(vector - s)) / (2 * h)))(steps)


REPARAMETERISED, ANY = {"pathwise", "doubly_reparameterised"}, {"score_function", "vimco"}
EXPECTED = {
    "elbo": REPARAMETERISED | ANY | {"closed_form_kl", "free_bits", "sticking_the_landing"},
    **{bound: REPARAMETERISED | ANY for bound in ("iwae", "ciwae", "renyi", "f_divergence")},
    **{bound: REPARAMETERISED | {"vimco"} for bound in ("miwae", "piwae")},
    **{bound: {"wake"} for bound in ("eubo", "cubo")},
}


def test_the_valid_pairs_are_these_and_no_others():
    assert set(PAIRS) == {(bound, gradient) for bound, names in EXPECTED.items() for gradient in names}


def test_an_invalid_pair_is_refused_with_the_reason_and_the_valid_ones():
    for bound, gradient, num_samples, words in [
        ("iwae", "closed_form_kl", 6, ["no term of it has a closed form", "--gradient pathwise", "--gradient vimco"]),
        ("iwae", "sticking_the_landing", 6, ["biased for the IWAE bound", "Valid here: --gradient doubly_reparameterised, --gradient pathwise"]),
        ("eubo", "pathwise", 6, ["EUBO bound is not trained by it", "Valid here: --gradient wake."]),
        ("elbo", "wake", 6, ["divergence of the posterior from q", "--bound eubo", "--gradient pathwise"]),
        ("elbo", "score_function", 1, ["at least 2 samples per datum (--num-samples); got 1", "--gradient pathwise"]),
        ("iwae", "vimco", 1, ["at least 2 samples per datum", "got 1"]),
        ("miwae", "score_function", 6, ["not to be had of 5", "--gradient vimco"]),
        ("miwae", "pathwise", 7, ["3 divides", "--num-samples 24", "got 7"]),
        ("piwae", "pathwise", 1, ["3 divides", "got 1"]),
        ("cubo", "pathwise", 6, ["CUBO bound is not trained by it", "Valid here: --gradient wake."]),
        ("cubo", "wake", 1, ["bound cubo needs at least 2 samples", "got 1"]),
        ("eubo", "wake", 1, ["at least 2 samples", "got 1"]),
        ("elbo", "pathwise", 0, ["at least 1; got 0"]),
    ]:
        with pytest.raises(ValueError) as refused:
            estimator_of(gradient).check(build(bound), TRUTH.model, num_samples)
        for word in words:
            assert word in str(refused.value)


def numeric_gradient(bound, key, num_samples=NUM_SAMPLES):
    """Of the bound of these draws by finite differences: the encoder's of what the encoder ascends, the decoder's of what the model ascends."""
    bound = build(bound)
    vector, rebuild = flat(TRUTH.model)

    def value(v, side):
        model = rebuild(v)
        log_w = log_weights(model, jnp.asarray(X), key, num_samples).tempered()
        return side.sign * jax.vmap(side, in_axes=1)(log_w).mean()

    sides = [rebuild(finite_differences(lambda v, s=side: value(v, s), vector)) for side in (bound.for_encoder, bound.for_model)]
    return flat(eqx.tree_at(lambda m: m.encoder, sides[1], sides[0].encoder))[0]


@pytest.mark.parametrize("bound", [bound for bound, gradient in PAIRS if gradient == "pathwise"])
def test_the_pathwise_gradient_is_that_of_the_bound_of_the_same_draws(x64, bound):
    exact = drawn(bound, "pathwise", jr.key(0))[0][0]
    assert float(jnp.abs(exact).max()) > 0.1
    # h^2 times third derivatives of order 10, and rounding of 10 nats over h.
    np.testing.assert_allclose(exact, numeric_gradient(bound, jr.split(jr.key(0), DRAWS)[0]), rtol=1e-6, atol=1e-7)


def test_the_closed_form_gradient_is_that_of_its_own_bound_of_the_same_draws(x64):
    vector, rebuild = flat(TRUTH.model)
    key = jr.split(jr.key(0), DRAWS)[0]
    exact = drawn("elbo", "closed_form_kl", jr.key(0))[0][0]
    numeric = finite_differences(lambda v: estimates(rebuild(v), "elbo", "closed_form_kl", key).bound.mean(), vector)
    np.testing.assert_allclose(exact, numeric, rtol=1e-6, atol=1e-7)


@functools.cache
def expected_gradient(bound, gradient, seed, beta=0.4):
    """(mean, variance) over draws."""
    found = np.asarray(drawn(bound, gradient, jr.key(seed), beta=beta)[0])
    return found.mean(0), found.var(0) / DRAWS


@pytest.mark.parametrize(("bound", "gradient"), [pair for pair in PAIRS if pair[1] not in ("pathwise", "wake")])
def test_every_estimator_has_the_expectation_of_the_pathwise_gradient_at_any_beta(x64, bound, gradient):
    (ours, ours_variance), (pathwise, pathwise_variance) = expected_gradient(bound, gradient, 1), expected_gradient(bound, "pathwise", 2)
    se = np.sqrt(ours_variance + pathwise_variance)
    assert (np.abs(ours - pathwise) < 5 * se + 1e-12).all()
    assert np.median(se) < 0.07 * np.abs(pathwise).max()


@pytest.mark.parametrize("bound", ["eubo", "cubo"])
def test_the_wake_gradient_is_that_of_the_divergence_of_the_posterior_from_q(x64, bound):
    # With many samples, whose self-normalisation is then without bias to speak of. By the encoder's shift and log stretch, in closed form.
    _, covariance = TRUTH.posterior(X)
    precision, n = np.linalg.inv(covariance), OPTIONS["cubo"]["n"]

    def divergence(shift, log_stretch):
        scale = np.exp(log_stretch) * np.sqrt(TRUTH.s2 / np.diag(TRUTH.m))
        if bound == "eubo":
            return float(np.sum((np.diag(covariance) + shift**2) / scale**2 / 2 + np.log(scale)))  # up to the posterior's entropy
        # (1/n) log of the integral of posterior^n q^(1 - n), up to what the encoder does not move.
        q, s = np.diag(scale**-2), shift * np.ones(2)
        a = n * precision - (n - 1) * q
        square = (n - 1) ** 2 / 2 * s @ q @ np.linalg.solve(a, q @ s) + (n - 1) / 2 * s @ q @ s
        return float((square + (1 - n) / 2 * np.linalg.slogdet(q)[1] - np.linalg.slogdet(a)[1] / 2) / n)

    h, at = 1e-5, np.array([0.3, np.log(1.3)])
    exact = [-(divergence(*(at + h * step)) - divergence(*(at - h * step))) / (2 * h) for step in np.eye(2)]
    _, rebuild = flat(TRUTH.model)

    def projected(key):
        tree = rebuild(surrogate_gradient(bound, "wake", key, num_samples=2000))
        return jnp.stack([tree.encoder.bias.sum(), tree.encoder.log_scale.sum()])

    draws = np.asarray(jax.jit(lambda keys: jax.lax.map(projected, keys, batch_size=20))(jr.split(jr.key(2), 200)))
    assert (np.abs(draws.mean(0) - exact) < 5 * draws.std(0) / np.sqrt(len(draws))).all()
    assert (draws.std(0) / np.sqrt(len(draws)) < 0.01 * np.abs(exact).max()).all()
    # The model's side is the gradient of the importance weighted bound, draw by draw.
    for ours, theirs in zip(
        jax.tree.leaves(rebuild(drawn(bound, "wake", jr.key(3))[0][0]).decoder),
        jax.tree.leaves(rebuild(drawn("iwae", "score_function", jr.key(3))[0][0]).decoder),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_where_q_is_the_posterior_sticking_the_landing_has_no_variance_and_pathwise_has(x64):
    exact = make(dimension=4, latent=2, orthogonal=True)
    model, x = exact.model, exact.data(5, seed=1)
    vector, rebuild = flat(model)

    def encoder_gradient(gradient, bound):
        gradient_of = jax.grad(lambda v: estimates(rebuild(v), bound, gradient, jr.key(0), x=x).surrogate.mean())
        return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(rebuild(gradient_of(vector)).encoder)])

    assert np.abs(encoder_gradient("sticking_the_landing", "elbo")).max() < 1e-12
    for bound in ("elbo", "iwae", "renyi", "miwae", "f_divergence"):
        assert np.abs(encoder_gradient("doubly_reparameterised", bound)).max() < 1e-12
    assert np.abs(encoder_gradient("pathwise", "elbo")).max() > 0.1


def test_doubly_reparameterised_is_the_published_estimator_of_the_importance_weighted_bound(x64):
    # sum_i w~_i^2 (d log w_i / d z_i)(d z_i / d phi) for the encoder (Tucker et al. 2019), written out for one datum.
    model, x, key = TRUTH.model, jnp.asarray(X[0]), jr.key(4)
    prior = model.prior(model.encoder)
    noise = jnp.stack([(model.encoder(x).sample(jr.fold_in(key, k)) - model.encoder(x).base_dist.loc) / model.encoder(x).base_dist.scale for k in range(6)])
    held = model.encoder(x)

    def log_w(z):
        return model.decoder(z).log_prob(x) + prior.log_prob(z) - held.log_prob(z)

    z = held.base_dist.loc + noise * held.base_dist.scale
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(log_w)))(z)
    share = jax.nn.softmax(values)
    by_bias = (share**2) @ slopes
    by_log_scale = (share**2) @ (slopes * noise * held.base_dist.scale)
    estimator = gradients.build("doubly_reparameterised", {}, {})
    surrogate = lambda e: estimator.surrogate(build("iwae"), eqx.tree_at(lambda m: m.encoder, model, e), prior, x, key, num_samples=6, beta=1.0)  # noqa: E731
    gradient = jax.jit(jax.grad(lambda e: surrogate(e).surrogate))(model.encoder)
    np.testing.assert_allclose(gradient.bias, by_bias, rtol=1e-10)
    np.testing.assert_allclose(gradient.log_scale, by_log_scale, rtol=1e-10)


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
    trees = jax.vmap(flat(TRUTH.model)[1])(jnp.concatenate([drawn(bound, gradient, key)[0] for key in jr.split(jr.key(2))]))
    draws = np.stack([trees.encoder.bias.sum(1), trees.encoder.log_scale.sum(1)], axis=1)
    assert (np.abs(draws.mean(0) - exact) < 5 * draws.std(0) / np.sqrt(len(draws))).all()


@pytest.mark.parametrize(("bound", "gradient"), PAIRS)
def test_beta_moves_the_gradient_but_not_what_is_reported(x64, bound, gradient):
    (slopes_at_one, at_one), (slopes_at_four, at_four) = (drawn(bound, gradient, jr.key(3), beta=beta) for beta in (1.0, 4.0))
    for term in ("bound", "reconstruction", "average_kl"):
        np.testing.assert_array_equal(getattr(at_one, term), getattr(at_four, term))
    change = slopes_at_four[0] - slopes_at_one[0]
    assert float(jnp.abs(change).max()) > 0.1
    if gradient in ("closed_form_kl", "pathwise") and bound == "elbo":  # the others differentiate the terms by paths of their own
        vector, rebuild = flat(TRUTH.model)
        key = jr.split(jr.key(3), DRAWS)[0]
        terms = jax.grad(lambda v: -3 * estimates(rebuild(v), bound, gradient, key).average_kl.mean())(vector)
        np.testing.assert_allclose(change, terms, atol=1e-10)


@pytest.mark.parametrize(("bound", "gradient"), PAIRS)
def test_what_is_reported_is_the_bound_of_the_closed_form(x64, bound, gradient):
    found = jax.tree.map(lambda *v: np.concatenate(v).T, *(drawn(bound, gradient, key)[1] for key in jr.split(jr.key(4))))
    for values, exact in [(found.reconstruction, TRUTH.reconstruction(X)), (found.average_kl, TRUTH.average_kl(X))]:
        assert (np.abs(values.mean(1) - exact) < 5 * values.std(1) / np.sqrt(2 * DRAWS) + 1e-10).all()
    values = found.bound
    slack = 5 * values.std(1) / np.sqrt(2 * DRAWS)
    if bounds.find(bound).linear:
        assert (np.abs(values.mean(1) - TRUTH.elbo(X)) < slack).all()
        np.testing.assert_allclose(found.bound, found.reconstruction - found.average_kl, rtol=0, atol=1e-10)
    elif build(bound).guarantee == "lower":
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
        (
            "closed_form_kl",
            "iwae",
            "standard_normal",
            1,
            "closed_form_kl: the IWAE bound is not an average of log w.*it is for the elbo. Valid here: .*--gradient pathwise",
        ),
        ("closed_form_kl", "elbo", "vamp", 1, "no closed form of KL.*for the vamp prior. Valid here: .*--gradient pathwise"),
        ("closed_form_kl", "elbo", "mixture", 1, "no closed form of KL.*for the mixture prior. Valid here: .*--gradient pathwise"),
        ("closed_form_kl", "elbo", "standard_normal", 0, "num_samples must be at least 1; got 0"),
        ("pathwise", "iwae", "vamp", 0, "num_samples must be at least 1; got 0"),
    ],
)
def test_combinations_that_are_not_valid_are_refused_with_reason_and_remedy(gradient, bound, prior, num_samples, message):
    prior = {"name": prior} | ({} if prior == "standard_normal" else {"num_components": 3})
    model = vae((3,), prior=prior, key=jr.key(0), **VALID_MODEL)
    with pytest.raises(ValueError, match=message):
        estimator_of(gradient).check(build(bound), model, num_samples)


def test_a_model_put_together_by_hand_is_refused_too():
    made = vae((3,), prior={"name": "mixture", "num_components": 3}, key=jr.key(0), **VALID_MODEL)
    by_hand = Model(made.prior, made.encoder, made.decoder)
    with pytest.raises(ValueError, match=r"no closed form of KL.*for the Mixture prior."):
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
