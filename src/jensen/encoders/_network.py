"""What encoders share that read the datum by a network: how it is standardised, and its features."""

import equinox as eqx
import jax.numpy as jnp

from jensen._types import Array, Float
from jensen.encoders._base import AbstractEncoder
from jensen.encoders._inputs import InputTransform, standardise
from jensen.networks import AbstractNetwork


class AbstractNetworkEncoder(AbstractEncoder):
    """An encoder with a network, shown the datum centred and scaled by the training data's moments (`input_moments`) where they are known.

    `input_transform='log1p'` shows it log(1 + x), centred and scaled as such: for heavy-tailed counts (scVI, Lopez et al. 2018), which are otherwise one large
    number beside many near 0. It changes the encoder's input alone: the data and their likelihood stay as they are. `max_log_scale` bounds |log s|, which keeps
    exp finite; at its default of 10 it binds for scales under 5e-5 or over 2e4 only.
    """

    network: AbstractNetwork
    data_mean: Float[Array, " size"]
    data_scale: Float[Array, ""]
    max_log_scale: float = eqx.field(static=True)
    input_transform: InputTransform = eqx.field(static=True)

    def standardise(self, x: Array) -> Float[Array, " size"]:
        return standardise(x, self.data_mean, self.data_scale, self.input_transform)

    def features(self, x: Array) -> Float[Array, " features"]:
        """What the network makes of a datum."""
        return self.network(self.standardise(x))

    def scale(self, log_scale: Array) -> Array:
        """exp(log_scale), bounded."""
        return jnp.exp(jnp.clip(log_scale, -self.max_log_scale, self.max_log_scale))


def check_max_log_scale(name: str, max_log_scale: float) -> float:
    """max_log_scale, if it is positive."""
    if not max_log_scale > 0:
        raise ValueError(f"encoder {name}: max_log_scale must be positive; got {max_log_scale}.")
    return max_log_scale


def check_correlated(name: str, latent_dim: int) -> None:
    """Raises ValueError where there is no second dimension to depend on."""
    if latent_dim < 2:
        raise ValueError(
            f"encoder {name} needs at least two latent dimensions, one to depend on the other; got {latent_dim}. Use --set encoder.name=diagonal_normal or "
            "student_t."
        )
