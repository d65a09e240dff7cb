"""q(z|x) = prod_i Categorical(z_i; softmax(l_i(x))): codes of a few classes each (as in Jang, Gu & Poole 2017, without their relaxation).

A code is one flat vector of one-hot vectors: that is what every decoder already reads, its first layer is then a sum of rows of its weights, one for each
variable, and classes have no order that a class number would suggest.
"""

from collections.abc import Callable

import equinox as eqx
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key
from jensen.distributions import OneHotCategorical
from jensen.encoders._base import AbstractEncoder
from jensen.encoders._inputs import InputTransform, input_moments, standardise
from jensen.likelihoods import DataSummary
from jensen.likelihoods._base import event_size
from jensen.networks import AbstractNetwork, Linear


class Categorical(AbstractEncoder):
    """A network and a linear head for the logits of `latent_dim` independent variables of `num_classes` classes; a code is a vector of
    latent_dim * num_classes floats, one-hot vectors one after the other.

    Inputs are centred and scaled as those of the diagonal normal encoder, `input_transform` too. There are no reparameterised draws: of the gradient estimators
    only those of the score function (score_function, vimco) train it.

    Raises:
        ValueError: fewer than two classes.

        Categorical((28, 28), 20, network=make, data=None, key=jr.key(0), num_classes=8)(x).sample(key)  # 160 numbers, 20 of them 1.
    """

    network: AbstractNetwork
    head: Linear
    data_mean: Float[Array, " size"]
    data_scale: Float[Array, ""]
    num_classes: int = eqx.field(static=True)
    input_transform: InputTransform = eqx.field(static=True)

    def __init__(
        self,
        event_shape: tuple[int, ...],
        latent_dim: int,
        network: Callable[..., AbstractNetwork],
        data: DataSummary | None,
        key: Key,
        *,
        num_classes: int = 10,
        input_transform: InputTransform = "none",
    ):
        if num_classes < 2:
            raise ValueError(
                f"encoder categorical: num_classes must be at least 2, or a code says nothing; got {num_classes}."
            )
        key_network, key_head = jr.split(key)
        self.network = network(event_size(event_shape), key=key_network)
        self.head = Linear(self.network.out_size, latent_dim * num_classes, key=key_head)
        self.data_mean, self.data_scale = input_moments(
            "categorical", event_shape, data, input_transform
        )
        self.num_classes = num_classes
        self.input_transform = input_transform

    def standardise(self, x: Array) -> Float[Array, " size"]:
        return standardise(x, self.data_mean, self.data_scale, self.input_transform)

    def __call__(self, x: Array) -> Distribution:
        return OneHotCategorical(
            self.head(self.network(self.standardise(x))).reshape(-1, self.num_classes)
        )
