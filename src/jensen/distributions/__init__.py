"""Distributions that numpyro lacks, or has in a slower or less exact form; numpyro.distributions is the vocabulary for all others."""

from jensen.distributions.bernoulli import Bernoulli as Bernoulli
from jensen.distributions.categorical import Categorical as Categorical
from jensen.distributions.code_kind import CONTINUOUS as CONTINUOUS
from jensen.distributions.code_kind import code_kind as code_kind
from jensen.distributions.code_kind import point_code as point_code
from jensen.distributions.code_kind import same_codes as same_codes
from jensen.distributions.continuous_bernoulli import ContinuousBernoulli as ContinuousBernoulli
from jensen.distributions.diagonal_normal import diagonal_normal as diagonal_normal
from jensen.distributions.diagonal_normal import diagonal_normal_parameters as diagonal_normal_parameters
from jensen.distributions.diagonal_normal_mixture import DiagonalNormalMixture as DiagonalNormalMixture
from jensen.distributions.discretized_logistic import DiscretizedLogistic as DiscretizedLogistic
from jensen.distributions.joint import Joint as Joint
from jensen.distributions.joint import complete as complete
from jensen.distributions.joint import level_log_probs as level_log_probs
from jensen.distributions.joint import top_code as top_code
from jensen.distributions.joint import top_of as top_of
from jensen.distributions.negative_binomial import NegativeBinomial as NegativeBinomial
from jensen.distributions.one_hot_categorical import OneHotCategorical as OneHotCategorical
from jensen.distributions.poisson import Poisson as Poisson
from jensen.distributions.student_t import StudentT as StudentT
