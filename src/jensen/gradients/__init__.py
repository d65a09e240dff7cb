"""Gradient estimators: a surrogate to differentiate, and the bound's own value to report.

Each file defines one estimator.
"""

from jensen._rooms import ROOMS
from jensen.gradients._base import AbstractGradientEstimator as AbstractGradientEstimator
from jensen.gradients._base import Estimate as Estimate
from jensen.gradients._base import GradientChoice as GradientChoice
from jensen.gradients._base import valid_estimators as valid_estimators
from jensen.gradients._noise import Noise as Noise
from jensen.gradients._noise import gradient_noise as gradient_noise

gradients = ROOMS["gradient"]
__getattr__, __dir__ = gradients.attribute_access()
