"""Bounds of a trained model on the same draws, against a linear-Gaussian model's closed forms."""

import jax
import numpy as np
import pytest
from jax import random as jr

from jensen.bounds import bounds
from jensen.evidence import evaluate_bounds
from jensen.weights import log_weights
from linear_gaussian import make

TRUTH = make(dimension=4, latent=2, shift=0.3, stretch=1.3)
X = TRUTH.data(40, seed=2).astype(np.float32)


def build(*names):
    return {name: bounds.build(name, {}, {}) for name in names}


def test_values_are_those_of_the_log_weights_and_do_not_depend_on_the_chunk():
    chosen = build("elbo", "iwae", "renyi", "cubo", "eubo", "miwae", "f_divergence")
    found = evaluate_bounds(TRUTH.model, X, chosen, key=jr.key(0), num_samples=16, repeats=3)
    log_w = np.asarray(
        log_weights(TRUTH.model, X, key=jr.key(0), num_samples=48).tempered(), np.float64
    ).T.reshape(40, 3, 16)
    with jax.enable_x64(True):
        for name, bound in chosen.items():
            expected = np.asarray(jax.vmap(jax.vmap(bound))(log_w)).mean(axis=1)
            np.testing.assert_allclose(found[name].values, expected, rtol=1e-6, atol=1e-5)
    again = evaluate_bounds(
        TRUTH.model, X, chosen, key=jr.key(0), num_samples=16, repeats=3, chunk=7
    )
    for name in chosen:
        np.testing.assert_allclose(again[name].values, found[name].values, rtol=1e-6, atol=1e-5)


def test_the_standard_error_is_that_of_the_draws_and_the_elbo_is_right():
    found = evaluate_bounds(
        TRUTH.model, X, build("elbo", "iwae"), key=jr.key(1), num_samples=8, repeats=50
    )
    assert abs(found["elbo"].value - TRUTH.elbo(X).mean()) < 5 * found["elbo"].standard_error
    # The same with other draws: the spread of the means is what the standard error says, within what 30 repeats can tell.
    means = [
        evaluate_bounds(TRUTH.model, X, build("elbo"), key=jr.key(s), num_samples=8, repeats=4)[
            "elbo"
        ]
        for s in range(30)
    ]
    ratio = np.std([m.value for m in means], ddof=1) / np.mean([m.standard_error for m in means])
    assert 0.6 < ratio < 1.5
    assert (
        found["elbo"].value
        < found["iwae"].value
        < TRUTH.log_evidence(X).mean() + 5 * found["iwae"].standard_error
    )


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("miwae", {"num_samples": 12}, "bound miwae: 8 groups want.*got 12"),
        ("cubo", {"num_samples": 1}, "bound cubo: needs at least 2 samples.*got 1"),
        ("elbo", {"num_samples": 4, "repeats": 1}, "repeats must be at least 2.*got 1"),
        ("elbo", {"num_samples": 0}, "num_samples must be at least 1; got 0"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate_bounds(TRUTH.model, X, build(name), key=jr.key(0), **arguments)


def test_no_data_are_refused():
    with pytest.raises(ValueError, match="no data"):
        evaluate_bounds(TRUTH.model, X[:0], build("elbo"), key=jr.key(0), num_samples=2)
