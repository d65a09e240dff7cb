"""Eight schools, the effects themselves as parameters (eight_schools_centered.stan)."""

import math
from collections.abc import Mapping
from typing import Any

import numpyro
import numpyro.distributions as dist

from jensen.reproductions._posteriors._base import AbstractPosterior, column


class EightSchoolsCentered(AbstractPosterior):
    """mu ~ N(0, 5), tau ~ HalfCauchy(5), theta_j ~ N(mu, tau), y_j ~ N(theta_j, sigma_j). Its reference draws are those of the non-centred program."""

    name = "eight_schools-eight_schools_centered"
    data_name = "eight_schools"
    reference_name = "eight_schools-eight_schools_noncentered"
    proper = True
    stan_offset = -math.log(2)  # tau

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = column(data, "y"), column(data, "sigma")
        self.shapes = {"theta": (len(self.arguments[0]),), "mu": (), "tau": ()}

    @staticmethod
    def model(y, sigma):
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
        theta = numpyro.sample("theta", dist.Normal(mu, tau).expand([len(y)]).to_event(1))
        numpyro.sample("y", dist.Normal(theta, sigma).to_event(1), obs=y)
