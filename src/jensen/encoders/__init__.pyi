"""Made by tools/make_stubs.py, for type checkers and editors alone."""

from jensen._rooms import Room
from jensen.encoders._base import AbstractEncoder as AbstractEncoder
from jensen.encoders.bernoulli import Bernoulli as Bernoulli
from jensen.encoders.categorical import Categorical as Categorical
from jensen.encoders.diagonal_normal import DiagonalNormal as DiagonalNormal
from jensen.encoders.flow import Flow as Flow
from jensen.encoders.full_normal import FullNormal as FullNormal
from jensen.encoders.student_t import StudentT as StudentT

encoders: Room
