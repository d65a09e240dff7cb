"""Eight schools, the effects in units of tau as parameters (eight_schools_noncentered.stan)."""

import math
from collections.abc import Mapping
from typing import Any

import numpyro
import numpyro.distributions as dist

from jensen.reproductions._posteriors._base import AbstractPosterior, Coordinates, Values, column


def _to_named(sites: Values) -> Values:
    return {
        "theta": sites["theta_trans"] * sites["tau"][..., None] + sites["mu"][..., None],
        "mu": sites["mu"],
        "tau": sites["tau"],
    }


def _to_sites(named: Values) -> Values:
    return {
        "theta_trans": (named["theta"] - named["mu"][..., None]) / named["tau"][..., None],
        "mu": named["mu"],
        "tau": named["tau"],
    }


class EightSchoolsNoncentered(AbstractPosterior):
    """theta_j = mu + tau theta_trans_j with theta_trans_j ~ N(0, 1); else as the centred one. Its reference draws have theta, not theta_trans."""

    name = "eight_schools-eight_schools_noncentered"
    data_name = "eight_schools"
    reference_name = "eight_schools-eight_schools_noncentered"
    proper = True
    stan_offset = -math.log(2)  # tau
    coordinates = Coordinates(_to_named, _to_sites)

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = column(data, "y"), column(data, "sigma")
        self.shapes = {"theta": (len(self.arguments[0]),), "mu": (), "tau": ()}

    @staticmethod
    def model(y, sigma):
        theta_trans = numpyro.sample(
            "theta_trans", dist.Normal(0.0, 1.0).expand([len(y)]).to_event(1)
        )
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
        numpyro.sample("y", dist.Normal(theta_trans * tau + mu, sigma).to_event(1), obs=y)
