"""Made by tools/make_stubs.py, for type checkers and editors alone."""

from jensen._rooms import Room
from jensen.bounds._base import AbstractBound as AbstractBound
from jensen.bounds._base import BoundChoice as BoundChoice
from jensen.bounds.ciwae import CIWAE as CIWAE
from jensen.bounds.cubo import CUBO as CUBO
from jensen.bounds.elbo import ELBO as ELBO
from jensen.bounds.eubo import EUBO as EUBO
from jensen.bounds.f_divergence import FDivergence as FDivergence
from jensen.bounds.iwae import IWAE as IWAE
from jensen.bounds.miwae import MIWAE as MIWAE
from jensen.bounds.piwae import PIWAE as PIWAE
from jensen.bounds.renyi import Renyi as Renyi

bounds: Room
