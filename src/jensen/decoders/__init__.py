"""Decoders: z -> p(x|z) of one datum. Each file is one way to get there; the likelihood head is a member of its own room."""

from jensen._rooms import Room
from jensen.decoders._base import AbstractDecoder as AbstractDecoder

decoders = Room(__name__, "decoder")
__getattr__, __dir__ = decoders.attribute_access()
