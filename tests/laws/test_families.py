"""Laws of every member of the families room, in two dimensions where a grid can integrate anything."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from jensen._parameters import partition
from jensen.variational._fixed_draws import fixed_noise
from jensen.variational.families import Start, families

STEP, HALF = 0.1, 40
AXIS = np.arange(-HALF, HALF, STEP) + STEP / 2
GRID = np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), -1)
CASES = [
    *((name, {}) for name in families.names()),
    ("student_t", {"covariance": "diagonal"}),
    ("low_rank", {"rank": 1}),
    ("mixture", {"num_components": 2}),
]
every_family = pytest.mark.parametrize(
    ("name", "options"),
    CASES,
    ids=lambda v: v if isinstance(v, str) else "-".join(map(str, v.values())),
)


def build(name, options, moved=0.25):
    """A member as different from its start as a fit could make it."""
    start = Start(jnp.array([0.5, -1.0]), jnp.array([[1.5, 0.0], [-0.6, 0.8]]))
    family = families.build(name, options, {"start": start})
    parts = partition(family)
    flat, unravel = ravel_pytree(parts.parameters)
    flat += moved * jr.normal(jr.key(7), flat.shape)
    return eqx.combine(unravel(flat), parts.constants, parts.static)


@every_family
def test_density_integrates_to_one_and_draws_are_from_it(x64, name, options):
    q = build(name, options)()
    p = (
        np.exp(np.asarray(jax.jit(jax.vmap(q.log_prob))(jnp.asarray(GRID).reshape(-1, 2)))).reshape(
            GRID.shape[:2]
        )
        * STEP**2
    )
    assert p.sum() == pytest.approx(1, abs=1e-4 if name == "student_t" else 1e-6)
    n, per_cell = 40_000, 10
    draws = np.asarray(q.sample(jr.key(3), (n,)))
    cells = len(AXIS) // per_cell
    expected = n * p.reshape(cells, per_cell, cells, per_cell).sum((1, 3))
    counts = np.histogram2d(*draws.T, bins=(np.linspace(-HALF, HALF, cells + 1),) * 2)[0]
    large = expected > 25
    assert large.sum() > 3
    assert (np.abs(counts - expected) < 5 * np.sqrt(expected))[large].all()


@every_family
def test_the_spread_is_q_and_its_entropy_that_of_q(x64, name, options):
    """On fixed noise: E_q f by the points and shares against independent draws of q, and the entropy against E_q[-log q]."""
    family = build(name, options)
    spread = family.spread(fixed_noise(family, jr.key(0), 4096))
    draws = family().sample(jr.key(5), (40_000,))
    assert float(spread.shares.sum()) == pytest.approx(1, abs=1e-12)
    for f in (
        lambda u: jnp.tanh(u[:, 0]),
        lambda u: jnp.tanh(u[:, 0] * u[:, 1]),
        lambda u: 1.0 * (u[:, 1] > -0.5),
    ):
        values = np.asarray(f(draws))
        error = values.std() / np.sqrt(len(values)) + values.std() / np.sqrt(4096)
        assert abs(float(jnp.vdot(spread.shares, f(spread.points))) - values.mean()) < 5 * error
    surprise = -np.asarray(family().log_prob(draws))
    error = surprise.std() / np.sqrt(len(surprise)) + (
        surprise.std() / np.sqrt(4096) if name in ("mixture", "flow") else 0
    )
    assert abs(float(spread.entropy) - surprise.mean()) < 5 * error


@every_family
def test_the_start_is_the_given_normal_as_near_as_the_family_can(x64, name, options):
    family = build(name, options, moved=0.0)
    draws = np.asarray(family().sample(jr.key(5), (40_000,)))
    if name != "mixture":
        covariance = np.asarray(family.start.scale_tril @ family.start.scale_tril.T)
        error = 5 * np.sqrt(np.diag(covariance) / len(draws)) * (1.5 if name == "student_t" else 1)
        assert (np.abs(draws.mean(0) - np.asarray(family.start.loc)) < error).all()
    if name in ("full_rank", "flow"):
        np.testing.assert_allclose(np.cov(draws.T), covariance, atol=0.1)
    if name == "mean_field":
        np.testing.assert_allclose(draws.var(0) * np.diag(np.linalg.inv(covariance)), 1, atol=0.05)


@every_family
def test_derivatives_of_the_spread_are_those_of_the_expectation(x64, name, options):
    """Against finite differences of E_q u^2 + H(q) on the same noise: no path is cut."""
    family = build(name, options)
    noise = fixed_noise(family, jr.key(0), 64)
    parts = partition(family)
    flat, unravel = ravel_pytree(parts.parameters)

    def objective(flat):
        spread = eqx.combine(unravel(flat), parts.constants, parts.static).spread(noise)
        return jnp.vdot(spread.shares, jnp.sum(jnp.sin(spread.points), axis=1)) + spread.entropy

    objective = jax.jit(objective)
    gradient = np.asarray(jax.grad(objective)(flat))
    for i in range(0, len(flat), max(1, len(flat) // 12)):
        step = jnp.zeros_like(flat).at[i].set(1e-6)
        assert float(objective(flat + step) - objective(flat - step)) / 2e-6 == pytest.approx(
            gradient[i], abs=1e-6
        )


def test_options_out_of_range_are_refused():
    start = Start(jnp.zeros(2), jnp.eye(2))
    for name, options, message in [
        ("low_rank", {"rank": 0}, "rank must be a whole number, at least 1; got 0"),
        ("student_t", {"df": 2.0}, "df must be above 2"),
        ("student_t", {"covariance": "ful"}, "must be one of full, diagonal"),
        ("mixture", {"num_components": 1}, "at least 2; got 1"),
        ("mixture", {"width": 0.0}, "width must be positive"),
    ]:
        with pytest.raises(ValueError, match=message):
            families.build(name, options, {"start": start})
