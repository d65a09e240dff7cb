"""Made by tools/make_stubs.py, for type checkers and editors alone."""

from jensen._rooms import Room
from jensen.decoders._base import AbstractDecoder as AbstractDecoder
from jensen.decoders.feedforward import Feedforward as Feedforward
from jensen.decoders.gated_conv import GatedConv as GatedConv
from jensen.decoders.pixel_cnn import PixelCNN as PixelCNN

decoders: Room
