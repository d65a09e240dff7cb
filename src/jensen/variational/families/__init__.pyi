"""Made by tools/make_stubs.py, for type checkers and editors alone."""

from jensen._rooms import Room
from jensen.variational.families._base import AbstractFamily as AbstractFamily
from jensen.variational.families._base import Spread as Spread
from jensen.variational.families._base import Start as Start
from jensen.variational.families._own import from_flowjax as from_flowjax
from jensen.variational.families._own import own as own
from jensen.variational.families.flow import Flow as Flow
from jensen.variational.families.full_rank import FullRank as FullRank
from jensen.variational.families.low_rank import LowRank as LowRank
from jensen.variational.families.mean_field import MeanField as MeanField
from jensen.variational.families.mixture import Mixture as Mixture
from jensen.variational.families.student_t import StudentT as StudentT

families: Room
