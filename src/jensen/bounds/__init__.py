"""Bounds: the log-weights of one datum -> a bound on, or an estimate of, log p(x).

Each file defines one bound.
"""

from jensen._rooms import ROOMS
from jensen.bounds._base import AbstractBound as AbstractBound
from jensen.bounds._base import BoundChoice as BoundChoice

bounds = ROOMS["bound"]
__getattr__, __dir__ = bounds.attribute_access()
