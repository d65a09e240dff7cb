"""The log weight of mesquite bushes on their log measures (logmesquite_logvas.stan)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jensen.reproductions._posteriors._base import AbstractPosterior, column
from jensen.reproductions._posteriors._flat_regression import flat_scale, regression, with_constant


class LogMesquiteVolumeAreaShape(AbstractPosterior):
    """beta and sigma flat; log weight on log canopy volume, area and shape, log total height, log density and group."""

    name = "mesquite-logmesquite_logvas"
    data_name = "mesquite"
    reference_name = "mesquite-logmesquite_logvas"
    proper = False
    stan_offset = 0.0

    def __init__(self, data: Mapping[str, Any]):
        diam1, diam2, canopy, total, density = (
            np.log(column(data, k))
            for k in ("diam1", "diam2", "canopy_height", "total_height", "density")
        )
        covariates = with_constant(
            diam1 + diam2 + canopy,
            diam1 + diam2,
            diam1 - diam2,
            total,
            density,
            column(data, "group"),
        )
        self.arguments = covariates, np.log(column(data, "weight"))
        self.shapes = {"beta": (7,), "sigma": ()}

    @staticmethod
    def model(covariates, y):
        regression(covariates, y, flat_scale())
