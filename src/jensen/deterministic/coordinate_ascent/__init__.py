"""Coordinate ascent variational inference for conjugate models.

Every update sets one factor of q to its optimum given the others, in closed form, so that the ELBO
never falls (Blei et al. 2017, section 2.4). Each `fit_...` function returns a record of its own
with the ELBO after every sweep.
"""

from jensen.deterministic.coordinate_ascent.factor_analysis import FactorAnalysis as FactorAnalysis
from jensen.deterministic.coordinate_ascent.factor_analysis import (
    fit_factor_analysis as fit_factor_analysis,
)
from jensen.deterministic.coordinate_ascent.factor_analysis import (
    fit_probabilistic_pca as fit_probabilistic_pca,
)
from jensen.deterministic.coordinate_ascent.gaussian_mixture import (
    GaussianMixture as GaussianMixture,
)
from jensen.deterministic.coordinate_ascent.gaussian_mixture import (
    fit_gaussian_mixture as fit_gaussian_mixture,
)
from jensen.deterministic.coordinate_ascent.linear_regression import (
    LinearRegression as LinearRegression,
)
from jensen.deterministic.coordinate_ascent.linear_regression import (
    fit_linear_regression as fit_linear_regression,
)
from jensen.deterministic.coordinate_ascent.normal_gamma import (
    NormalGammaRegression as NormalGammaRegression,
)
from jensen.deterministic.coordinate_ascent.normal_gamma import (
    fit_normal_gamma_regression as fit_normal_gamma_regression,
)
