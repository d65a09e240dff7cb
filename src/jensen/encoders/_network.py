"""What encoders share that read the datum by a network: how it is standardised, and its features."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jensen._types import Array, Float
from jensen.encoders._base import AbstractEncoder
from jensen.likelihoods import DataSummary
from jensen.likelihoods._base import event_size
from jensen.networks import AbstractNetwork

Transform = Literal["none", "log1p"]


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
    input_transform: Transform = eqx.field(static=True)

    def standardise(self, x: Array) -> Float[Array, " size"]:
        mean, scale = jax.lax.stop_gradient((self.data_mean, self.data_scale))
        x = x.ravel().astype(mean.dtype)
        if self.input_transform == "log1p":
            # The same for x >= 0, and smooth below, where a prior's pseudo-inputs may wander.
            x = jnp.sign(x) * jnp.log1p(jnp.abs(x))
        return (x - mean) / scale

    def features(self, x: Array) -> Float[Array, " features"]:
        """What the network makes of a datum."""
        return self.network(self.standardise(x))

    def scale(self, log_scale: Array) -> Array:
        """exp(log_scale), bounded."""
        return jnp.exp(jnp.clip(log_scale, -self.max_log_scale, self.max_log_scale))


def input_moments(name: str, event_shape: tuple[int, ...], data: DataSummary | None, input_transform: Transform) -> tuple[Array, Array]:
    """What the encoder called `name` subtracts from the data, [size], and divides them by.

    Raises:
        ValueError: log1p of data below 0.

        self.data_mean, self.data_scale = input_moments("diagonal_normal", event_shape, data, "none")
    """
    size = event_size(event_shape)
    if data is None:
        mean, scale = np.zeros(size), 1.0
    elif input_transform == "log1p":
        mean, scale = _log1p_moments(name, data)
    else:
        mean, scale = data.mean, data.input_scale
    return jnp.asarray(mean.ravel()), jnp.asarray(scale)


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


def _log1p_moments(name: str, data: DataSummary) -> tuple[np.ndarray, float]:
    if data.lower < 0:
        raise ValueError(
            f"encoder {name}: input_transform=log1p is for values from 0 up; the data's smallest is {data.lower:.6g}. Leave it at none (--set "
            "encoder.input_transform=none)."
        )
    if data.levels:  # drawn as 0 or 1
        return data.mean * np.log(2), 1.0
    if not len(data.rows):
        return np.log1p(data.mean), 1.0
    values = np.log1p(data.spread_rows())
    return values.mean(axis=0), float(values.var(axis=0).mean() ** 0.5) or 1.0
