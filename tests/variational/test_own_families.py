"""Families from outside the room: a person's own distributions, and FlowJAX's."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest
from jax.flatten_util import ravel_pytree

import jensen
from jensen._parameters import constant, partition
from jensen.variational._fixed_draws import fixed_noise
from jensen.variational.families import AbstractFamily, Spread, Start, from_flowjax, own
from jensen.variational.families._base import equal_shares, matched_normal, normal_entropy
from variational import _worlds as worlds

flowjax = pytest.importorskip("flowjax", reason="FlowJAX is not installed (extra `flows`)")
from flowjax.bijections import Affine  # noqa: E402
from flowjax.distributions import Normal, StandardNormal, Transformed  # noqa: E402
from flowjax.flows import coupling_flow  # noqa: E402

KEY = jr.key(0)
COVARIANCE = np.array([[2.0, 0.9], [0.9, 1.0]])
MEAN = np.array([1.0, -2.0])


def gaussian():
    return worlds.gaussian(np.linalg.inv(COVARIANCE), MEAN)


def low_rank(p):
    return dist.LowRankMultivariateNormal(p["loc"], p["factor"], jnp.exp(p["log_diagonal"]))


def low_rank_start():
    return {
        "loc": np.array([0.3, -0.3]),
        "factor": np.array([[0.4], [-0.2]]),
        "log_diagonal": np.array([0.2, -0.1]),
    }


def test_ones_own_numpyro_distribution_finds_a_normal_posterior():
    """From a start that is off by a standard deviation and another covariance; the target's evidence is 0."""
    start = Start(MEAN + 1, 1.3 * np.eye(2))
    fit = jensen.fit_variational(
        gaussian(),
        own(low_rank_start(), low_rank),
        key=KEY,
        start=start,
        fixed_draws=4096,
        num_draws=4000,
    )
    assert fit.outcome.converged and fit.settings["family"] == "Own"
    # Held draws of no exact moments: the parameters are off by their standard errors, and the gap by half their number over as many draws.
    assert -fit.elbo.value + 5 * fit.elbo.standard_error >= 0 and fit.elbo.value > -5 * 3 / 4096
    assert fit.evidence.value == pytest.approx(0, abs=5 * fit.evidence.standard_error + 1e-3)
    with jax.enable_x64(True):
        q = fit.family()
        draws = np.asarray(q.sample(KEY, (20_000,)))
        scale = np.linalg.cholesky(COVARIANCE)
        known = dist.MultivariateNormal(MEAN, scale_tril=scale).log_prob(draws[:100])
        np.testing.assert_allclose(q.log_prob(jnp.asarray(draws[:100])), known, atol=0.25)
    assert (
        np.abs(draws.mean(0) - MEAN) < 5 * np.sqrt(np.diag(COVARIANCE)) * (1 / 64 + 1 / 141)
    ).all()


def test_a_students_t_of_ones_own_has_the_known_gap():
    """The best t of 5 degrees of freedom for a normal: KL over the scale by quadrature."""
    from scipy.integrate import quad
    from scipy.optimize import minimize_scalar
    from scipy.stats import norm, t

    kl = lambda s: quad(  # noqa: E731
        lambda x: t(5, scale=s).pdf(x) * (t(5, scale=s).logpdf(x) - norm.logpdf(x)), -60, 60
    )[0]
    best = minimize_scalar(kl, bounds=(0.4, 1.2), method="bounded")
    target = worlds.gaussian(np.eye(1))
    family = own(
        {"loc": np.zeros(1), "log_scale": np.zeros(1)},
        lambda p: dist.StudentT(5.0, p["loc"], jnp.exp(p["log_scale"])).to_event(1),
    )
    fit = jensen.fit_variational(target, family, key=KEY, method="stochastic", num_draws=100_000)
    assert fit.outcome.converged, fit.outcome.message
    assert float(np.exp(fit.family.parameters["log_scale"][0])) == pytest.approx(best.x, abs=0.03)
    assert abs(-fit.elbo.value - best.fun) < 5 * fit.elbo.standard_error + 0.002


def banana():
    """u0 ~ N(0, 1), u1 | u0 ~ N(u0^2, 1/2): normalised, so the evidence is 0."""
    constant = -np.log(2 * np.pi) - np.log(0.5)
    return jensen.from_unconstrained(
        lambda u: -0.5 * u[0] ** 2 - 2 * (u[1] - u[0] ** 2) ** 2 + constant, size=2
    )


def test_a_flowjax_flow_beats_a_normal_on_a_banana():
    flow = coupling_flow(
        jr.key(1), base_dist=StandardNormal((2,)), flow_layers=4, nn_width=8, invert=False
    )
    normal = jensen.fit_variational(banana(), "full_rank", key=KEY)
    fit = jensen.fit_variational(
        banana(), from_flowjax(flow), key=KEY, fixed_draws=1024, max_evaluations=400
    )
    assert -0.2 < fit.elbo.value < 5 * fit.elbo.standard_error
    assert fit.elbo.value > normal.elbo.value + 0.2
    assert abs(fit.evidence.value) < 5 * fit.evidence.standard_error + 0.05


@pytest.mark.parametrize("name", ["flowjax", "flowjax of another base", "own"])
def test_the_laws_of_families_hold_for_it(x64, name):
    """The density integrates to one, the draws are from it, and the spread's entropy is that of q."""
    start = Start(jnp.array([0.5, -1.0]), jnp.array([[1.5, 0.0], [-0.6, 0.8]]))
    affine = Transformed(
        Normal(jnp.array([0.3, -0.2])), Affine(jnp.array([0.1, 0.4]), jnp.array([0.7, 1.3]))
    )
    flow = coupling_flow(jr.key(1), base_dist=StandardNormal((2,)), flow_layers=2, nn_width=8)
    family = {
        "flowjax": from_flowjax(flow),
        "flowjax of another base": from_flowjax(affine),
        "own": own(low_rank_start(), low_rank),
    }[name](start)
    assert family.reparameterised
    parts = partition(family)
    flat, unravel = ravel_pytree(parts.parameters)
    family = eqx.combine(
        unravel(flat + 0.1 * jr.normal(KEY, flat.shape)), parts.constants, parts.static
    )
    axis = np.arange(-20, 20, 0.1) + 0.05
    grid = jnp.asarray(np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2))
    p = np.exp(np.asarray(jax.jit(lambda u: family().log_prob(u))(grid))) * 0.01
    assert p.sum() == pytest.approx(1, abs=1e-4)
    draws = np.asarray(jax.jit(lambda key: family().sample(key, (20_000,)))(jr.key(2)))
    mean = p @ np.asarray(grid)
    assert (np.abs(draws.mean(0) - mean) < 5 * draws.std(0) / np.sqrt(20_000)).all()
    spread = eqx.filter_jit(lambda family, noise: family.spread(noise))(
        family, fixed_noise(family, jr.key(0), 4096)
    )
    entropy = -np.sum(p * np.log(np.maximum(p / 0.01, 1e-300)))
    assert abs(float(spread.entropy) - entropy) < 5 * 1.5 / np.sqrt(4096)
    assert (np.abs(spread.points.mean(0) - mean) < 5 * draws.std(0) / np.sqrt(4096)).all()


class Shifted(AbstractFamily):
    """N(loc + L shift, L L^T): a subclass as a person would write it."""

    reparameterised: ClassVar[bool] = True
    shift: jax.Array
    start: Start = constant()

    def __init__(self, start):
        self.start, self.shift = start, jnp.zeros_like(start.loc)

    def __call__(self):
        return dist.MultivariateNormal(
            self.start.loc + self.start.scale_tril @ self.shift, scale_tril=self.start.scale_tril
        )

    def spread(self, noise):
        entropy = jnp.sum(jnp.log(jnp.diagonal(self.start.scale_tril))) + normal_entropy(
            len(self.shift)
        )
        return Spread(
            self.start.loc + (self.shift + noise) @ self.start.scale_tril.T,
            equal_shares(len(noise)),
            entropy,
        )

    @property
    def noise_size(self):
        return len(self.shift)

    def noise(self, uniforms):
        return matched_normal(uniforms)


def test_a_subclass_is_a_family():
    fit = jensen.fit_variational(
        gaussian(),
        Shifted,
        key=KEY,
        start=Start(MEAN + 1, np.linalg.cholesky(COVARIANCE)),
        num_draws=500,
    )
    assert (
        fit.outcome.converged
        and fit.elbo.value == pytest.approx(0, abs=1e-9)
        and fit.evidence.value == pytest.approx(0, abs=1e-9)
    )


def test_what_is_no_family_is_refused():
    cases = [
        (
            own(np.zeros(2), lambda p: dist.Normal(p, 1.0)),
            r"log-densities of shape \(2,\).*to_event\(1\)",
        ),
        (
            own(np.zeros(3), lambda p: dist.Normal(p, 1.0).to_event(1)),
            r"the target's 2 coordinates; got draws of shape \(3,\)",
        ),
        (own(np.zeros(2), lambda p: p), r"needs sample\(key, shape\) and log_prob"),
        (lambda start: start, "returns an AbstractFamily; got Start"),
    ]
    for family, message in cases:
        with pytest.raises(ValueError, match=message):
            jensen.fit_variational(gaussian(), family, key=KEY)
    with pytest.raises(ValueError, match=r"shape \(D,\) and without a condition; got shape \(\)"):
        from_flowjax(Normal())
    with pytest.raises(ValueError, match="got int"):
        from_flowjax(3)


class Blind(eqx.Module):
    """A normal whose draws have no derivative."""

    loc: jax.Array
    has_rsample: ClassVar[bool] = False

    def sample(self, key, sample_shape=()):
        return jax.lax.stop_gradient(self.loc) + jr.normal(key, (*sample_shape, 2), self.loc.dtype)

    def log_prob(self, value):
        return dist.Normal(self.loc, 1.0).to_event(1).log_prob(value)


def test_without_derivatives_of_draws_it_is_the_score_function():
    family = own(np.array([0.5, 0.5]), Blind)
    with pytest.raises(ValueError, match="take method='stochastic'"):
        jensen.fit_variational(gaussian(), family, key=KEY, method="fixed_draws")
    fit = jensen.fit_variational(gaussian(), family, key=KEY, num_draws=1000)
    assert fit.settings["gradient"] == "score_function" and fit.outcome.converged
    assert fit.elbo.value == pytest.approx(
        0, abs=0.01
    )  # the start is the posterior's Laplace approximation: at loc 0 it is exact
