"""A child's test score on its mother's IQ (kidscore_momiq.stan)."""

import math
from collections.abc import Mapping
from typing import Any

import numpyro.distributions as dist

from jensen.reproductions._posteriors._base import AbstractPosterior, column
from jensen.reproductions._posteriors._flat_regression import regression, with_constant


class KidscoreMomIQ(AbstractPosterior):
    """beta flat, sigma ~ HalfCauchy(2.5), kid_score ~ N(beta_1 + beta_2 mom_iq, sigma)."""

    name = "kidiq-kidscore_momiq"
    data_name = "kidiq"
    reference_name = "kidiq-kidscore_momiq"
    proper = False
    stan_offset = -math.log(2)  # sigma

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = with_constant(column(data, "mom_iq")), column(data, "kid_score")
        self.shapes = {"beta": (2,), "sigma": ()}

    @staticmethod
    def model(covariates, y):
        regression(covariates, y, dist.HalfCauchy(2.5))
