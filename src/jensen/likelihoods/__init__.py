"""Likelihood heads: the outputs of a decoder network -> p(x|z) for one datum.

Each file defines one likelihood.
"""

from jensen._rooms import ROOMS
from jensen.likelihoods._base import AbstractLikelihood as AbstractLikelihood
from jensen.likelihoods._base import DataSummary as DataSummary
from jensen.likelihoods._base import check_support as check_support
from jensen.likelihoods._base import summarise as summarise

likelihoods = ROOMS["likelihood"]
__getattr__, __dir__ = likelihoods.attribute_access()
