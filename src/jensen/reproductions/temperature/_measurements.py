"""The measurements of the KL weight's reproduction: the account of a run's last epoch, and which prior variance would suit it."""

import math
from itertools import pairwise
from typing import Any

import numpy as np

from jensen.anatomy import account
from jensen.anatomy.surgery import posterior_draws
from jensen.anatomy.units import active_units
from jensen.datasets import Dataset
from jensen.evaluation import split_data, stream_key
from jensen.generation import posterior_codes
from jensen.progress import CountProgress
from jensen.reproductions._runs import last_model
from jensen.reproductions._temperature_table import SWITCHED_OFF
from jensen.reproductions._tempering import best_prior_variance, gain_of_prior_variance
from jensen.runs import Run

LINES = (
    "elbo",
    "evidence",
    "reconstruction",
    "average_kl",
    "index_information",
    "marginal_kl",
    "entropy",
)
TRAIN_ROWS, TRAIN_DRAWS = 10_000, 8


def measure(
    run: Run, dataset: Dataset, *, seed: int, num_samples: int, rows: int, progress: bool
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(plain values, the values per datum of the lines): the account of the last epoch on the first `rows` test data; reconstruction and average KL of training
    data; for the prior N(0, I) the variance that suits the training data best, and what it gives the test data. Nats per datum, at beta = 1."""
    model = last_model(run)
    test, train = split_data(dataset, "test")[:rows], split_data(dataset, "train")[:TRAIN_ROWS]
    key = stream_key(seed, "account")
    with CountProgress(shown=progress) as bar:
        found = account(model, test, key=key, num_samples=num_samples, on_progress=bar.advance)
    lines = {
        name: {k: getattr(found.line(name), k) for k in ("value", "standard_error", "data_error")}
        for name in LINES
    }
    _, log_likelihood, log_priors, log_posteriors, *_ = posterior_draws(
        model, train, key, TRAIN_DRAWS
    )
    row: dict[str, Any] = {
        "n": found.n,
        "log_n": found.log_n,
        "test": lines,
        "train": {
            "reconstruction": float(log_likelihood.mean()),
            "average_kl": float((log_posteriors - log_priors).sum(axis=-1).mean()),
        },
        # In units of the prior: the threshold of activity is one of N(0, I).
        "active_units": active_units(
            posterior_codes(model, test)["mean"] / run.config["prior"].get("scale", 1.0)
        ),
        "latent_dim": found.latent_dim,
        "k_hat_too_high": found.pareto_k,
        "fitted_variance": None,
    }
    if run.config["prior"].get("scale", 1.0) == 1.0:
        (means, scales), (test_means, test_scales) = (
            np.asarray([c["mean"], c["scale"]], np.float64)
            for c in (posterior_codes(model, x) for x in (train, test))
        )
        variance = best_prior_variance(means, scales)
        row["fitted_variance"] = {
            "value": variance,
            "gain": gain_of_prior_variance(test_means, test_scales, variance),
        }
        row["fitted_variance"]["elbo"] = lines["elbo"]["value"] + row["fitted_variance"]["gain"]
    return row, {name: found.line(name).per_datum for name in LINES}


def paired_with_one(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Each line less that of the run at beta = 1 under N(0, I), on the same test data: mean, and its standard error over the data."""
    one = next(r for r in rows if r.get("beta") == 1.0)
    out = {}
    for name in LINES:
        difference = row["per_datum"][name] - one["per_datum"][name]
        out[name] = {
            "value": float(difference.mean()),
            "standard_error": float(difference.std(ddof=1) / math.sqrt(len(difference))),
        }
    return out


def exchange_rates(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Between neighbouring betas a < b: nats of reconstruction given up for one of average KL, on the training data.

    Were each model the best there is for its objective, then a <= rate <= b: neither could gain by becoming the other. Where no KL is saved there is no rate.
    """
    found = sorted((r for r in rows if r["kind"] == "beta"), key=lambda r: r["beta"])
    out = []
    for low, high in pairwise(found):
        given, saved = (
            low["train"][name] - high["train"][name] for name in ("reconstruction", "average_kl")
        )
        rate = given / saved if abs(saved) > SWITCHED_OFF else None
        inside = None if rate is None else bool(low["beta"] <= rate <= high["beta"])
        out.append({"between": [low["beta"], high["beta"]], "rate": rate, "inside": inside})
    return out
