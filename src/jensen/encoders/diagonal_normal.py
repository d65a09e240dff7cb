"""q(z|x) = N(z; m(x), diag(s(x)^2)) (Kingma & Welling 2013)."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key
from jensen.distributions import diagonal_normal
from jensen.encoders._base import AbstractEncoder
from jensen.likelihoods import DataSummary
from jensen.likelihoods._base import event_size
from jensen.networks import AbstractNetwork, Linear


class DiagonalNormal(AbstractEncoder):
    """A network and a linear head for mean and log scale. Inputs are centred and scaled by the training data's moments where they are known.

    `max_log_scale` bounds |log s|, which keeps exp finite; at its default of 10 it binds for scales under 5e-5 or over 2e4 only.

        DiagonalNormal((28, 28), 40, network=make, data=None, key=jr.key(0))(x).sample(key)
    """

    network: AbstractNetwork
    head: Linear
    data_mean: Float[Array, " size"]
    data_scale: Float[Array, ""]
    max_log_scale: float = eqx.field(static=True)

    def __init__(
        self,
        event_shape: tuple[int, ...],
        latent_dim: int,
        network: Callable[..., AbstractNetwork],
        data: DataSummary | None,
        key: Key,
        *,
        max_log_scale: float = 10.0,
    ):
        if not max_log_scale > 0:
            raise ValueError(f"encoder diagonal_normal: max_log_scale must be positive; got {max_log_scale}.")
        key_network, key_head = jr.split(key)
        size = event_size(event_shape)
        self.network = network(size, key=key_network)
        self.head = Linear(self.network.out_size, 2 * latent_dim, key=key_head)
        self.data_mean = jnp.zeros(size) if data is None else jnp.asarray(data.mean.ravel())
        self.data_scale = jnp.ones(()) if data is None else jnp.asarray(data.input_scale)
        self.max_log_scale = max_log_scale

    def standardise(self, x: Array) -> Float[Array, " size"]:
        mean, scale = jax.lax.stop_gradient((self.data_mean, self.data_scale))
        return (x.ravel().astype(mean.dtype) - mean) / scale

    def __call__(self, x: Array) -> Distribution:
        loc, log_scale = self.head(self.network(self.standardise(x))).reshape(2, -1)
        return diagonal_normal(loc, jnp.exp(jnp.clip(log_scale, -self.max_log_scale, self.max_log_scale)))
