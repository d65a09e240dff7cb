"""q(z|x) = N(z; m(x), diag(s(x)^2)) (Kingma & Welling 2013)."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key
from jensen.distributions import diagonal_normal
from jensen.encoders._base import AbstractEncoder
from jensen.encoders._inputs import InputTransform, input_moments, standardise
from jensen.likelihoods import DataSummary
from jensen.likelihoods._base import event_size
from jensen.networks import AbstractNetwork, Linear


class DiagonalNormal(AbstractEncoder):
    """A network and a linear head for mean and log scale. Inputs are centred and scaled by the training data's moments where they are known.

    `input_transform='log1p'` shows the network log(1 + x), centred and scaled as such: for heavy-tailed counts (scVI, Lopez et al. 2018), which are
    otherwise one large number beside many near 0. It changes the encoder's input alone: the data and their likelihood stay as they are.
    `max_log_scale` bounds |log s|, which keeps exp finite; at its default of 10 it binds for scales under 5e-5 or over 2e4 only.

        DiagonalNormal((28, 28), 40, network=make, data=None, key=jr.key(0))(x).sample(key)
    """

    network: AbstractNetwork
    head: Linear
    data_mean: Float[Array, " size"]
    data_scale: Float[Array, ""]
    max_log_scale: float = eqx.field(static=True)
    input_transform: InputTransform = eqx.field(static=True)

    def __init__(
        self,
        event_shape: tuple[int, ...],
        latent_dim: int,
        network: Callable[..., AbstractNetwork],
        data: DataSummary | None,
        key: Key,
        *,
        max_log_scale: float = 10.0,
        input_transform: InputTransform = "none",
    ):
        if not max_log_scale > 0:
            raise ValueError(f"encoder diagonal_normal: max_log_scale must be positive; got {max_log_scale}.")
        key_network, key_head = jr.split(key)
        self.network = network(event_size(event_shape), key=key_network)
        self.head = Linear(self.network.out_size, 2 * latent_dim, key=key_head)
        self.data_mean, self.data_scale = input_moments("diagonal_normal", event_shape, data, input_transform)
        self.max_log_scale = max_log_scale
        self.input_transform = input_transform

    def standardise(self, x: Array) -> Float[Array, " size"]:
        return standardise(x, self.data_mean, self.data_scale, self.input_transform)

    def __call__(self, x: Array) -> Distribution:
        loc, log_scale = self.head(self.network(self.standardise(x))).reshape(2, -1)
        return diagonal_normal(loc, jnp.exp(jnp.clip(log_scale, -self.max_log_scale, self.max_log_scale)))
