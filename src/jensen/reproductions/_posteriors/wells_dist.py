"""Whether a household changes to another well, on the distance to it (wells_dist.stan)."""

from collections.abc import Mapping
from typing import Any

import numpyro
import numpyro.distributions as dist

from jensen.reproductions._posteriors._base import AbstractPosterior, column
from jensen.reproductions._posteriors._flat_regression import with_constant


class WellsDistance(AbstractPosterior):
    """beta flat, switched ~ Bernoulli(sigmoid(beta_1 + beta_2 dist)). It has no reference draws."""

    name = "wells_data-wells_dist"
    data_name = "wells_data"
    reference_name = None
    proper = False
    stan_offset = 0.0

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = with_constant(column(data, "dist")), column(data, "switched")
        self.shapes = {"beta": (2,)}

    @staticmethod
    def model(covariates, switched):
        beta = numpyro.sample("beta", dist.ImproperUniform(dist.constraints.real_vector, (), (2,)))
        numpyro.sample(
            "switched", dist.BernoulliLogits(covariates @ beta).to_event(1), obs=switched
        )
