"""What a newcomer may hand over by mistake, and the words it is refused with: values, reasons, remedies."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions import constraints

import jensen
from jensen.variational.families import Start
from variational import _worlds as worlds

KEY = jr.key(0)


def fit(target, family="mean_field", **options):
    return jensen.fit_variational(target, family, **{"key": KEY, "num_draws": 200, **options})


NUMBERS = {
    "draws": ({"num_draws": 1}, "num_draws must be at least 100"),
    "fixed": ({"fixed_draws": 0}, "fixed_draws must be a whole number, 1 or more; got 0"),
    "odd": ({"fixed_draws": 3}, "fixed_draws must be a power of 2.*got 3. Try 256"),
    "evaluations": (
        {"max_evaluations": 0},
        "max_evaluations must be a whole number, 1 or more; got 0",
    ),
    "steps": ({"max_steps": 0}, "max_steps must be a whole number, 1 or more; got 0"),
    "samples": ({"num_samples": 0}, "num_samples must be a whole number, 1 or more; got 0"),
    "batch": ({"batch": 0}, "batch must be a whole number, 1 or more; got 0"),
    "long": (
        {"start": Start(np.zeros(2), np.eye(2))},
        r"of 3 coordinates a start has loc \[3\] and scale_tril \[3, 3\]; got \(2,\) and \(2, 2\)",
    ),
    "singular": (
        {"start": Start(np.zeros(3), np.zeros((3, 3)))},
        "lower triangular with a positive diagonal.*a singular one has no density",
    ),
    "full": (
        {"start": Start(np.zeros(3), np.ones((3, 3)))},
        "lower triangular with a positive diagonal",
    ),
    "nan": ({"start": Start(np.full(3, np.nan), np.eye(3))}, "loc and scale_tril must be finite"),
    "missing": (
        {"start": np.array([0.0, np.nan, 0.0])},
        r"another value of beta\[1\] = nan would mend it",
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_out_of_range(name):
    options, message = NUMBERS[name]
    with pytest.raises(ValueError, match=message):
        fit(worlds.conjugate_in_rows(), **options)


@pytest.mark.parametrize("density", [jnp.sum, lambda u: jnp.sum(u**2)], ids=["linear", "square"])
def test_a_density_that_rises_without_end_is_refused(density):
    with pytest.raises(
        ValueError,
        match=r"rises without end: .* at u\[\d\] = .* prior that is missing, or a sign that is wrong",
    ):
        fit(jensen.from_unconstrained(density, size=2))


def test_a_far_narrow_maximum_is_not_taken_for_an_endless_rise():
    found = fit(jensen.from_unconstrained(lambda u: -0.5 * jnp.sum((u - 1e9) ** 2), size=2))
    np.testing.assert_allclose(found.mean()["u"] - 1e9, 0, atol=5 / np.sqrt(200))
    assert found.outcome.converged


def test_an_edge_within_the_reach_of_q_is_told_with_the_remedy():
    target = jensen.from_log_joint(
        lambda p: jnp.where(jnp.abs(p["a"]) > 0.3, jnp.nan, -0.5 * p["a"] ** 2), {"a": 0.0}
    )
    found = fit(target, start=np.zeros(1))
    assert not found.outcome.converged and not found.trusted
    assert (
        "not finite at" in found.outcome.message
        and "supports= of from_log_joint" in found.outcome.message
    )


def test_data_that_are_not_finite_within_a_density_of_ones_own():
    target = jensen.from_log_joint(
        lambda p: jnp.sum(-0.5 * (np.array([1.0, np.nan]) - p["a"]) ** 2), {"a": 0.0}
    )
    with pytest.raises(
        ValueError, match=r"is nan at all of 50 random starts; .*Look for data that are not finite"
    ):
        fit(target)


TARGETS = {
    "vector": (
        lambda: fit(jensen.from_unconstrained(lambda u: -0.5 * u**2, size=2)),
        r"must be one number; got shape \(2,\)",
    ),
    "complex": (
        lambda: fit(jensen.from_unconstrained(lambda u: 1j * jnp.sum(u), size=2)),
        "must be a real number; got complex128",
    ),
    "whole": (
        lambda: fit(jensen.from_unconstrained(lambda u: 3, size=2)),
        "constant along a direction",
    ),
    "name": (
        lambda: jensen.from_log_joint(lambda p: 0.0, {"a": 1.0}, {"a": "positive"}),
        "such as constraints.positive; got 'positive'",
    ),
    "distribution": (
        lambda: jensen.from_log_joint(lambda p: 0.0, {"a": 1.0}, {"a": dist.HalfNormal}),
        "a support is one of numpyro.distributions.constraints",
    ),
    "text": (
        lambda: jensen.from_log_joint(lambda p: 0.0, {"a": "x"}),
        "parameter 'a': its example must be a number or an array of numbers; got 'x'",
    ),
    "nan": (
        lambda: jensen.from_log_joint(lambda p: 0.0, {"a": np.nan}, {"a": constraints.positive}),
        "parameter 'a': the example nan lies outside",
    ),
    "components": (
        lambda: fit(worlds.conjugate(), {"name": "mixture", "num_components": 1}),
        "num_components must be a whole number, at least 2; got 1",
    ),
    "width": (
        lambda: fit(worlds.conjugate(), {"name": "mixture", "width": np.inf}),
        "width must be positive and finite",
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_and_families_that_make_no_sense(name):
    call, message = TARGETS[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "likelihood",
    [lambda p, x: jnp.sum(-((x - p["a"]) ** 2)), lambda p, x: -((x[:, None] - x) ** 2)],
    ids=["sum", "square"],
)
def test_a_likelihood_that_is_not_row_by_row_is_refused(likelihood):
    """One of shape [B, B] would be summed, and be wrong without a word."""
    target = jensen.from_log_joint(
        example={"a": 0.0},
        log_prior=lambda p: -0.5 * p["a"] ** 2,
        log_likelihood=likelihood,
        data=np.arange(5.0),
    )
    with pytest.raises(
        ValueError, match=r"one number for each of the 5 rows of data that it is given; got shape"
    ):
        fit(target)
