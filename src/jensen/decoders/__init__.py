"""Decoders: z -> p(x|z) for one datum. Each file defines one decoder.

The likelihood head is a member of the room `likelihoods`.
"""

from jensen._rooms import ROOMS
from jensen.decoders._base import AbstractDecoder as AbstractDecoder

decoders = ROOMS["decoder"]
__getattr__, __dir__ = decoders.attribute_access()
