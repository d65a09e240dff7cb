"""Deterministic approximate inference: q is updated by formulas, without gradients and without
random draws of q.

- `expectation_propagation`: each site of a Gaussian q matches the mean and variance of its tilted
  distribution (Minka 2001). `fit_expectation_propagation`, and the likelihoods in its room `sites`.
- `coordinate_ascent`: each factor of q is set to its optimum given the other factors (Blei et al.
  2017): Gaussian mixtures, linear regression, factor analysis, probabilistic PCA.

Every result has a `Convergence` (did it converge, and if not why) and `weighted_draws`, from which
the evidence is estimated by importance sampling with k-hat.
"""

from jensen.deterministic._results import Convergence as Convergence
from jensen.deterministic._results import WeightedDraws as WeightedDraws
from jensen.deterministic.coordinate_ascent import FactorAnalysis as FactorAnalysis
from jensen.deterministic.coordinate_ascent import GaussianMixture as GaussianMixture
from jensen.deterministic.coordinate_ascent import LinearRegression as LinearRegression
from jensen.deterministic.coordinate_ascent import NormalGammaRegression as NormalGammaRegression
from jensen.deterministic.coordinate_ascent import fit_factor_analysis as fit_factor_analysis
from jensen.deterministic.coordinate_ascent import fit_gaussian_mixture as fit_gaussian_mixture
from jensen.deterministic.coordinate_ascent import fit_linear_regression as fit_linear_regression
from jensen.deterministic.coordinate_ascent import (
    fit_normal_gamma_regression as fit_normal_gamma_regression,
)
from jensen.deterministic.coordinate_ascent import fit_probabilistic_pca as fit_probabilistic_pca
from jensen.deterministic.expectation_propagation import AbstractSite as AbstractSite
from jensen.deterministic.expectation_propagation import EPResult as EPResult
from jensen.deterministic.expectation_propagation import (
    fit_expectation_propagation as fit_expectation_propagation,
)
