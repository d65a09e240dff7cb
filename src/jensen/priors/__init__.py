"""Priors: encoder -> p(z). Each file defines one prior."""

from jensen._rooms import ROOMS
from jensen.priors._base import AbstractPrior as AbstractPrior

priors = ROOMS["prior"]
__getattr__, __dir__ = priors.attribute_access()
