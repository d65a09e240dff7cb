"""The account of a model of discrete codes, line by line against sums over all codes in float64."""

import numpy as np
import pytest
from jax import random as jr
from scipy.special import logsumexp

import jensen
from discrete import DISCRETE, small_vae, table

X = np.random.default_rng(4).integers(0, 2, (12, 3)).astype(np.uint8)


@pytest.mark.parametrize("prior", ["", "vamp"])
@pytest.mark.parametrize("name", DISCRETE)
def test_every_line_is_the_sum_over_all_codes(x64, name, prior):
    model = small_vae(
        name, variables=3, by=0.4, prior={"name": prior, "num_components": 4} if prior else name
    )
    exact = table(model, name, 3, X)
    q = np.exp(exact.log_posterior)
    log_aggregated = logsumexp(exact.log_posterior, axis=0) - np.log(len(X))
    acc = jensen.account(model, X, key=jr.key(0), num_samples=2000, num_draws=200)
    expected = {
        "evidence": exact.log_evidence,
        "elbo": exact.elbo,
        "index_information": np.sum(q * (exact.log_posterior - log_aggregated), axis=1),
        "entropy": -np.sum(q * exact.log_posterior, axis=1),
        "jensen_gap": exact.log_evidence - exact.elbo,
    }
    for line, values in expected.items():
        assert abs(acc.line(line).value - values.mean()) < 5 * acc.line(line).standard_error, line
