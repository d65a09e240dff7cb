"""Distributions that numpyro lacks, or has in a slower form; numpyro.distributions is the vocabulary for all others."""

from jensen.distributions.bernoulli import Bernoulli as Bernoulli
from jensen.distributions.diagonal_normal import diagonal_normal as diagonal_normal
from jensen.distributions.diagonal_normal import diagonal_normal_parameters as diagonal_normal_parameters
from jensen.distributions.diagonal_normal_mixture import DiagonalNormalMixture as DiagonalNormalMixture
