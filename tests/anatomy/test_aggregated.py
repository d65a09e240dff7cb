"""q(z) of posteriors of every family against the sum over all pairs, one by one, in float64."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from jax import random as jr
from scipy import stats
from scipy.special import logsumexp

import jensen
import linear_gaussian
from jensen.anatomy import aggregated, surgery
from jensen.anatomy.aggregated import affordable, aggregated_density, log_densities, mixture_density
from jensen.anatomy.elbo_surgery import encode
from jensen.anatomy.level_information import joint_information
from jensen.anatomy.surgery_lines import surgery_lines
from jensen.distributions import (
    Coupling,
    CouplingFlow,
    StudentT,
    diagonal_normal,
    full_normal,
    stack,
)

N, D = 41, 3
RNG = np.random.default_rng(0)


def families():
    """name -> (the posterior of one row of numbers, log q_n(z_m) [components, points] by scipy or by hand)."""
    layers = [jr.normal(jr.key(i), shape) for i, shape in enumerate([(1, 4), (4, 4), (4,)])]

    def tril(x):
        return jnp.diag(jnp.exp(0.3 * x[3:6])) @ (
            jnp.eye(D) + jnp.zeros((D, D)).at[jnp.tril_indices(D, -1)].set(x[6:9])
        )

    def flow(x):
        into, out, bias = layers
        return CouplingFlow(
            x[:3],
            jnp.exp(0.3 * x[3:6]),
            (
                Coupling(into, jnp.sin(x[:4]), 0.5 * out, bias),
                Coupling(-into, jnp.cos(x[:4]), out, bias),
            ),
        )

    def flow_exact(x, z):
        first, last, bias = (np.asarray(a) for a in layers)
        scale = np.exp(0.3 * x[3:6])
        y, log_det = (z - x[:3]) / scale, np.log(scale).sum()
        for into, context, out in [
            (-first, np.cos(x[:4]), last),
            (first, np.sin(x[:4]), 0.5 * last),
        ]:
            b, a = y[:2], y[2:]
            t, r = (np.tanh(a @ into + context) @ out + bias).reshape(2, 2)
            t = 2 * np.tanh(t / 2)
            y, log_det = np.concatenate([a, (b - r) * np.exp(-t)]), log_det + t.sum()
        return stats.norm.logpdf(y).sum() - log_det

    return {
        "diagonal": (
            lambda x: diagonal_normal(x[:3], jnp.exp(0.3 * x[3:6])),
            lambda x, z: stats.norm.logpdf(z, x[:3], np.exp(0.3 * x[3:6])).sum(),
        ),
        "one scale for all": (
            lambda x: diagonal_normal(x[:3], jnp.full(3, 0.7)),
            lambda x, z: stats.norm.logpdf(z, x[:3], 0.7).sum(),
        ),
        "full": (
            lambda x: full_normal(x[:3], tril(x)),
            lambda x, z: stats.multivariate_normal.logpdf(
                z, x[:3], np.asarray(tril(x) @ tril(x).T)
            ),
        ),
        "student": (
            lambda x: StudentT(jnp.full(3, 5.0), x[:3], jnp.exp(0.3 * x[3:6])),
            lambda x, z: stats.t.logpdf(z, 5, x[:3], np.exp(0.3 * x[3:6])).sum(),
        ),
        "flow": (flow, flow_exact),
        "bernoulli": (
            lambda x: dist.Independent(dist.Bernoulli(logits=x[:3]), 1),
            lambda x, z: stats.bernoulli.logpmf(z, 1 / (1 + np.exp(-x[:3]))).sum(),
        ),
        "categorical": (
            lambda x: dist.Independent(dist.Categorical(logits=x.reshape(3, 3)), 1),
            lambda x, z: np.sum(
                (x.reshape(3, 3) - logsumexp(x.reshape(3, 3), axis=1)[:, None])[np.arange(3), z]
            ),
        ),
    }


every_family = pytest.mark.parametrize("name", families())


def world(name, draws=2):
    family, exact = families()[name]
    x = np.random.default_rng(1).normal(size=(N, 9))
    posteriors = stack(family, jnp.asarray(x))
    z = np.asarray(posteriors.map(lambda q, k: q.sample(k, (draws,)), jr.split(jr.key(3), N)))
    return posteriors, z, lambda n, point: exact(x[n], point)


@every_family
def test_the_mixture_is_the_sum_over_all_pairs_whatever_the_blocks(x64, name, monkeypatch):
    posteriors, z, exact = world(name)
    own = log_densities(posteriors, z)
    np.testing.assert_allclose(
        own[:4], [[exact(n, point) for point in z[n]] for n in range(4)], rtol=1e-9, atol=1e-9
    )
    flat = z.reshape(-1, D)
    some = np.arange(0, len(flat), 17)
    pairs = np.array([[exact(n, flat[m]) for n in range(N)] for m in some])
    found = mixture_density(posteriors, flat)
    # Exponentials in float32 for diagonal normals.
    np.testing.assert_allclose(
        found[some], logsumexp(pairs, axis=1) - np.log(N), rtol=2e-7, atol=2e-7
    )
    log_weights = np.log(np.random.default_rng(2).dirichlet(np.ones(N)))
    np.testing.assert_allclose(
        mixture_density(posteriors, flat[some], log_weights=log_weights),
        logsumexp(pairs + log_weights, axis=1),
        rtol=2e-7,
        atol=2e-7,
    )
    for points, memory in [(7, 200), (1000, 3000), (3, 1)]:
        monkeypatch.setattr(aggregated, "POINT_BLOCK", points)
        monkeypatch.setattr(aggregated, "IN_MEMORY", memory)
        reported = []
        again = mixture_density(posteriors, flat, on_progress=lambda *a, r=reported: r.append(a))
        np.testing.assert_allclose(again, found, rtol=1e-12, atol=1e-12)
        assert reported[-1] == (len(flat), len(flat))
        assert reported == sorted(reported)
        np.testing.assert_allclose(log_densities(posteriors, z), own, rtol=1e-12)


def test_full_normals_of_small_scale_far_from_the_origin_lose_nothing(x64):
    rng = np.random.default_rng(4)
    loc, scale_tril = (
        100 + rng.normal(size=(30, 8)),
        1e-3 * (np.tril(rng.normal(size=(30, 8, 8)), -1) + 2 * np.eye(8)),
    )
    posteriors = stack(
        lambda p: full_normal(p[0], p[1:]),
        jnp.asarray(np.concatenate([loc[:, None], scale_tril], axis=1)),
    )
    z = loc + np.einsum("nij,nj->ni", scale_tril, rng.normal(size=(30, 8)))
    truth = logsumexp(
        [
            stats.multivariate_normal.logpdf(z, m, s @ s.T)
            for m, s in zip(loc, scale_tril, strict=True)
        ],
        axis=0,
    ) - np.log(30)
    np.testing.assert_allclose(mixture_density(posteriors, z), truth, atol=1e-6)


@every_family
def test_over_random_subsets_it_is_the_mixture_of_those_with_the_draws_own_datum_among_them(
    x64, name
):
    posteriors, z, exact = world(name, draws=1)
    own = log_densities(posteriors, z)
    for over in (2, 9, N - 1):
        found = aggregated_density(posteriors, z, own, over=over, key=jr.key(5)).log_density
        chosen = np.asarray(jr.permutation(jr.key(5), N))[:over]
        for n in (chosen[0], chosen[-1], *np.setdiff1d(np.arange(N), chosen)[:2]):
            members = {*chosen} if n in chosen else {*chosen[:-1], n}
            assert len(members) == over
            assert found[n, 0] == pytest.approx(
                logsumexp([exact(m, z[n, 0]) for m in members]) - np.log(over), abs=1e-6
            )
        assert (own - found).max() <= np.log(over) + 1e-9
    np.testing.assert_array_equal(
        aggregated_density(posteriors, z, own, over=N, key=jr.key(5)).log_density,
        aggregated_density(posteriors, z, own, over=N, key=jr.key(6)).log_density,
    )


def test_information_of_m_random_data_is_what_subsets_estimate(x64):
    posteriors, z, _ = world("full", draws=40)
    own = log_densities(posteriors, z)
    estimates = [
        (own - aggregated_density(posteriors, z, own, over=5, key=jr.key(i)).log_density).mean()
        for i in range(60)
    ]
    rng, direct = np.random.default_rng(6), []
    for _ in range(200):
        rows = np.sort(rng.permutation(N)[:5])
        flat = z[rows].reshape(-1, D)
        direct.append((own[rows] - mixture_density(posteriors[rows], flat).reshape(5, -1)).mean())
    error = np.hypot(np.std(estimates) / np.sqrt(60), np.std(direct) / np.sqrt(200))
    assert abs(np.mean(estimates) - np.mean(direct)) < 5 * error
    everything = (
        own - aggregated_density(posteriors, z, own, over=N, key=jr.key(0)).log_density
    ).mean()
    assert np.mean(estimates) < everything - 5 * np.std(estimates) / np.sqrt(60)


def test_what_is_affordable_falls_with_the_cost_of_a_pair(monkeypatch):
    costs = {}
    for name in families():
        posteriors, z, _ = world(name)
        draws, over = affordable(posteriors, z[0, 0])
        assert (draws, over) == (16, N)
        if name not in ("diagonal", "one scale for all"):
            costs[name] = aggregated._cost(posteriors, z[0, 0])
    assert costs["full"] < costs["student"] < costs["flow"]
    posteriors, z, _ = world("flow")
    monkeypatch.setattr(aggregated, "WORK", 10.5 * N * costs["flow"])
    assert affordable(posteriors, z[0, 0]) == (1, 10)
    monkeypatch.setattr(aggregated, "WORK", 3.5 * N**2 * costs["flow"])
    assert affordable(posteriors, z[0, 0]) == (3, N)


def small_model(encoder):
    # 50 of the 64 rows of 6 bits: all differ, and the ceiling of I(n; z) is log N.
    numbers = np.random.default_rng(7).permutation(64)[:50]
    x = (numbers[:, None] >> np.arange(6) & 1).astype(np.uint8)
    return jensen.vae(
        (6,),
        latent_dim=2,
        encoder=encoder,
        network={"name": "dense", "hidden": (5,)},
        data=x,
        key=jr.key(0),
    ), x


def test_an_account_over_subsets_says_so_and_closes(capsys):
    model, x = small_model("flow")
    found = jensen.account(model, x, key=jr.key(1), num_samples=30, num_draws=2, aggregated_over=20)
    assert found.aggregated_over == 20
    assert found.log_n == np.log(20)
    assert "at most log 20 = 3.00, q(z) being over random subsets of 20 of the data" in str(found)
    v = {k: line.value for k, line in found.lines.items()}
    assert v["average_kl"] == pytest.approx(v["index_information"] + v["marginal_kl"], abs=1e-12)
    again = jensen.anatomy.Account.from_json(found.to_json(), found.arrays())
    assert again.to_json() == found.to_json()
    everything = jensen.account(model, x, key=jr.key(1), num_samples=30, num_draws=2)
    assert "at most log N = 3.91" in str(everything)
    assert everything.index_information.value != v["index_information"]
    comparison = jensen.anatomy.compare(found, everything)
    assert comparison.lines["elbo"].difference == 0
    assert not {"index_information", "marginal_kl"} & comparison.lines.keys()
    assert "left out: the two q(z) are over different numbers of data" in str(comparison)
    for bad in (1, 51):
        with pytest.raises(
            ValueError, match=f"aggregated_over must be from 2 to the number of data, 50; got {bad}"
        ):
            surgery(model, x, key=jr.key(0), aggregated_over=bad)


@pytest.mark.parametrize("encoder", ["diagonal_normal", "full_normal", "student_t", "flow"])
def test_posteriors_are_those_of_the_encoder_whatever_the_block(encoder):
    model, x = small_model(encoder)
    z = jnp.asarray(RNG.normal(size=2), jnp.float32)
    whole, parts = (encode(model, x, block=block).map(lambda q: q.log_prob(z)) for block in (50, 7))
    np.testing.assert_allclose(whole, parts, rtol=1e-5)
    np.testing.assert_allclose(
        whole, [model.encoder(jnp.asarray(row)).log_prob(z) for row in x], rtol=1e-5
    )


def test_beyond_the_largest_number_q_is_over_random_subsets_and_says_so(x64, monkeypatch):
    """As with more than a million data, whose q(z) would take hours."""
    monkeypatch.setattr(aggregated, "LARGEST", 40)
    model = linear_gaussian.make(latent=2)
    found = jensen.account(model.model, model.data(100, seed=3), key=jr.key(0), num_samples=20)
    assert found.aggregated_over == 40 and found.log_n == pytest.approx(np.log(40))
    assert "log 40 = 3.69, q(z) being over random subsets of 40 of the data" in " ".join(
        str(found).split()
    )
    assert found.left_out["total_correlation"] == "q(z) is over random subsets of 40 data"


def test_the_error_of_a_line_over_random_subsets_is_the_spread_over_them(x64):
    """Other subsets and other draws, the same data: without the subset's part the error would be too small by a third."""
    world = linear_gaussian.make(latent=2, s2=0.05, stretch=1.2)
    x, lines, alone = world.data(300, seed=0), [], []
    for i in range(60):
        cut = surgery(world.model, x, key=jr.key(i), num_draws=2, aggregated_over=40)
        lines.append(surgery_lines(cut))
        alone.append(cut.subset_error)
    for name in ("index_information", "marginal_kl"):
        values, errors = (
            np.array([getattr(line[name], k) for line in lines])
            for k in ("value", "standard_error")
        )
        told, spread = np.sqrt(np.mean(errors**2)), values.std(ddof=1)
        # The standard deviation of 60 repeats has a relative standard error of 1 / sqrt(2 * 59) = 9%, the jackknife's own is small.
        assert abs(spread / told - 1) < 4 * 0.092, (name, spread, told)
        without = np.sqrt(np.mean(errors**2 - np.square(alone)))
        assert without < 0.75 * spread, (name, without, spread)
        assert np.mean(np.abs(values - values.mean()) < 1.96 * errors) > 0.88
        assert lines[0][name].data_error > lines[0][name].shared_error == alone[0]
    whole = surgery(world.model, x, key=jr.key(0), num_draws=2)
    assert whole.subset_error == 0
    assert surgery_lines(whole)["index_information"].shared_error == 0


def test_the_error_of_information_over_all_levels_is_the_spread_over_subsets(x64):
    world = linear_gaussian.make(latent=2, s2=0.3, stretch=1.2)
    x = world.data(2000, seed=0)
    found = [joint_information(world.model, x, key=jr.key(i), subset=40) for i in range(80)]
    spread = np.std([f.value for f in found], ddof=1)
    told = np.sqrt(np.mean([f.standard_error**2 for f in found]))
    assert abs(spread / told - 1) < 4 / np.sqrt(2 * 79), (spread, told)
