"""An autoregression of order K (arK.stan)."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist

from jensen.reproductions._posteriors._base import AbstractPosterior, column


class AR(AbstractPosterior):
    """alpha, beta_k ~ N(0, 10), sigma ~ HalfCauchy(2.5), y_t ~ N(alpha + sum_k beta_k y_{t-k}, sigma) from t = K + 1 on."""

    name = "arK-arK"
    data_name = "arK"
    reference_name = "arK-arK"
    proper = True
    stan_offset = -math.log(2)  # sigma

    def __init__(self, data: Mapping[str, Any]):
        y, order = column(data, "y"), int(data["K"])
        # Column k - 1 holds y[t - k], t = K + 1, ..., T.
        lagged = np.stack([y[order - k : len(y) - k] for k in range(1, order + 1)], axis=1)
        self.arguments = lagged, y[order:]
        self.shapes = {"alpha": (), "beta": (order,), "sigma": ()}

    @staticmethod
    def model(lagged, y):
        alpha = numpyro.sample("alpha", dist.Normal(0.0, 10.0))
        beta = numpyro.sample("beta", dist.Normal(0.0, 10.0).expand([lagged.shape[1]]).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
        numpyro.sample("y", dist.Normal(alpha + lagged @ beta, sigma).to_event(1), obs=y)
