"""Networks: arrays in, features out. Heads (encoders, likelihoods) add their own last linear map."""

from jensen._rooms import Room
from jensen.networks._base import AbstractNetwork as AbstractNetwork
from jensen.networks._base import Linear as Linear
from jensen.networks._convolution import Convolution as Convolution

networks = Room(__name__, "network")
__getattr__, __dir__ = networks.attribute_access()
