"""Encoders: x -> q(z|x) for one datum. Each file defines one posterior family."""

from jensen._rooms import Room
from jensen.encoders._base import AbstractEncoder as AbstractEncoder

encoders = Room(__name__, "encoder")
__getattr__, __dir__ = encoders.attribute_access()
