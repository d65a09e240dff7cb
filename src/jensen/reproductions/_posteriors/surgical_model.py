"""Deaths in twelve hospitals after heart surgery on babies (surgical_model.stan)."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from jensen.reproductions._posteriors._base import AbstractPosterior


class Surgical(AbstractPosterior):
    """mu ~ N(0, 1000), sigmasq ~ InverseGamma(.001, .001), b_i ~ N(mu, sqrt(sigmasq)), r_i ~ Binomial(n_i, sigmoid(b_i)). It has no reference draws.

    The program's further quantities (sigma, p and pop_mean) are functions of these, and left out.
    """

    name = "surgical_data-surgical_model"
    data_name = "surgical_data"
    reference_name = None
    proper = True
    stan_offset = 0.0

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = np.asarray(data["n"]), np.asarray(data["r"])
        self.shapes = {"mu": (), "sigmasq": (), "b": (len(self.arguments[0]),)}

    @staticmethod
    def model(n, r):
        mu = numpyro.sample("mu", dist.Normal(0.0, 1000.0))
        sigmasq = numpyro.sample("sigmasq", dist.InverseGamma(0.001, 0.001))
        b = numpyro.sample("b", dist.Normal(mu, jnp.sqrt(sigmasq)).expand([len(n)]).to_event(1))
        numpyro.sample("r", dist.Binomial(total_count=n, logits=b).to_event(1), obs=r)
