"""Cases of every member of the likelihoods room: options, and data that it fits."""

import numpy as np
import pytest

from jensen.likelihoods import likelihoods, summarise

RNG = np.random.default_rng(0)
LEVELS = np.clip(
    np.round(
        np.array([10.0, 128.0, 200.0]) + np.array([4.0, 30.0, 60.0]) * RNG.normal(size=(50, 3))
    ),
    0,
    255,
).astype(np.uint8)
ROWS = {
    "bernoulli": RNG.integers(0, 2, (50, 3)).astype(np.uint8),
    "normal": 40 + np.array([0.5, 3.0, 20.0]) * RNG.normal(size=(50, 3)),
    "student_t": 40 + np.array([0.5, 3.0, 20.0]) * RNG.standard_t(4, size=(50, 3)),
    "continuous_bernoulli": RNG.beta(2, [1, 2, 5], size=(50, 3)),
    "poisson": RNG.poisson([0.7, 4, 20], size=(50, 3)).astype(np.uint8),
    "negative_binomial": RNG.negative_binomial(2, [0.7, 0.3, 0.1], size=(50, 3)).astype(np.uint8),
    "categorical": RNG.integers(0, [2, 3, 4], (50, 3)).astype(np.uint8),
    "discretized_logistic": LEVELS,
    "centres": ((LEVELS + 0.5) / 256).astype(np.float32),
}
CASES = [
    ("bernoulli", {}),
    *(("normal", {"scale": scale}) for scale in ("shared", "element", "datum")),
    *(("student_t", {"scale": scale}) for scale in ("shared", "element", "datum")),
    ("student_t", {"df": 2.5}),
    ("continuous_bernoulli", {}),
    ("poisson", {}),
    *(("negative_binomial", {"dispersion": d}) for d in ("shared", "element", "datum")),
    ("categorical", {}),
    ("categorical", {"num_classes": 6}),
    *(("discretized_logistic", {"scale": scale}) for scale in ("shared", "element", "datum")),
    ("discretized_logistic", {"units": "centres"}),
    (
        "discretized_logistic",
        {"num_bins": 300, "min_log_scale": -9.0, "max_log_scale": 1.0, "mean_margin": 0.1},
    ),
]
every_likelihood = pytest.mark.parametrize(("name", "options"), CASES)


def build(name, options, rows):
    return likelihoods.build(
        name, options, {"event_shape": rows.shape[1:], "data": summarise(rows)}
    )


def rows_of(name, options):
    return ROWS["centres" if options.get("units") == "centres" else name]
