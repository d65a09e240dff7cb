"""Networks: arrays in, features out. Encoders and likelihoods add their own last linear map."""

from jensen._rooms import ROOMS
from jensen.networks._base import AbstractNetwork as AbstractNetwork
from jensen.networks._base import Linear as Linear
from jensen.networks._convolution import Convolution as Convolution
from jensen.networks._joined import Joined as Joined
from jensen.networks._joined import gated_layers as gated_layers

networks = ROOMS["network"]
__getattr__, __dir__ = networks.attribute_access()
