"""The abstract base class of encoders that read the datum with a network."""

import equinox as eqx
import jax.numpy as jnp

from jensen._types import Array, Float
from jensen.encoders._base import AbstractEncoder
from jensen.encoders._inputs import InputTransform, standardise
from jensen.networks import AbstractNetwork


class AbstractNetworkEncoder(AbstractEncoder):
    """Encoder with a network on the standardised datum.

    The datum is centred and scaled by the training data's moments (`input_moments`) where data are
    given.

    Attributes:
        input_transform: 'log1p' feeds log(1 + x) to the network, standardised as such. For
            heavy-tailed counts (scVI, Lopez et al. 2018), which are otherwise a few large numbers
            beside many near 0. It changes the encoder's input alone: data and likelihood stay as
            they are.
        max_log_scale: bound on |log s|, which keeps exp finite. At its default of 10 it is active
            for scales under 5e-5 or over 2e4 only.
    """

    network: AbstractNetwork
    data_mean: Float[Array, " size"]
    data_scale: Float[Array, ""]
    max_log_scale: float = eqx.field(static=True)
    input_transform: InputTransform = eqx.field(static=True)

    def standardise(self, x: Array) -> Float[Array, " size"]:
        return standardise(x, self.data_mean, self.data_scale, self.input_transform)

    def features(self, x: Array) -> Float[Array, " features"]:
        """Compute the network's features of a datum."""
        return self.network(self.standardise(x))

    def scale(self, log_scale: Array) -> Array:
        """Compute exp(log_scale), with log_scale clipped to +-max_log_scale."""
        # A clip leaves scales within the bound, and their gradients, exactly as they are.
        return jnp.exp(jnp.clip(log_scale, -self.max_log_scale, self.max_log_scale))


def check_max_log_scale(name: str, max_log_scale: float) -> float:
    """Return max_log_scale if it is positive; raise ValueError otherwise."""
    if not max_log_scale > 0:
        raise ValueError(f"encoder {name}: max_log_scale must be positive; got {max_log_scale}.")
    return max_log_scale


def check_correlated(name: str, latent_dim: int) -> None:
    """Raise ValueError if there are fewer than two latent dimensions to correlate."""
    if latent_dim < 2:
        raise ValueError(
            f"encoder {name} needs at least two latent dimensions, one to depend on the other; "
            f"got {latent_dim}. Use --set encoder.name=diagonal_normal or student_t."
        )
