"""Markov chains of latent variables against closed forms: a linear-Gaussian chain whose posterior is one too."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import integrate, stats

import jensen
from jensen.anatomy.level_information import joint_information
from jensen.anatomy.units import active_units_by_level, variance_of_means
from jensen.distributions import (
    BottomUp,
    complete,
    diagonal_normal,
    level_log_probs,
    root_code,
    root_of,
)
from jensen.models import build_model
from jensen.models.hvae import hvae
from jensen.models.markov import markov
from jensen.weights import log_weights

LINEAR = {"name": "dense", "hidden": ()}
A, A0, SCALES = (0.7, -0.5), (0.3, -0.2), (0.6, 0.8)  # z_l ~ N(A[l] z_{l+1} + A0[l], SCALES[l]^2)
B, S = np.array([1.0, -0.5, 0.2]), 0.5


def chain(levels):
    """Mean and covariance of (z_1, ..., z_L, x)."""
    mean, root = np.zeros(levels + 3), np.zeros((levels + 3, levels + 3))  # = mean + root e
    root[levels - 1, levels - 1] = 1
    for level in reversed(range(levels - 1)):
        mean[level] = A[level] * mean[level + 1] + A0[level]
        root[level] = A[level] * root[level + 1]
        root[level, level] = SCALES[level]
    mean[levels:] = B * mean[0]
    root[levels:] = np.outer(B, root[0])
    root[levels:, levels:] += S * np.eye(3)
    return mean, root @ root.T


def given(mean, cov, at, known):
    """Of the coordinate `at` given those of `known`: (weights of these, constant, standard deviation)."""
    known = list(known)
    weights = np.linalg.solve(cov[np.ix_(known, known)], cov[known, at])
    return (
        weights,
        mean[at] - weights @ mean[known],
        math.sqrt(cov[at, at] - weights @ cov[known, at]),
    )


def head(weights, loc, scale):
    w = np.asarray(weights, float).reshape(-1, 1)
    return jnp.asarray(np.hstack([w, np.zeros_like(w)])), jnp.asarray([loc, np.log(scale)])


def linear(levels, *, shift=0.0, stretch=1.0):
    """(model, mean and covariance of (z_1, ..., z_L, x)); the encoder is the exact posterior, every conditional moved by `shift` and widened by `stretch`."""
    mean, cov = chain(levels)
    likelihood = {"name": "normal", "scale": "shared", "min_scale": 1e-9}
    model = markov(
        (3,), latent_dim=(1,) * levels, likelihood=likelihood, network=LINEAR, key=jr.key(0)
    )
    q = [
        given(mean, cov, 0, range(levels, levels + 3)),
        *(given(mean, cov, level, [level - 1]) for level in range(1, levels)),
    ]
    q = [head(w, loc + shift, stretch * scale) for w, loc, scale in q]
    p = [head([A[level]], A0[level], SCALES[level]) for level in reversed(range(levels - 1))]

    def heads(m):
        parts = [m.encoder.first, *m.encoder.above, *m.prior.below]
        decoder = m.decoder.decoder
        return [a for part in parts for a in (part.head.weight, part.head.bias)] + [
            decoder.head.weight,
            decoder.head.bias,
            decoder.likelihood.log_scale,
        ]

    values = [a for pair in [*q, *p] for a in pair] + [
        jnp.asarray(B[None]),
        jnp.zeros(3),
        jnp.log(jnp.asarray([S])),
    ]
    return eqx.tree_at(heads, model, values), mean, cov


def data_of(mean, cov, n, seed=0):
    return np.random.default_rng(seed).multivariate_normal(mean, cov, n)[:, -3:]


@pytest.mark.parametrize("levels", [2, 3])
def test_with_the_exact_posterior_every_weight_is_the_evidence(x64, levels):
    model, mean, cov = linear(levels)
    x = data_of(mean, cov, 7)
    exact = stats.multivariate_normal(mean[levels:], cov[levels:, levels:]).logpdf(x)
    weights = eqx.filter_jit(log_weights)(model, x, key=jr.key(1), num_samples=5)
    np.testing.assert_allclose(weights.tempered(), np.broadcast_to(exact, (5, 7)), atol=1e-10)


@pytest.mark.parametrize("levels", [2, 3])
def test_draws_of_the_posterior_have_the_moments_of_its_density(x64, levels):
    model, mean, cov = linear(levels)
    x = data_of(mean, cov, 1, seed=3)[0]
    q = model.encoder(jnp.asarray(x))
    gain = cov[:levels, levels:] @ np.linalg.inv(cov[levels:, levels:])
    loc, spread = (
        mean[:levels] + gain @ (x - mean[levels:]),
        cov[:levels, :levels] - gain @ cov[levels:, :levels],
    )
    n = 200_000
    z = np.stack(
        [np.asarray(level)[:, 0] for level in jax.jit(lambda k: q.sample(k, (n,)))(jr.key(7))]
    )
    sd = np.sqrt(np.diag(spread))
    assert (np.abs(z.mean(1) - loc) < 5 * sd / math.sqrt(n)).all()
    # Var of a sample covariance of normals: (s_ii s_jj + s_ij^2) / n
    assert (np.abs(np.cov(z) - spread) < 5 * np.sqrt((np.outer(sd, sd) ** 2 + spread**2) / n)).all()
    code = tuple(jnp.asarray(z[level, :9, None]) for level in range(levels))
    np.testing.assert_allclose(
        jax.vmap(q.log_prob)(code),
        stats.multivariate_normal(loc, spread).logpdf(z[:, :9].T),
        atol=1e-9,
    )
    one = tuple(level[0] for level in code)
    np.testing.assert_allclose(level_log_probs(q, one).sum(), q.log_prob(one), atol=1e-12)
    np.testing.assert_allclose(
        root_of(q).log_prob(root_code(q, one)), level_log_probs(q, one)[0], atol=1e-12
    )
    # From z_1 at its mean upwards, conditional means of a Gaussian are means.
    np.testing.assert_allclose(np.concatenate(complete(q, root_of(q).mean)), loc, atol=1e-10)


def test_both_parts_of_the_average_kl_are_exact_over_all_levels(x64):
    model, mean, cov = linear(2, shift=0.4, stretch=0.8)
    n = 40
    x = data_of(mean, cov, n, seed=2)
    found = jensen.account(model, x, key=jr.key(3), num_draws=4000, num_samples=100)
    w, c, s = given(mean, cov, 0, [2, 3, 4])
    m1, s1 = x @ w + c + 0.4, 0.8 * s
    w2, c2, s2 = given(mean, cov, 1, [0])
    slope, c2, s2 = w2[0], c2 + 0.4, 0.8 * s2
    grid = np.linspace(-8, 8, 8001)
    # E over z2 ~ q(z2|z1) of log q(z2|z1) - log p(z2) - log p(z1|z2), as a function of z1
    m2 = slope * grid + c2
    entropy = 0.5 + 0.5 * np.log(2 * np.pi * s2**2)
    log_p2 = -0.5 * (m2**2 + s2**2 + np.log(2 * np.pi))
    log_p1 = -0.5 * (
        ((grid - A[0] * m2 - A0[0]) ** 2 + (A[0] * s2) ** 2) / SCALES[0] ** 2
        + np.log(2 * np.pi * SCALES[0] ** 2)
    )
    rest = -entropy - log_p2 - log_p1
    density = stats.norm.pdf(grid[:, None], m1, s1).mean(axis=1)
    marginal = integrate.trapezoid(density * (np.log(density + 1e-300) + rest), grid)
    entropy_of_z1 = 0.5 + 0.5 * np.log(2 * np.pi * s1**2)
    information = -integrate.trapezoid(density * np.log(density + 1e-300), grid) - entropy_of_z1
    average = -entropy_of_z1 + integrate.trapezoid(density * rest, grid)
    for name, expected in [
        ("average_kl", average),
        ("marginal_kl", marginal),
        ("index_information", information),
    ]:
        line = found.line(name)
        assert abs(line.value - expected) < 5 * line.standard_error, name
        assert line.standard_error < 0.02
    # I(n; z1, z2) is I(n; z1): brute force over all levels and all data.
    joint = joint_information(model, x, key=jr.key(5))
    assert joint.n == n
    assert abs(joint.value - information) < 5 * joint.standard_error
    assert (found.levels, found.joint_information) == ({}, None)
    again = jensen.Account.from_json(found.to_json(), found.arrays())
    assert str(again) == str(found)


def test_the_same_posterior_factorised_downwards_has_the_same_account_but_for_its_split(x64):
    """q(z1|x) q(z2|z1) = q(z2|x) q(z1|x, z2): a chain and an hvae of one density; the one splits the KL of both levels, the other that of the top."""
    model, mean, cov = linear(2)
    x = data_of(mean, cov, 30, seed=4)
    found = jensen.account(model, x, key=jr.key(3), num_draws=2000, num_samples=10)
    # An hvae with the same posterior, factorised the other way: q(z2|x) q(z1|x, z2).
    other = hvae(
        (3,),
        latent_dim=(1, 1),
        likelihood={"name": "normal", "scale": "shared", "min_scale": 1e-9},
        network=LINEAR,
        key=jr.key(0),
    )
    q2, q1 = given(mean, cov, 1, [2, 3, 4]), given(mean, cov, 0, [2, 3, 4, 1])
    p1 = model.prior.below[0].head
    decoder = model.decoder.decoder
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
        *head(*q2),
        *head(*q1),
        p1.weight,
        p1.bias,
        jnp.asarray(np.vstack([B, 0 * B])),
        decoder.head.bias,
        decoder.likelihood.log_scale,
    )
    other = eqx.tree_at(where, other, values)
    same = jensen.account(other, x, key=jr.key(4), num_draws=2000, num_samples=10)
    for name in ("average_kl", "elbo", "reconstruction", "entropy", "expected_energy"):
        ours, theirs = found.line(name), same.line(name)
        assert (
            abs(ours.value - theirs.value)
            < 5 * math.hypot(ours.standard_error, theirs.standard_error) + 1e-9
        ), name
    assert list(same.levels) == ["kl_z1", "kl_z2"]
    # Data processing: z2 tells less of the datum than z1 and z2 together.
    assert same.index_information.value < found.index_information.value


def test_active_units_of_each_level_are_those_of_the_posterior_means(x64):
    model, mean, cov = linear(3)
    x = data_of(mean, cov, 600, seed=6)
    gain = cov[:3, 3:] @ np.linalg.inv(cov[3:, 3:])
    expected = ((x - mean[3:]) @ gain.T).var(axis=0)
    found = np.concatenate(variance_of_means(model, x, key=jr.key(0), num_draws=200))
    # The noise of a mean of 200 draws is taken off; what is left is its fluctuation over 600 data.
    noise = np.diag(cov)[:3] / 200
    tolerance = 5 * np.sqrt(4 * expected * noise / 600 + 2 * noise**2 / 600)
    assert (np.abs(found - expected) < tolerance).all()
    silent = eqx.tree_at(lambda m: m.encoder.above[1].head.weight, model, jnp.zeros((1, 2)))
    assert (
        active_units_by_level(model, x, key=jr.key(0)),
        active_units_by_level(silent, x, key=jr.key(0)),
    ) == ((1, 1, 1), (1, 1, 0))
    with pytest.raises(
        ValueError, match="num_draws must be at least 2, or the noise of a mean is not known; got 1"
    ):
        active_units_by_level(model, x, key=jr.key(0), num_draws=1)


def test_it_trains_its_draws_depend_on_no_batch_and_a_recipe_builds_it_again():
    x = np.tile([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]], (6, 1)).astype(
        np.uint8
    )  # half of the pixels tell all: log 2 is what a model can reach
    network = {
        "network": {"name": "dense", "hidden": (4,), "activation": "tanh"},
        "encoder_network": {"name": "dense", "hidden": (7,)},
    }
    model = markov(
        (6,),
        latent_dim=(3, 2, 2),
        prior={"name": "mixture", "num_components": 3},
        **network,
        data=x,
        key=jr.key(1),
    )
    widths = [
        part.network.out_size
        for part in (
            model.encoder.first,
            *model.encoder.above,
            *model.prior.below,
            model.decoder.decoder,
        )
    ]
    assert widths == [7, 4, 4, 4, 4, 4]
    together = eqx.filter_jit(log_weights)(model, x, key=jr.key(2), num_samples=3)
    alone = eqx.filter_jit(log_weights)(
        model, x[5:6], key=jr.key(2), num_samples=3, index=np.array([5])
    )
    np.testing.assert_allclose(together.tempered()[:, 5], alone.tempered()[:, 0], atol=1e-5)
    data = jensen.Dataset("bits", x, x[:4], x[:4])
    before = float(together.tempered().mean())
    bound = jensen.bounds.IWAE()
    fitted = jensen.fit(
        model,
        data,
        bound=bound,
        num_samples=3,
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
    again = build_model(model.recipe.values, key=jr.key(1))
    assert jax.tree.structure(again) == jax.tree.structure(model)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent_dim": (3,)}, "at least two levels"),
        ({"latent_dim": (3, 0)}, "latent_dim must be at least 1; got 0"),
        (
            {"encoder": "bernoulli"},
            "encoder 'bernoulli' is for binary codes, but the levels of a markov model are continuous",
        ),
        (
            {"prior": "bernoulli"},
            "prior 'bernoulli' is for binary codes, but the levels of a markov model are continuous",
        ),
        (
            {"prior": {"name": "vamp", "num_components": 2}},
            r"prior 'vamp' depends on the encoder: .* no q\(z_L\|x\) in closed form.*standard_normal, mixture, flow",
        ),
    ],
)
def test_what_a_chain_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        markov((6,), **{"latent_dim": (3, 2)} | arguments, key=jr.key(0))


def test_a_prior_for_the_frozen_top_is_refused():
    x = np.tile([[1, 0], [0, 1]], (10, 1)).astype(np.uint8)
    model = markov((2,), latent_dim=(2, 1), network=LINEAR, key=jr.key(0))
    for prior in ("mixture", "vamp"):
        with pytest.raises(ValueError, match=r"no q\(z_L\|x\) in closed form"):
            jensen.refit_prior(model, prior, x, key=jr.key(1), progress=False)


def test_the_chain_upwards_maps_levels_in_order():
    step = lambda a: lambda z: diagonal_normal(a * z, jnp.full(1, 0.5))  # noqa: E731
    q = BottomUp(diagonal_normal(jnp.ones(1), jnp.ones(1)), (step(2.0), step(-1.0)))
    np.testing.assert_allclose(q.completed(jnp.ones(1)), ([1.0], [2.0], [-2.0]))
    z1, z2, z3 = q.sample(jr.key(0))
    expected = (
        stats.norm.logpdf(z1, 1)
        + stats.norm.logpdf(z2, 2 * z1, 0.5)
        + stats.norm.logpdf(z3, -z2, 0.5)
    )
    np.testing.assert_allclose(q.log_prob((z1, z2, z3)), expected[0], rtol=1e-5)


def test_the_doubly_reparameterised_gradient_of_a_chain_agrees_with_the_pathwise_one_in_expectation(
    x64,
):
    model, mean, cov = linear(2, shift=0.4, stretch=0.8)
    x = jnp.asarray(data_of(mean, cov, 1)[0])
    parameters, static = eqx.partition(model, eqx.is_inexact_array)
    means, errors = [], []
    for estimator, seed in (
        (jensen.gradients.Pathwise(), 1),
        (jensen.gradients.DoublyReparameterised(), 2),
    ):
        estimator.check(jensen.bounds.IWAE(), model, 5)

        def one(key, estimator=estimator):
            def surrogate(p):
                m = eqx.combine(p, static)
                return estimator.surrogate(
                    jensen.bounds.IWAE(), m, m.prior(m.encoder), x, key, num_samples=5, beta=1.0
                ).surrogate

            return jnp.concatenate(
                [g.ravel() for g in jax.tree.leaves(jax.grad(surrogate)(parameters))]
            )

        found = np.asarray(jax.jit(jax.vmap(one))(jr.split(jr.key(seed), 20_000)))
        means.append(found.mean(axis=0))
        errors.append(found.std(axis=0) / math.sqrt(20_000))
    assert (np.abs(means[0] - means[1]) <= 5 * np.hypot(*errors)).all()
    assert (np.abs(means[0]) > 5 * errors[0]).sum() > 10  # and they are not lost in noise
