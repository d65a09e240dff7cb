"""Made by tools/make_stubs.py, for type checkers and editors alone."""

from jensen._rooms import Room
from jensen.likelihoods._base import AbstractLikelihood as AbstractLikelihood
from jensen.likelihoods._base import DataSummary as DataSummary
from jensen.likelihoods._base import check_support as check_support
from jensen.likelihoods._base import summarise as summarise
from jensen.likelihoods.bernoulli import Bernoulli as Bernoulli
from jensen.likelihoods.categorical import Categorical as Categorical
from jensen.likelihoods.continuous_bernoulli import ContinuousBernoulli as ContinuousBernoulli
from jensen.likelihoods.discretized_logistic import DiscretizedLogistic as DiscretizedLogistic
from jensen.likelihoods.negative_binomial import NegativeBinomial as NegativeBinomial
from jensen.likelihoods.normal import Normal as Normal
from jensen.likelihoods.poisson import Poisson as Poisson
from jensen.likelihoods.student_t import StudentT as StudentT

likelihoods: Room
