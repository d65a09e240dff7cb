"""Categorical codes: q(z|x) = prod_i Categorical(z_i; softmax(l_i(x))).

As in Jang, Gu & Poole 2017, without their relaxation. A code is one flat vector of one-hot vectors:
every decoder reads it as it is, its first layer is then a sum of rows of its weights (one for each
variable), and no order of the classes is implied, as class numbers would.
"""

from collections.abc import Callable
from typing import ClassVar

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
    """Network and linear head for the logits of `latent_dim` variables of `num_classes` classes.

    A code is a vector of latent_dim * num_classes floats, one-hot vectors one after the other.
    Inputs are standardised as in the diagonal normal encoder, `input_transform` included. There are
    no reparameterised draws: only the score-function estimators (score_function, vimco) train this
    encoder.

    Raises:
        ValueError: if there are fewer than two classes.

    Example:
        encoder = Categorical((28, 28), 20, network=make, data=None, key=key, num_classes=8)
        encoder(x).sample(key)  # 160 numbers, 20 of them 1.
    """

    usual_for: ClassVar[str] = "one-hot"

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
        *,
        key: Key,
        num_classes: int = 10,
        input_transform: InputTransform = "none",
    ):
        if num_classes < 2:
            raise ValueError(
                "encoder categorical: num_classes must be at least 2, because a code of one class "
                f"carries no information; got {num_classes}."
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
        # The variables' logits follow one another, as their one-hot vectors do in a code.
        return OneHotCategorical(
            self.head(self.network(self.standardise(x))).reshape(-1, self.num_classes)
        )
