"""Total correlation and dimension-wise KL against quadrature in float64, and against the toy table of Chen et al.'s estimators."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.special import logsumexp

import linear_gaussian
from jensen.anatomy import account, surgery
from jensen.anatomy.marginal_split import marginals
from jensen.anatomy.minibatch import minibatch_split
from jensen.decoders import AbstractDecoder
from jensen.distributions import diagonal_normal, full_normal
from jensen.encoders import AbstractEncoder
from jensen.model import Model
from jensen.priors import Mixture, StandardNormal

KEY = jr.key(3)


class Coded(AbstractEncoder):
    """q(z|x) of which the datum says mean and Cholesky factor, or the standard deviation that all have."""

    scale: float = 0.0

    def __call__(self, x):
        if self.scale:
            return diagonal_normal(x, jnp.full(x.shape, self.scale))
        return full_normal(x[:2], jnp.array([[x[2], 0.0], [x[3], x[4]]]))


class Flat(AbstractDecoder):
    def __call__(self, z):
        return diagonal_normal(jnp.zeros(1), jnp.ones(1))


def quadrature(loc, covariance):
    """(total correlation, dimension-wise KL from N(0, I), I(n; z)) of N correlated normals in two dimensions, on a grid."""
    grid = np.linspace(-9, 9, 721)
    points = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)
    cell = (grid[1] - grid[0]) ** 2
    parts = []
    for m, c in zip(loc, covariance, strict=True):
        d = points - m
        parts.append(
            -0.5 * np.einsum("abi,ij,abj->ab", d, np.linalg.inv(c), d)
            - 0.5 * np.linalg.slogdet(c)[1]
            - np.log(2 * np.pi)
        )
    joint = logsumexp(parts, axis=0) - np.log(len(loc))
    q = np.exp(joint)
    one = [np.log(q.sum(axis=1 - j) * (grid[1] - grid[0])) for j in range(2)]
    correlation = float((q * (joint - one[0][:, None] - one[1][None, :])).sum() * cell)
    normal = -0.5 * grid**2 - 0.5 * np.log(2 * np.pi)
    apart = sum(float((np.exp(o) * (o - normal)).sum() * (grid[1] - grid[0])) for o in one)
    entropies = [0.5 * np.linalg.slogdet(2 * np.pi * np.e * c)[1] for c in covariance]
    return correlation, apart, float(-(q * joint).sum() * cell - np.mean(entropies))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("correlated", [False, True])
def test_the_parts_of_the_marginal_kl_agree_with_quadrature(correlated):
    rng = np.random.default_rng(0)
    loc = rng.normal(size=(40, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    if correlated:
        factors = np.stack(
            [rng.uniform(0.4, 0.9, 40), rng.uniform(-0.5, 0.5, 40), rng.uniform(0.4, 0.9, 40)],
            axis=1,
        )
        data, encoder = np.concatenate([loc, factors], axis=1), Coded()
        tril = np.array([[[a, 0], [b, c]] for a, b, c in factors])
        covariance = tril @ tril.transpose(0, 2, 1)
    else:
        data, encoder, covariance = loc, Coded(0.6), np.broadcast_to(0.36 * np.eye(2), (40, 2, 2))
    cut = surgery(Model(StandardNormal(2), encoder, Flat()), data, key=KEY, num_draws=400)
    found, left_out = marginals(cut)
    correlation, apart, information = quadrature(loc, covariance)
    assert not left_out
    assert (
        abs(found.total_correlation.value - correlation)
        < 4 * found.total_correlation.standard_error
        < 0.1
    )
    assert (
        abs(found.dimension_wise_kl.value - apart)
        < 4 * found.dimension_wise_kl.standard_error
        < 0.1
    )
    assert cut.index_information.mean() == pytest.approx(information, abs=0.03)
    assert found.total_correlation.value + found.dimension_wise_kl.value == pytest.approx(
        cut.marginal_kl.mean(), abs=1e-10
    )
    assert found.by_dimension["marginal_kl"].sum() == pytest.approx(
        found.dimension_wise_kl.value, abs=1e-10
    )
    # I(n; z_j) and the KL of a dimension need a posterior of independent dimensions.
    assert (
        ("index_information" in found.by_dimension)
        == ("average_kl" in found.by_dimension)
        == (not correlated)
    )
    if not correlated:
        assert found.by_dimension["average_kl"].sum() == pytest.approx(
            (cut.log_posterior - cut.log_prior).mean(), abs=1e-10
        )


@pytest.mark.usefixtures("x64")
def test_every_dimension_is_a_line_of_its_own():
    """Closed forms for a linear-Gaussian model: KL(q(z_j|x) || p(z_j)), dimension by dimension."""
    model = linear_gaussian.make(latent=3, stretch=1.2, shift=0.3)
    x = model.data(100, seed=0)
    found, _ = marginals(surgery(model.model, x, key=KEY, num_draws=100))
    loc, scale = model.q(x)
    exact = 0.5 * (loc**2 + scale**2 - 1 - 2 * np.log(scale)).mean(axis=0)
    assert (
        np.abs(found.by_dimension["average_kl"] - exact)
        < 4 * found.by_dimension["average_kl.error"]
    ).all()
    split = found.by_dimension["index_information"] + found.by_dimension["marginal_kl"]
    np.testing.assert_allclose(split, found.by_dimension["average_kl"], atol=1e-10)


def test_what_cannot_be_had_is_named_with_its_reason():
    rows = np.random.default_rng(1).normal(size=(60, 2)).astype(np.float32)
    dependent = Model(Mixture(latent_dim=2, key=jr.key(0), num_components=3), Coded(0.5), Flat())
    found = account(dependent, rows, key=KEY, num_samples=20, num_draws=2)
    assert found.marginals.dimension_wise_kl is None and "dimension_wise_kl" not in found.lines
    assert "depend on each other" in found.left_out["dimension_wise_kl"]
    assert "dimension-wise KL, since the prior's dimensions depend on each other" in " ".join(
        str(found).split()
    )
    subset = account(
        Model(StandardNormal(2), Coded(0.5), Flat()),
        rows,
        key=KEY,
        num_samples=20,
        num_draws=2,
        aggregated_over=10,
    )
    assert subset.marginals is None
    assert subset.left_out == dict.fromkeys(
        ("total_correlation", "dimension_wise_kl"), "q(z) is over random subsets of 10 data"
    )


# N = 2000, D = 10, batches of 64: I(n; z), total correlation, dimension-wise KL.
TOY = {
    0.1: {
        "exact": (7.60, 15.27, 0.05),
        "weighted": (11.76, 85.94, -74.74),
        "stratified": (7.60, 16.77, -1.41),
    },
    0.5: {
        "exact": (6.08, 0.81, 0.01),
        "weighted": (11.56, 71.11, -75.83),
        "stratified": (6.71, 0.30, -0.17),
    },
}


# The published figures are of one draw of the world: their standard deviations over eight draws of it, and they are rounded.
SPREAD = {
    0.1: {
        "exact": (0.0005, 0.05, 0.004),
        "weighted": (0.0005, 0.067, 0.029),
        "stratified": (0.0005, 0.09, 0.057),
    },
    0.5: {
        "exact": (0.034, 0.026, 0.003),
        "weighted": (0.02, 0.04, 0.011),
        "stratified": (0.041, 0.042, 0.014),
    },
}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("scale", TOY)
def test_the_toy_table_exact_and_by_minibatches(scale):
    def agrees(kind, *values):
        tolerance = 4 * np.sqrt(2) * np.array(SPREAD[scale][kind]) + 0.005  # both are of one draw
        assert (np.abs(np.array(values) - TOY[scale][kind]) < tolerance).all(), (kind, values)

    rows = np.random.default_rng(0).normal(size=(2000, 10)) * np.sqrt(1 - scale**2)
    cut = surgery(Model(StandardNormal(10), Coded(scale), Flat()), rows, key=KEY, num_draws=1)
    found, _ = marginals(cut)
    agrees(
        "exact",
        cut.index_information.mean(),
        found.total_correlation.value,
        found.dimension_wise_kl.value,
    )
    for estimator in ("weighted", "stratified"):
        split = minibatch_split(cut, KEY, estimator=estimator)
        agrees(
            estimator,
            split.index_information.value,
            split.total_correlation.value,
            split.dimension_wise_kl.value,
        )
        assert "too high" in split.bias
    with pytest.raises(ValueError, match="must be from 3 to the number of data, 2000; got 2001"):
        minibatch_split(cut, KEY, batch_size=2001)
    with pytest.raises(ValueError, match="one of weighted, stratified"):
        minibatch_split(cut, KEY, estimator="naive")


@pytest.mark.usefixtures("x64")
def test_a_batch_of_all_the_data_is_the_whole_of_q():
    """With M = N the stratified weights are 1/N each but for one datum, whose share of log q(z) is 1/N in the mean: I(n; z) is that of the account to 2/N."""
    rows = np.random.default_rng(4).normal(size=(200, 3))
    cut = surgery(Model(StandardNormal(3), Coded(0.7), Flat()), rows, key=KEY, num_draws=1)
    split = minibatch_split(cut, KEY, batch_size=200, estimator="stratified")
    assert split.index_information.value == pytest.approx(cut.index_information.mean(), abs=2 / 200)
