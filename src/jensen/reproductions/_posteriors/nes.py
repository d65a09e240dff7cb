"""Party identification in the National Election Study of 1972 (nes.stan)."""

from collections.abc import Mapping
from typing import Any

from jensen.reproductions._posteriors._base import AbstractPosterior, column
from jensen.reproductions._posteriors._flat_regression import flat_scale, regression, with_constant


class NES(AbstractPosterior):
    """beta and sigma flat; partyid7 on ideology, race, three age groups (the first is the base), education, gender and income."""

    name = "nes1972-nes"
    data_name = "nes1972"
    reference_name = "nes1972-nes"
    proper = False
    stan_offset = 0.0

    def __init__(self, data: Mapping[str, Any]):
        age = column(data, "age_discrete")
        groups = [(age == group).astype(float) for group in (2, 3, 4)]
        before, after = ("real_ideo", "race_adj"), ("educ1", "gender", "income")
        covariates = with_constant(
            *(column(data, k) for k in before), *groups, *(column(data, k) for k in after)
        )
        self.arguments = covariates, column(data, "partyid7")
        self.shapes = {"beta": (9,), "sigma": ()}

    @staticmethod
    def model(covariates, y):
        regression(covariates, y, flat_scale())
