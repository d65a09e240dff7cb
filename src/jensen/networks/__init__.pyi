"""Made by tools/make_stubs.py, for type checkers and editors alone."""

from jensen._rooms import Room
from jensen.networks._base import AbstractNetwork as AbstractNetwork
from jensen.networks._base import Linear as Linear
from jensen.networks._convolution import Convolution as Convolution
from jensen.networks._joined import Joined as Joined
from jensen.networks._joined import gated_layers as gated_layers
from jensen.networks.dense import Dense as Dense
from jensen.networks.gated_conv import GatedConv as GatedConv
from jensen.networks.gated_dense import GatedDense as GatedDense

networks: Room
