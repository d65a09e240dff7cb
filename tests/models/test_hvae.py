"""Models of two levels against closed forms: a linear-Gaussian hierarchy whose posterior is known exactly, and the parts it is made of."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import integrate, stats

import jensen
from jensen.anatomy.level_information import joint_information
from jensen.distributions import Joint, complete, diagonal_normal, level_log_probs
from jensen.models import build_model
from jensen.models.hvae import hvae
from jensen.weights import log_weights

LINEAR = {"name": "dense", "hidden": ()}
A, A0, S1, B1, B2, S = 0.7, 0.3, 0.6, np.array([1.0, -0.5, 0.2]), np.array([0.4, 0.9, -0.3]), 0.5


def gaussian_conditional(mean, cov, x):
    """The law of the first two of (z2, z1, x), given x: mean [2], covariance [2, 2]."""
    gain = cov[:2, 2:] @ np.linalg.inv(cov[2:, 2:])
    return mean[:2] + gain @ (x - mean[2:]), cov[:2, :2] - gain @ cov[2:, :2], gain


@pytest.fixture
def linear(x64):
    """z2 ~ N(0, 1), z1 ~ N(A z2 + A0, S1^2), x ~ N(B1 z1 + B2 z2, S^2), with the exact posterior as encoder; (model, mean and covariance of z2, z1, x)."""
    mean = np.concatenate([[0, A0], B1 * A0])
    root = np.zeros((5, 5))  # (z2, z1, x) = mean + root e
    root[0, 0], root[1, :2], root[2:, 0], root[2:, 1], root[2:, 2:] = (
        1,
        (A, S1),
        B1 * A + B2,
        B1 * S1,
        S * np.eye(3),
    )
    cov = root @ root.T
    model = hvae(
        (3,),
        latent_dim=(1, 1),
        likelihood={"name": "normal", "scale": "shared", "min_scale": 1e-9},
        network=LINEAR,
        key=jr.key(0),
    )
    posterior_mean0, posterior_cov, gain = gaussian_conditional(mean, cov, np.zeros(3))
    s2 = np.sqrt(posterior_cov[0, 0])
    slope = posterior_cov[1, 0] / posterior_cov[0, 0]
    s1 = np.sqrt(posterior_cov[1, 1] - slope * posterior_cov[1, 0])

    def head(weight_of_loc, loc, log_scale):
        w = np.asarray(weight_of_loc, float).reshape(-1, 1)
        return jnp.asarray(np.hstack([w, np.zeros_like(w)])), jnp.asarray([loc, log_scale])

    q2 = head(gain[0], posterior_mean0[0], np.log(s2))
    q1 = head(
        [*(gain[1] - slope * gain[0]), slope],
        posterior_mean0[1] - slope * posterior_mean0[0],
        np.log(s1),
    )
    p1 = head([A], A0, np.log(S1))
    where = lambda m: (  # noqa: E731
        *(
            m.encoder.top.head.weight,
            m.encoder.top.head.bias,
            m.encoder.below[0].head.weight,
            m.encoder.below[0].head.bias,
        ),
        *(
            m.prior.below[0].head.weight,
            m.prior.below[0].head.bias,
            m.decoder.head.weight,
            m.decoder.head.bias,
            m.decoder.likelihood.log_scale,
        ),
    )
    values = (
        *q2,
        *q1,
        *p1,
        jnp.asarray(np.vstack([B1, B2])),
        jnp.zeros(3),
        jnp.log(jnp.asarray([S])),
    )
    return eqx.tree_at(where, model, values), mean, cov


def data_of(mean, cov, n, seed=0):
    return np.random.default_rng(seed).multivariate_normal(mean, cov, n)[:, 2:]


def test_with_the_exact_posterior_every_weight_is_the_evidence(linear):
    model, mean, cov = linear
    x = data_of(mean, cov, 7)
    exact = stats.multivariate_normal(mean[2:], cov[2:, 2:]).logpdf(x)
    weights = eqx.filter_jit(log_weights)(model, x, key=jr.key(1), num_samples=5)
    np.testing.assert_allclose(weights.tempered(), np.broadcast_to(exact, (5, 7)), atol=1e-7)


def test_the_account_has_the_kl_of_each_level(linear):
    model, mean, cov = linear
    n = 40
    x = data_of(mean, cov, n, seed=2)
    found = jensen.account(model, x, key=jr.key(3), num_draws=4000, num_samples=100)
    posterior = [gaussian_conditional(mean, cov, row)[:2] for row in x]
    m2, v2 = np.array([m[0] for m, _ in posterior]), np.array([c[0, 0] for _, c in posterior])
    kl_z2 = np.mean(0.5 * (v2 + m2**2 - 1 - np.log(v2)))
    # KL(q(z1, z2|x) || p(z1, z2)) of two Gaussians, less that of z2, is the expected KL of z1 given z2.
    prior_mean, prior_cov = mean[:2], cov[:2, :2]
    inverse = np.linalg.inv(prior_cov)

    def total(m, c):
        return 0.5 * (
            np.trace(inverse @ c)
            + (m - prior_mean) @ inverse @ (m - prior_mean)
            - 2
            + np.linalg.slogdet(prior_cov)[1]
            - np.linalg.slogdet(c)[1]
        )

    kl = np.mean([total(m, c) for m, c in posterior])

    def aggregated(z):
        return np.mean(stats.norm.pdf(z, m2, np.sqrt(v2)))

    grid = np.linspace(-8, 8, 4001)
    density = np.array([aggregated(z) for z in grid])
    marginal = integrate.trapezoid(density * (np.log(density) - stats.norm.logpdf(grid)), grid)
    for name, expected in [
        ("kl_z2", kl_z2),
        ("kl_z1", kl - kl_z2),
        ("average_kl", kl),
        ("marginal_kl", marginal),
        ("index_information", kl_z2 - marginal),
    ]:
        line = found.line(name)
        assert abs(line.value - expected) < 5 * line.standard_error, name
    assert abs(found.jensen_gap.value) < 1e-7
    assert list(found.lines)[4:8] == ["average_kl", "kl_z1", "kl_z2", "index_information"]
    again = jensen.Account.from_json(found.to_json(), found.arrays())
    assert str(again) == str(found)
    assert "KL of z1" in str(found)


def test_information_of_all_levels_is_that_of_the_exact_mixture(linear):
    model, mean, cov = linear
    x = data_of(mean, cov, 30, seed=4)
    found = joint_information(model, x, key=jr.key(5))
    posterior = [stats.multivariate_normal(*gaussian_conditional(mean, cov, row)[:2]) for row in x]
    rng, draws = np.random.default_rng(6), 2000
    values = []
    for q in posterior:
        z = q.rvs(draws, random_state=rng)
        densities = np.stack([p.logpdf(z) for p in posterior])
        values.append(q.logpdf(z) - (np.logaddexp.reduce(densities, axis=0) - np.log(30)))
    expected = np.mean(values)
    assert abs(found.value - expected) < 5 * found.standard_error
    # The spread within a datum alone is what one draw of each leaves; the error said must not be smaller than it.
    assert found.standard_error > 0.9 * np.sqrt(np.mean(np.var(values, axis=1)) / 30)
    assert found.n == 30
    assert joint_information(model, x, key=jr.key(5), subset=10).log_n == pytest.approx(np.log(10))


def test_chained_samples_have_the_moments_of_the_density(linear):
    model, mean, cov = linear
    prior = model.prior(model.encoder)
    z1, z2 = jax.jit(lambda k: prior.sample(k, (200_000,)))(jr.key(7))
    z = np.stack([np.asarray(z2)[:, 0], np.asarray(z1)[:, 0]])
    error = np.sqrt(np.diag(cov)[:2] / 200_000)
    assert (np.abs(z.mean(1) - mean[:2]) < 5 * error).all()
    assert (
        np.abs(np.cov(z) - cov[:2, :2])
        < 5 * np.sqrt(2 * np.outer(np.diag(cov)[:2], np.diag(cov)[:2]) / 200_000)
    ).all()
    exact = stats.multivariate_normal(mean[:2], cov[:2, :2])
    np.testing.assert_allclose(
        jax.vmap(prior.log_prob)((z1[:9], z2[:9])), exact.logpdf(z[:, :9].T), atol=1e-9
    )
    np.testing.assert_allclose(
        level_log_probs(prior, (z1[0], z2[0])).sum(), prior.log_prob((z1[0], z2[0])), atol=1e-12
    )
    np.testing.assert_allclose(complete(prior, z2[3])[0], A * z2[3] + A0, atol=1e-12)


def test_three_levels_are_a_chain(x64):
    step = lambda a: lambda z: diagonal_normal(a * z, jnp.full(1, 0.5))  # noqa: E731
    joint = Joint(diagonal_normal(jnp.zeros(1), jnp.ones(1)), (step(2.0), step(-1.0)))
    z1, z2, z3 = joint.sample(jr.key(0))
    expected = (
        stats.norm.logpdf(z3) + stats.norm.logpdf(z2, 2 * z3, 0.5) + stats.norm.logpdf(z1, -z2, 0.5)
    )
    np.testing.assert_allclose(joint.log_prob((z1, z2, z3)), expected[0], atol=1e-12)
    np.testing.assert_allclose(joint.completed(jnp.ones(1)), ([-2.0], [2.0], [1.0]))


@pytest.mark.parametrize(
    "prior", ["standard_normal", pytest.param("mixture", marks=pytest.mark.slow), "vamp"]
)
def test_three_levels_train_and_their_draws_depend_on_no_batch(prior):
    x = np.tile([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], (6, 1)).astype(
        np.uint8
    )  # half of the pixels tell all: log 2 is what a model can reach
    choice = {"name": prior} if prior == "standard_normal" else {"name": prior, "num_components": 3}
    model = hvae(
        (6,),
        latent_dim=(3, 2, 2),
        prior=choice,
        network={"name": "gated_dense", "hidden": (5, 4)},
        data=x,
        key=jr.key(1),
    )
    together = eqx.filter_jit(log_weights)(model, x, key=jr.key(2), num_samples=3)
    alone = eqx.filter_jit(log_weights)(
        model, x[5:6], key=jr.key(2), num_samples=3, index=np.array([5])
    )
    np.testing.assert_allclose(together.tempered()[:, 5], alone.tempered()[:, 0], atol=1e-5)
    data = jensen.Dataset("bits", x, x[:4], x[:4])
    before = float(together.tempered().mean())
    fitted = jensen.fit(
        model,
        data,
        epochs=60,
        batch_size=4,
        learning_rate=0.02,
        patience=0,
        key=jr.key(3),
        progress=False,
    )
    assert (
        float(
            eqx.filter_jit(log_weights)(fitted.model, x, key=jr.key(2), num_samples=3)
            .tempered()
            .mean()
        )
        > before + 0.5
    )


def test_a_vamp_prior_sits_on_the_top_level():
    model = hvae(
        (6,),
        latent_dim=(3, 2),
        prior={"name": "vamp", "num_components": 4},
        network={"name": "dense", "hidden": (5,)},
        key=jr.key(1),
    )
    prior = model.prior(model.encoder)
    means = jax.vmap(lambda u: model.encoder(u).top.mean)(model.prior.top.pseudo_inputs)
    np.testing.assert_allclose(prior.top.loc, means, atol=1e-6)
    assert prior.sample(jr.key(0))[0].shape == (3,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent_dim": (3,)}, "at least two levels"),
        ({"latent_dim": (3, 0)}, "latent_dim must be at least 1; got 0"),
    ],
)
def test_wrong_levels_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        hvae((6,), **arguments, key=jr.key(0))


@pytest.mark.slow
@pytest.mark.parametrize(
    "decoder",
    [
        {"name": "gated_conv", "hidden": (5,), "channels": (2,), "kernels": (3,)},
        {"name": "pixel_cnn", "num_layers": 2, "channels": 3},
    ],
)
def test_a_convolutional_hierarchy_is_the_sum_of_its_conditionals(x64, decoder):
    """The convHVAE and the PixelHVAE: the encoder's network reads the data, `network` reads codes; log p(x|z1, z2) depends on both levels."""
    x = np.random.default_rng(0).integers(0, 2, (6, 4, 4)).astype(np.uint8)
    network = {
        "network": {"name": "gated_dense", "hidden": (5, 4)},
        "encoder_network": {
            "name": "gated_conv",
            "channels": (2, 3),
            "kernels": (3, 3),
            "strides": (1, 2),
        },
    }
    model = hvae(
        (4, 4),
        latent_dim=(3, 2),
        prior={"name": "vamp", "num_components": 3},
        decoder=decoder,
        **network,
        data=x,
        key=jr.key(1),
    )
    q, p = model.encoder(jnp.asarray(x[0])), model.prior(model.encoder)
    z1, z2 = q.sample(jr.key(2))
    above = (model.encoder.top.standardise(jnp.asarray(x[0])), z2)
    np.testing.assert_allclose(
        q.log_prob((z1, z2)),
        model.encoder.below[0](above).log_prob(z1)
        + model.encoder.top(jnp.asarray(x[0])).log_prob(z2),
        atol=1e-12,
    )
    np.testing.assert_allclose(
        p.log_prob((z1, z2)), model.prior.below[0](z2).log_prob(z1) + p.top.log_prob(z2), atol=1e-12
    )
    gradient = jax.grad(lambda z: model.decoder(z).log_prob(jnp.asarray(x[0])))((z1, z2))
    assert all(np.abs(g).min() > 0 for g in gradient)
    together = eqx.filter_jit(log_weights)(model, x, key=jr.key(2), num_samples=3)
    alone = eqx.filter_jit(log_weights)(
        model, x[4:5], key=jr.key(2), num_samples=3, index=np.array([4])
    )
    np.testing.assert_allclose(together.tempered()[:, 4], alone.tempered()[:, 0], atol=1e-9)
    again = build_model(model.recipe.values, key=jr.key(1))
    assert jax.tree.structure(again) == jax.tree.structure(model)
