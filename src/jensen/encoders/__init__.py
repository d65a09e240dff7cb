"""Encoders: x -> q(z|x) for one datum. Each file defines one posterior family."""

from jensen._rooms import ROOMS
from jensen.encoders._base import AbstractEncoder as AbstractEncoder

encoders = ROOMS["encoder"]
__getattr__, __dir__ = encoders.attribute_access()
