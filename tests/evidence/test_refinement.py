"""The best posterior of one datum against closed forms (validation.md case 4)."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr

import discrete
import jensen
import linear_gaussian
from jensen._types import Distribution
from jensen.decoders import AbstractDecoder
from jensen.distributions import diagonal_normal
from jensen.evidence import family_of, refine, refinement
from jensen.model import Model


def refined(model, x, *, key=0, **options):
    """Refinements of all data, stacked."""
    prior = model.prior(model.encoder)

    @eqx.filter_jit
    def run(x, index):
        return eqx.filter_vmap(
            lambda x, n: refinement(model, prior, x, jr.fold_in(jr.key(key), n), **options)
        )(x, index)

    return run(jnp.asarray(x), jnp.arange(len(x)))


def normals(found):
    """(means [N, D], covariances [N, D, D]) of diagonal normals under affine maps."""
    q, f = found.posterior, found.posterior.bijection
    lower = np.exp(np.asarray(f.log_scale))[..., None] * np.eye(q.loc.shape[1])
    if hasattr(f, "below"):
        lower = lower + np.tril(f.below, -1)
    lower = np.asarray(q.scale)[..., None] * lower
    return np.asarray(q.loc + q.scale * f.shift), lower @ np.swapaxes(lower, 1, 2)


def kl(means, covariances, mean, covariance):
    """KL(N(means, covariances) || N(mean, covariance)) of each datum."""
    precision, d = np.linalg.inv(covariance), means - mean
    terms = (
        np.einsum("ij,nji->n", precision, covariances)
        + np.einsum("ni,ij,nj->n", d, precision, d)
        - d.shape[1]
    )
    return 0.5 * (terms + np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(covariances)[1])


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_a_misplaced_encoder_is_brought_to_the_best_of_the_family(family):
    model = linear_gaussian.make(latent=3, shift=0.7, stretch=1.6)
    x = model.data(6, seed=0)
    assert (model.gap(x) > 1).all()
    means, covariances = normals(refined(model.model, x, family=family))
    found = kl(means, covariances, *model.posterior(x))
    best = (
        0.5 * (np.sum(np.log(np.diag(model.m))) - np.linalg.slogdet(model.m)[1])
        if family == "diagonal"
        else 0.0
    )
    assert (found > best - 1e-10).all()
    assert (found < best + 1e-2).all()


@pytest.mark.usefixtures("x64")
def test_the_exact_posterior_stays_as_it_is():
    model = linear_gaussian.make(orthogonal=True)
    x = model.data(8, seed=1)
    means, covariances = normals(refined(model.model, x, family="own", patience=2))
    assert (kl(means, covariances, *model.posterior(x)) < 1e-3).all()


@pytest.mark.usefixtures("x64")
def test_the_result_depends_on_neither_the_company_nor_the_blocks():
    model = linear_gaussian.make(shift=0.5)
    x, few = (
        model.data(5, seed=2),
        {"family": "full", "num_samples": 6, "num_scored": 40, "max_windows": 3, "window": 20},
    )
    together, alone = refined(model.model, x, **few), refined(model.model, x[:1], block=4, **few)
    for all_of_them, one in zip(
        jax.tree.leaves(together.posterior.bijection),
        jax.tree.leaves(alone.posterior.bijection),
        strict=True,
    ):
        np.testing.assert_allclose(all_of_them[0], one[0], atol=1e-9)
    assert (together.windows == 3).all()


@pytest.mark.usefixtures("x64")
def test_without_windows_it_is_the_encoders_own():
    model = linear_gaussian.make(shift=0.5).model
    x = jnp.ones(5)
    q = eqx.filter_jit(refine)(model, model.prior(model.encoder), x, jr.key(0), max_windows=0)
    z = jr.normal(jr.key(1), (4, 2))
    np.testing.assert_allclose(q.log_prob(z), model.encoder(x).log_prob(z), atol=1e-12)


class CliffDecoder(AbstractDecoder):
    """p(x|z) wants z_1 at 2, but has no density from 0.8 on: NaN there."""

    cliff: float = eqx.field(static=True)

    def __call__(self, z) -> Distribution:
        return diagonal_normal(jnp.where(z < self.cliff, z - 2, jnp.nan), 0.3 * jnp.ones(1))


class NarrowEncoder(linear_gaussian.AbstractEncoder):
    def __call__(self, x) -> Distribution:
        return diagonal_normal(jnp.zeros(1), 0.1 * jnp.ones(1))


@pytest.mark.usefixtures("x64")
def test_where_values_are_not_finite_the_best_before_is_kept_and_counted():
    # The optimum lies beyond the cliff: every long enough window ends in NaN, and the rate halves.
    model = Model(jensen.priors.StandardNormal(1), NarrowEncoder(), CliffDecoder(0.8))
    found = refined(model, np.zeros((3, 1)), family="diagonal", max_windows=8, patience=8, rate=0.5)
    assert (found.non_finite > 0).all()
    z = jax.vmap(lambda q, k: q.sample(k, (200,)))(found.posterior, jr.split(jr.key(1), 3))
    log_p = jax.vmap(jax.vmap(lambda z: model.decoder(z).log_prob(jnp.zeros(1))))(z)
    assert np.isfinite(log_p).mean() > 0.99
    safe = refined(
        Model(model.prior, NarrowEncoder(), CliffDecoder(99.0)), np.zeros((3, 1)), family="diagonal"
    )
    assert (safe.non_finite == 0).all()
    # x = 0 given z: precision 1 / 0.09 at z = 2, and the prior's 1 at 0.
    means, covariances = normals(safe)
    variance = 1 / (1 / 0.09 + 1)
    assert (
        kl(means, covariances, np.array([2 / 0.09 * variance]), np.array([[variance]])) < 1e-2
    ).all()


def test_the_family_meant_is_the_encoders_own():
    x = np.zeros(4, np.float32)
    for name, family in [
        ("diagonal_normal", "diagonal"),
        ("full_normal", "full"),
        ("student_t", "diagonal"),
        ("flow", "flow"),
    ]:
        assert (
            family_of(jensen.vae((4,), latent_dim=2, encoder=name, key=jr.key(0)), "own", x)
            == family
        )
        assert (
            family_of(jensen.vae((4,), latent_dim=2, encoder=name, key=jr.key(0)), "full", x)
            == "full"
        )
    assert family_of(linear_gaussian.make().model, "own", np.zeros(5)) == "diagonal"


def test_what_cannot_be_refined_is_refused():
    model = linear_gaussian.make().model
    with pytest.raises(
        ValueError,
        match=r"unknown family 'ful' \(did you mean 'full'\?\); known: own, diagonal, full, flow",
    ):
        family_of(model, "ful", np.zeros(5))
    with (
        jax.enable_x64(True),
        pytest.raises(
            ValueError, match="the codes are binary: a posterior over them cannot be moved"
        ),
    ):
        family_of(discrete.small_vae("bernoulli"), "own", np.zeros(3))
    with pytest.raises(ValueError, match="num_scored must be at least 2; got 1"):
        refine(model, model.prior(model.encoder), jnp.zeros(5), jr.key(0), num_scored=1)
