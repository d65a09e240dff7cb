"""Priors: encoder -> p(z). Each file defines one prior."""

from jensen._rooms import Room
from jensen.priors._base import AbstractPrior as AbstractPrior

priors = Room(__name__, "prior")
__getattr__, __dir__ = priors.attribute_access()
