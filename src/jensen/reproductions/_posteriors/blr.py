"""Bayesian linear regression on five covariates (blr.stan)."""

import math
from collections.abc import Mapping
from typing import Any

import numpyro
import numpyro.distributions as dist

from jensen.reproductions._posteriors._base import AbstractPosterior, column


class BLR(AbstractPosterior):
    """beta_d ~ N(0, 10), sigma ~ HalfNormal(10), y ~ N(X beta, sigma)."""

    name = "sblrc-blr"
    data_name = "sblrc"
    reference_name = "sblrc-blr"
    proper = True
    stan_offset = -math.log(2)  # sigma

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = column(data, "X"), column(data, "y")
        self.shapes = {"beta": (self.arguments[0].shape[1],), "sigma": ()}

    @staticmethod
    def model(covariates, y):
        beta = numpyro.sample(
            "beta", dist.Normal(0.0, 10.0).expand([covariates.shape[1]]).to_event(1)
        )
        sigma = numpyro.sample("sigma", dist.HalfNormal(10.0))
        numpyro.sample("y", dist.Normal(covariates @ beta, sigma).to_event(1), obs=y)
