"""Distributions that NumPyro lacks, or offers in a slower or less exact form.

All other distributions are those of numpyro.distributions.
"""

from jensen.distributions.bernoulli import Bernoulli as Bernoulli
from jensen.distributions.bijections import BIJECTIONS as BIJECTIONS
from jensen.distributions.bottom_up import BottomUp as BottomUp
from jensen.distributions.categorical import Categorical as Categorical
from jensen.distributions.code_kinds import CONTINUOUS as CONTINUOUS
from jensen.distributions.code_kinds import code_kind as code_kind
from jensen.distributions.code_kinds import point_code as point_code
from jensen.distributions.code_kinds import same_codes as same_codes
from jensen.distributions.continuous_bernoulli import ContinuousBernoulli as ContinuousBernoulli
from jensen.distributions.coupling_flow import Coupling as Coupling
from jensen.distributions.coupling_flow import CouplingFlow as CouplingFlow
from jensen.distributions.diagonal_normal_mixture import (
    DiagonalNormalMixture as DiagonalNormalMixture,
)
from jensen.distributions.diagonal_normals import diagonal_normal as diagonal_normal
from jensen.distributions.diagonal_normals import (
    diagonal_normal_parameters as diagonal_normal_parameters,
)
from jensen.distributions.discretized_logistic import DiscretizedLogistic as DiscretizedLogistic
from jensen.distributions.full_normals import full_normal as full_normal
from jensen.distributions.full_normals import full_normal_parameters as full_normal_parameters
from jensen.distributions.joint import Joint as Joint
from jensen.distributions.joint import complete as complete
from jensen.distributions.joint import level_log_probs as level_log_probs
from jensen.distributions.joint import levels_along as levels_along
from jensen.distributions.joint import root_code as root_code
from jensen.distributions.joint import root_of as root_of
from jensen.distributions.joint import top_of as top_of
from jensen.distributions.mixture import Mixture as Mixture
from jensen.distributions.mixture import mixture_of as mixture_of
from jensen.distributions.moments import is_discrete as is_discrete
from jensen.distributions.moments import mean_of as mean_of
from jensen.distributions.moments import scale_of as scale_of
from jensen.distributions.negative_binomial import NegativeBinomial as NegativeBinomial
from jensen.distributions.one_hot_categorical import OneHotCategorical as OneHotCategorical
from jensen.distributions.poisson import Poisson as Poisson
from jensen.distributions.pushforwards import Pushforward as Pushforward
from jensen.distributions.pushforwards import pushforward as pushforward
from jensen.distributions.stacked import Stacked as Stacked
from jensen.distributions.stacked import concatenate as concatenate
from jensen.distributions.stacked import stack as stack
from jensen.distributions.student_t import StudentT as StudentT
