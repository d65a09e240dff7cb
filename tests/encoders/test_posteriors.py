"""What each family of posteriors can close of the approximation gap, where it starts, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import optax
import pytest
from jax import random as jr
from numpyro.distributions.kl import kl_divergence

import jensen
from jensen._parameters import partition
from jensen._types import Array, Distribution
from jensen.bounds import ELBO
from jensen.distributions import full_normal, stack
from jensen.encoders import AbstractEncoder, encoders
from jensen.gradients import ClosedFormKL
from jensen.model import Model
from jensen.networks.dense import Dense
from jensen.priors import StandardNormal
from jensen.weights import log_weights
from linear_gaussian import LinearDecoder, make

WORLD = make(dimension=5, latent=3)


def build(name, *, size=5, latent_dim=3, **options):
    network = lambda size, key: Dense(size, key=key, hidden=())  # noqa: E731
    context = {
        "event_shape": (size,),
        "latent_dim": latent_dim,
        "network": network,
        "data": None,
        "key": jr.key(1),
    }
    return encoders.build(name, options, context)


def with_posterior(encoder):
    """The full normal encoder of WORLD's own posterior, N(M^-1 W^T (x - b), s2 M^-1)."""
    gain, covariance = np.linalg.solve(WORLD.m, WORLD.w.T), WORLD.posterior(WORLD.b[None])[1]
    tril = np.linalg.cholesky(covariance)
    scale = np.diag(tril)
    below = (tril / scale[:, None])[np.tril_indices(3, -1)]
    head = np.hstack([gain.T, np.zeros((5, 3))]), np.concatenate([-gain @ WORLD.b, np.log(scale)])
    where = lambda e: (e.head.weight, e.head.bias, e.below.weight, e.below.bias)  # noqa: E731
    return eqx.tree_at(
        where, encoder, tuple(jnp.asarray(a) for a in (*head, np.zeros((5, 3)), below))
    )


def test_with_the_correlated_posterior_every_weight_is_the_evidence(x64):
    model = Model(StandardNormal(3), with_posterior(build("full_normal")), WORLD.model.decoder)
    x = WORLD.data(6, seed=0)
    found = np.asarray(log_weights(model, x, key=jr.key(0), num_samples=4).tempered())
    np.testing.assert_allclose(found, np.broadcast_to(WORLD.log_evidence(x), (4, 6)), atol=1e-10)


@pytest.mark.parametrize("name", ["full_normal", "diagonal_normal"])
def test_the_best_fit_of_a_correlated_posterior(x64, name):
    """The full normal closes the gap; the best diagonal one leaves 1/2 (sum log M_ii - log |M|) (validation.md case 4)."""
    x = np.random.default_rng(1).normal(
        size=(50, 5)
    )  # any data will do; those of the model are nearly collinear
    mean, covariance = (jnp.asarray(a) for a in WORLD.posterior(x))
    tril = jnp.linalg.cholesky(covariance)
    parameters, constants, static = partition(build(name))

    def gap(parameters):
        encoder = eqx.combine(parameters, constants, static)

        def one(x, m):
            q = encoder(x)
            q = (
                q
                if name == "full_normal"
                else full_normal(q.base_dist.loc, jnp.diag(q.base_dist.scale))
            )
            return kl_divergence(q, full_normal(m, tril))

        return jax.vmap(one)(jnp.asarray(x), mean).mean()

    optimiser = optax.adam(optax.cosine_decay_schedule(0.05, 3000))

    @jax.jit
    def train(parameters):
        def step(carry, _):
            updates, state = optimiser.update(jax.grad(gap)(carry[0]), carry[1])
            return (eqx.apply_updates(carry[0], updates), state), None

        return jax.lax.scan(step, (parameters, optimiser.init(parameters)), length=3000)[0][0]

    left = 0.5 * (np.log(np.diag(WORLD.m)).sum() - np.linalg.slogdet(WORLD.m)[1])
    assert left > 0.05
    assert float(gap(train(parameters))) == pytest.approx(
        0 if name == "full_normal" else left, abs=1e-3
    )


@pytest.mark.parametrize("name", ["full_normal", "flow"])
def test_it_starts_as_a_diagonal_normal(x64, name):
    encoder = build(name)
    x, z = WORLD.data(1, seed=2)[0], np.random.default_rng(3).normal(size=(9, 3))
    q = encoder(jnp.asarray(x))
    loc, log_scale = (x @ np.asarray(encoder.head.weight)).reshape(2, 3)
    normal = dist.Normal(loc, np.exp(log_scale)).to_event(1)
    np.testing.assert_allclose(q.log_prob(jnp.asarray(z)), normal.log_prob(z), rtol=1e-10)


def test_learned_degrees_of_freedom_start_where_they_are_told_and_stay_above_two(x64):
    encoder = build("student_t", df=7.0, learn_df=True)
    x = jnp.ones(5)
    np.testing.assert_allclose(encoder(x).df, 7.0, rtol=1e-12)
    low = eqx.tree_at(lambda e: e.log_df_above_2, encoder, jnp.full(3, -20.0))
    assert (low(x).df > 2).all()
    assert build("student_t", df=7.0).log_df_above_2 is None
    np.testing.assert_allclose(build("student_t", df=7.0)(x).df, 7.0)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "full_normal",
            {"latent_dim": 1},
            "encoder full_normal needs at least two latent dimensions.*got 1. Use --set encoder.name=diagonal_normal",
        ),
        ("flow", {"latent_dim": 1}, "encoder flow needs at least two latent dimensions.*got 1"),
        ("flow", {"num_layers": 0}, "encoder flow: num_layers must be at least 1; got 0"),
        ("flow", {"hidden": 0}, "encoder flow: hidden must be at least 1; got 0"),
        (
            "student_t",
            {"df": 2.0},
            "encoder student_t: df must be above 2 and finite; got 2.0.*no variance",
        ),
        (
            "student_t",
            {"df": float("inf")},
            "df must be above 2 and finite; got inf.*encoder.name=diagonal_normal",
        ),
        *(
            (
                name,
                {"max_log_scale": 0.0},
                f"encoder {name}: max_log_scale must be positive; got 0.0",
            )
            for name in ("full_normal", "student_t", "flow")
        ),
    ],
)
def test_refusals_name_the_value_and_the_remedy(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, **options)


@pytest.mark.parametrize(
    "name", [name for name in encoders.names() if "max_log_scale" in encoders.options(name)]
)
def test_the_scale_is_bounded_and_inputs_may_be_logarithmic(x64, name):
    encoder = build(name, max_log_scale=0.5, input_transform="log1p")
    x = jnp.array([0.0, 1.0, 10.0, 1e3, 1e6])
    far = eqx.tree_at(lambda e: e.head.bias, encoder, jnp.full(6, 100.0))
    same = eqx.tree_at(lambda e: e.head.bias, build(name, max_log_scale=0.5), jnp.full(6, 100.0))
    seen, plain = far(x), same(jnp.log1p(x))
    z = jnp.zeros(3) + 100
    assert float(seen.log_prob(z)) == pytest.approx(float(plain.log_prob(z)), rel=1e-10)
    scale = {
        "full_normal": lambda q: jnp.diag(q.scale_tril),
        "diagonal_normal": lambda q: q.base_dist.scale,
    }.get(name, lambda q: q.scale)(seen)
    np.testing.assert_allclose(scale, np.exp(0.5), rtol=1e-12)


def data():
    return (np.random.default_rng(4).random((60, 5)) < 0.4).astype(np.uint8)


def test_closed_form_kl_of_a_full_normal_is_that_of_draws_and_of_others_is_refused():
    arguments = {
        "latent_dim": 2,
        "network": {"name": "dense", "hidden": (4,)},
        "data": data(),
        "key": jr.key(0),
    }
    model = jensen.vae((5,), encoder="full_normal", **arguments)
    ClosedFormKL().check(ELBO(), model, 1)
    model = eqx.tree_at(lambda m: m.encoder.below.weight, model, jnp.ones((4, 1)))
    x = jnp.asarray(data()[0])
    found = ClosedFormKL().surrogate(
        ELBO(), model, model.prior(model.encoder), x, jr.key(1), num_samples=1, beta=1.0
    )
    w = log_weights(model, x[None], key=jr.key(2), num_samples=20_000)
    kl = np.asarray(w.log_posterior - w.log_prior)[:, 0]
    assert abs(float(found.average_kl) - kl.mean()) < 5 * kl.std() / np.sqrt(len(kl))
    for name in ("student_t", "flow"):
        other = jensen.vae((5,), encoder=name, **arguments)
        with pytest.raises(
            ValueError,
            match=f"no closed form of KL.*from a {name} posterior to the standard_normal prior. Valid here: .*--gradient pathwise",
        ):
            ClosedFormKL().check(ELBO(), other, 1)


class Hidden:
    """A distribution that is no pytree."""

    def __init__(self, loc):
        self.loc = loc

    def sample(self, key, sample_shape=()):
        return self.loc + jr.normal(key, (*sample_shape, 2))

    def log_prob(self, value):
        return -0.5 * jnp.sum(jnp.square(value - self.loc), -1)


class Chosen(AbstractEncoder):
    family: object = eqx.field(static=True)

    def __call__(self, x: Array) -> Distribution:
        return self.family(x[:2].astype(float))


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (Hidden, "holds no arrays: it must be a pytree"),
        (
            lambda x: dist.Bernoulli(logits=x).to_event(1),
            'posteriors are discrete and the prior is continuous.*prior="vamp"',
        ),
    ],
)
def test_what_nothing_could_account_for_is_refused_before_training(family, message):
    model = jensen.vae(
        (5,), latent_dim=2, network={"name": "dense", "hidden": (4,)}, data=data(), key=jr.key(0)
    )
    with pytest.raises(ValueError, match=message):
        jensen.fit(
            Model(model.prior, Chosen(family), model.decoder),
            data(),
            epochs=1,
            key=jr.key(1),
            progress=False,
        )


def test_an_account_of_a_model_with_discrete_codes_closes(x64):
    """Codes of two bits under a prior that is the mixture of their posteriors: everything by enumeration."""
    x = data().astype(float)
    family = lambda x: dist.Bernoulli(probs=0.1 + 0.7 * x).to_event(1)  # noqa: E731
    encoder, decoder = Chosen(family), LinearDecoder(jnp.ones((5, 2)), jnp.zeros(5), jnp.zeros(()))
    prior = jensen.priors.Aggregated(jensen.likelihoods.summarise(data()))
    found = jensen.account(
        Model(prior, encoder, decoder), x, key=jr.key(2), num_samples=20, num_draws=400
    )
    codes = jnp.asarray([[a, b] for a in (0, 1) for b in (0, 1)])
    q = np.exp(np.asarray(jax.vmap(lambda x: jax.vmap(encoder(x).log_prob)(codes))(jnp.asarray(x))))
    information = np.mean(np.sum(q * np.log(q / q.mean(0)), axis=1))
    assert (
        abs(found.index_information.value - information)
        < 5 * found.index_information.standard_error
    )
    assert found.index_information.standard_error < 0.05 * information
    assert abs(found.marginal_kl.value) < 1e-10
    assert found.active_units == 2


@pytest.mark.parametrize(
    "encoder",
    [
        pytest.param("full_normal", marks=pytest.mark.slow),
        "student_t",
        pytest.param("flow", marks=pytest.mark.slow),
    ],
)
def test_a_new_prior_on_a_frozen_encoder_wins_marginal_kl_alone(encoder):
    x = data()
    model = jensen.vae(
        (5,),
        latent_dim=2,
        encoder=encoder,
        network={"name": "dense", "hidden": (8,)},
        data=x,
        key=jr.key(0),
    )
    model = jensen.fit(
        model, x, epochs=10, beta=0.05, warm_up=0, learning_rate=0.01, key=jr.key(1), progress=False
    ).model
    fit = jensen.refit_prior(
        model,
        {"name": "mixture", "num_components": 4},
        x,
        epochs=60,
        learning_rate=0.03,
        key=jr.key(2),
        progress=False,
    )
    before, after = (
        jensen.account(m, x, key=jr.key(3), num_samples=20, num_draws=16)
        for m in (model, fit.model)
    )
    won = after.elbo.value - before.elbo.value
    assert won > 0.1
    assert before.marginal_kl.value - after.marginal_kl.value == pytest.approx(won, abs=1e-4)
    assert after.index_information.value == pytest.approx(before.index_information.value, abs=1e-9)


@pytest.mark.parametrize("encoder", ["full_normal", pytest.param("flow", marks=pytest.mark.slow)])
def test_a_model_of_two_levels_has_it_on_the_top(encoder):
    x = data()
    network = {"name": "dense", "hidden": (6, 5)}
    prior = {"name": "vamp", "num_components": 4}
    model = jensen.hvae(
        (5,),
        latent_dim=(2, 2),
        encoder=encoder,
        prior=prior,
        network=network,
        data=x,
        key=jr.key(0),
    )
    fit = jensen.fit(model, x, epochs=2, key=jr.key(1), progress=False)
    found = jensen.account(fit.model, x, key=jr.key(2), num_samples=20, num_draws=2)
    v = {k: line.value for k, line in found.lines.items()}
    assert v["kl_z2"] == pytest.approx(v["index_information"] + v["marginal_kl"], abs=1e-10)
    assert v["average_kl"] == pytest.approx(v["kl_z1"] + v["kl_z2"], abs=1e-10)
    assert found.joint_information is not None
    assert found.joint_information.value + 5 * found.joint_information.standard_error > 0


def test_pseudo_inputs_of_any_family_are_a_mixture_of_its_posteriors(x64):
    encoder = build("full_normal", latent_dim=2)
    encoder = eqx.tree_at(lambda e: e.below.weight, encoder, jnp.full((5, 1), 0.4))
    rows = jensen.likelihoods.summarise(data())
    prior = jensen.priors.Aggregated(rows)
    z = jnp.asarray(np.random.default_rng(5).normal(size=(7, 2)))
    each = stack(encoder, jnp.asarray(data(), float)).map(lambda q: jax.vmap(q.log_prob)(z))
    np.testing.assert_allclose(
        prior(encoder).log_prob(z), jax.nn.logsumexp(each, axis=0) - np.log(60), rtol=1e-10
    )
