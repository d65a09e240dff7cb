"""log p(x) is undefined where a term of the log-density is not the log of a normalised density, and only there."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro import handlers
from numpyro.distributions import constraints
from scipy.stats import multivariate_normal, norm

import jensen

Y = np.array([0.3, 1.2, 1.9, -0.4])
OBSERVED = np.array([True, False, True, True])


def site(name="y", mean=0.0, data=Y):
    numpyro.sample(name, dist.Normal(mean, 1.0), obs=data)


def masked_whole():
    with handlers.mask(mask=False):
        b = numpyro.sample("b", dist.Normal(0, 1))
    site(mean=b)


def masked_array():
    b = numpyro.sample("b", dist.Normal(0, 1).expand([4]).mask(OBSERVED))
    site(mean=b)


def masked_by_jax():
    with handlers.mask(mask=jnp.asarray(OBSERVED)):
        b = numpyro.sample("b", dist.Normal(jnp.zeros(4), 1))
    site(mean=b)


def scaled_prior():
    with handlers.scale(scale=0.5):
        b = numpyro.sample("b", dist.Normal(0, 1))
    site(mean=b)


def scaled_likelihood():
    b = numpyro.sample("b", dist.Normal(0, 1))
    with handlers.scale(scale=0.5):
        site(mean=b)


def improper_within():
    b = numpyro.sample("b", dist.ImproperUniform(constraints.real, (3,), ()).to_event(1))
    site(mean=b.sum())


def factor():
    site(mean=numpyro.sample("b", dist.Normal(0, 1)))
    numpyro.factor("penalty", -3.0)


def weighted_delta():
    d = numpyro.sample("d", dist.Delta(1.0, log_density=-2.0))
    site(mean=d + numpyro.sample("b", dist.Normal(0, 1)))


UNDEFINED = {
    masked_whole: "the prior of 'b' is masked, which leaves it flat",
    masked_array: "the prior of 'b' is masked, which leaves it flat",
    masked_by_jax: "the prior of 'b' is masked, which leaves it flat",
    scaled_prior: "the log-prior of 'b' is scaled by 0.5 (handlers.scale)",
    scaled_likelihood: "the log-likelihood of 'y' is scaled by 0.5 (handlers.scale)",
    improper_within: "the prior of 'b' is improper (ImproperUniform)",
    factor: "numpyro.factor 'penalty' adds any number, which need not be a log-density of data",
    weighted_delta: "the Delta 'd' has a log_density of its own",
}


@pytest.mark.parametrize("model", UNDEFINED, ids=lambda model: model.__name__)
def test_a_term_without_a_normalised_density_is_named(model):
    target = jensen.from_numpyro(model)
    assert not target.proper and target.improper_because == UNDEFINED[model]


def test_the_fit_has_no_evidence_and_gives_the_reason():
    fit = jensen.fit_variational(
        jensen.from_numpyro(masked_whole), "full_rank", key=jr.key(0), num_draws=200
    )
    assert fit.evidence is None and fit.smoothed is None and fit.cubo is None and fit.gap is None
    reason = "the prior of 'b' is masked, which leaves it flat"
    assert fit.verdicts == (
        f"No evidence: {reason}, so log p(x) is not defined; the ELBO compares fits of this model "
        "to these data alone.",
    )
    assert f"log p(x) is not defined: {reason}" in str(fit) and "log p(x) -" not in str(fit)
    assert fit.mean()["b"] == pytest.approx(Y.mean(), abs=5 * 0.5 / np.sqrt(200))  # a flat prior's


def all_kinds():
    """Scales of 1, masks that leave all in, masked data, and priors within wrappers."""
    with handlers.scale(scale=1.0), handlers.mask(mask=True):
        a = numpyro.sample("a", dist.Normal(0, 1))
    with numpyro.plate("n", 4), handlers.mask(mask=np.ones(4, bool)):
        b = numpyro.sample("b", dist.LogNormal(0, 1))
    d = numpyro.sample("d", dist.Delta(0.0))
    with handlers.mask(mask=OBSERVED):
        site(mean=a + d + jnp.log(b))


def test_proper_terms_are_not_taken_for_improper_ones():
    target = jensen.from_numpyro(all_kinds)
    assert target.proper and target.improper_because == ""


def test_masked_data_leave_the_evidence_of_the_others_even_if_they_are_not_numbers():
    def model(y):
        mean = numpyro.sample("a", dist.Normal(0, 1))
        with handlers.mask(mask=OBSERVED):
            site(mean=mean, data=y)

    y = np.where(OBSERVED, Y, np.nan)
    fit = jensen.fit_variational(
        jensen.from_numpyro(model, y), "full_rank", key=jr.key(0), num_draws=200
    )
    exact = multivariate_normal(np.zeros(3), np.eye(3) + 1).logpdf(Y[OBSERVED])
    assert fit.evidence.value == pytest.approx(exact, abs=1e-9)


def test_a_factor_is_part_of_the_likelihood():
    target = jensen.from_numpyro(factor)
    with jax.enable_x64(True):
        value = float(target.log_likelihood(jnp.array([0.7])))
    assert value == pytest.approx(norm(0.7, 1).logpdf(Y).sum() - 3, abs=1e-9)
