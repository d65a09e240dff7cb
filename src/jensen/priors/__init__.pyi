"""Made by tools/make_stubs.py, for type checkers and editors alone."""

from jensen._rooms import Room
from jensen.priors._base import AbstractPrior as AbstractPrior
from jensen.priors.aggregated import Aggregated as Aggregated
from jensen.priors.bernoulli import Bernoulli as Bernoulli
from jensen.priors.categorical import Categorical as Categorical
from jensen.priors.flow import Flow as Flow
from jensen.priors.mixture import Mixture as Mixture
from jensen.priors.standard_normal import StandardNormal as StandardNormal
from jensen.priors.vamp import Vamp as Vamp
from jensen.priors.vamp_data import VampData as VampData

priors: Room
