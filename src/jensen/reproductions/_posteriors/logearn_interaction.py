"""Log earnings on height, sex and their product (logearn_interaction.stan)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jensen.reproductions._posteriors._base import AbstractPosterior, column
from jensen.reproductions._posteriors._flat_regression import flat_scale, regression, with_constant


class LogEarningsInteraction(AbstractPosterior):
    """beta and sigma flat, log earn ~ N(beta_1 + beta_2 height + beta_3 male + beta_4 height male, sigma)."""

    name = "earnings-logearn_interaction"
    data_name = "earnings"
    reference_name = "earnings-logearn_interaction"
    proper = False
    stan_offset = 0.0

    def __init__(self, data: Mapping[str, Any]):
        height, male = column(data, "height"), column(data, "male")
        self.arguments = with_constant(height, male, height * male), np.log(column(data, "earn"))
        self.shapes = {"beta": (4,), "sigma": ()}

    @staticmethod
    def model(covariates, y):
        regression(covariates, y, flat_scale())
