"""The measurements of a run: the account of its last epoch, and the prior variance that fits it."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from jensen.anatomy import account as make_account
from jensen.anatomy.elbo_surgery import posterior_draws
from jensen.anatomy.units import active_units
from jensen.datasets import Dataset
from jensen.generation import posterior_codes
from jensen.progress import CountProgress
from jensen.reproductions._base import paired_difference
from jensen.reproductions._runs import last_model
from jensen.reproductions.temperature._linear_gaussian import (
    best_prior_variance,
    gain_of_prior_variance,
)
from jensen.reproductions.temperature._table import SWITCHED_OFF
from jensen.runs import Run
from jensen.sessions import split_data, stream_key

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


class Measurement(NamedTuple):
    """Plain values of a run, and the values per datum of the LINES of its account."""

    values: dict[str, Any]
    per_datum: dict[str, np.ndarray]


def measure(
    run: Run, dataset: Dataset, *, seed: int, num_samples: int, rows: int, progress: bool
) -> Measurement:
    """Measures the last epoch of a run, at beta = 1 and in nats per datum.

    Three things are measured: the account on the first `rows` test data; reconstruction and
    average KL on training data; and, for the prior N(0, I), the variance that fits the training
    data best and what the test data gain by it.
    """
    model = last_model(run)
    test, train = split_data(dataset, "test")[:rows], split_data(dataset, "train")[:TRAIN_ROWS]
    key = stream_key(seed, "account")
    with CountProgress(shown=progress) as bar:
        account = make_account(
            model, test, key=key, num_samples=num_samples, on_progress=bar.advance
        )
    lines = {
        name: {
            field: getattr(account.line(name), field)
            for field in ("value", "standard_error", "data_error")
        }
        for name in LINES
    }
    _, log_likelihood, log_priors, log_posteriors, *_ = posterior_draws(
        model, train, key, TRAIN_DRAWS
    )
    prior_scale = run.config["prior"].get("scale", 1.0)
    values: dict[str, Any] = {
        "n": account.n,
        "log_n": account.log_n,
        "index_ceiling": account.index_ceiling,
        "test": lines,
        "train": {
            "reconstruction": float(log_likelihood.mean()),
            "average_kl": float((log_posteriors - log_priors).sum(axis=-1).mean()),
        },
        # The threshold of activity is meant for N(0, I), so codes are taken in units of the prior.
        "active_units": active_units(posterior_codes(model, test)["mean"] / prior_scale),
        "latent_dim": account.latent_dim,
        "k_hat_too_high": account.untrusted_share,
        "fitted_variance": None,
    }
    if prior_scale == 1.0:
        (means, scales), (test_means, test_scales) = (
            np.asarray([codes["mean"], codes["scale"]], np.float64)
            for codes in (posterior_codes(model, data) for data in (train, test))
        )
        variance = best_prior_variance(means, scales)
        gain = gain_of_prior_variance(test_means, test_scales, variance)
        values["fitted_variance"] = {
            "value": variance,
            "gain": gain,
            "elbo": lines["elbo"]["value"] + gain,
        }
    return Measurement(values, {name: account.line(name).per_datum for name in LINES})


def differences_from_one(
    row: Mapping[str, Any], rows: list[dict[str, Any]]
) -> dict[str, dict[str, float]]:
    """Returns each line less that of the run at beta = 1 under N(0, I), on the same test data."""
    one = next(other for other in rows if other.get("beta") == 1.0)
    return {
        name: paired_difference(row["per_datum"][name], one["per_datum"][name]) for name in LINES
    }


def exchange_rates(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the price in reconstruction of a nat of average KL, on the training data.

    It is that between neighbouring betas a < b; None where no KL is saved. If each model were the
    optimum of its objective, the rate would lie in [a, b]: neither could gain by becoming the
    other.
    """
    by_beta = sorted((row for row in rows if row["kind"] == "beta"), key=lambda row: row["beta"])
    rates = []
    for low, high in pairwise(by_beta):
        lost, saved = (
            low["train"][name] - high["train"][name] for name in ("reconstruction", "average_kl")
        )
        rate = lost / saved if abs(saved) > SWITCHED_OFF else None
        inside = None if rate is None else bool(low["beta"] <= rate <= high["beta"])
        rates.append({"between": [low["beta"], high["beta"]], "rate": rate, "inside": inside})
    return rates
