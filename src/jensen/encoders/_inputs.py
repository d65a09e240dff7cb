"""Input standardisation of encoders: centring, scaling, and optionally log(1 + x)."""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from jensen._types import Array, Float
from jensen.likelihoods import DataSummary
from jensen.likelihoods._base import event_size

InputTransform = Literal["none", "log1p"]


def input_moments(
    name: str, event_shape: tuple[int, ...], data: DataSummary | None, transform: InputTransform
) -> tuple[Array, Array]:
    """Return (mean [size], scale []) of the training data as the network sees them.

    Without data they are 0 and 1. `name` is the encoder's, for the error message.

    Raises:
        ValueError: if the transform is log1p and data lie below 0.

    Example:
        input_moments("bernoulli", (28, 28), None, "none")
    """
    size = event_size(event_shape)
    mean, scale = (
        (np.zeros(size), 1.0)
        if data is None
        else _log1p_moments(name, data)
        if transform == "log1p"
        else (data.mean, data.input_scale)
    )
    return jnp.asarray(mean.ravel()), jnp.asarray(scale)


def standardise(
    x: Array, mean: Float[Array, " size"], scale: Float[Array, ""], transform: InputTransform
) -> Float[Array, " size"]:
    """Return the datum as a vector (x - mean) / scale; mean and scale get no gradient.

    standardise(x, *input_moments("bernoulli", (28, 28), data, "none"), "none")
    """
    mean, scale = jax.lax.stop_gradient((mean, scale))
    x = x.ravel().astype(mean.dtype)
    if transform == "log1p":
        # Equals log1p(x) for x >= 0, and is smooth below, where pseudo-inputs may move in training.
        x = jnp.sign(x) * jnp.log1p(jnp.abs(x))
    return (x - mean) / scale


def _log1p_moments(name: str, data: DataSummary) -> tuple[np.ndarray, float]:
    if data.lower < 0:
        raise ValueError(
            f"encoder {name}: input_transform=log1p is for values from 0 up; the data's smallest "
            f"is {data.lower:.6g}. Leave it at none (--set encoder.input_transform=none)."
        )
    # Grey levels are binarised anew every epoch: the network sees 0 or log(2).
    if data.levels:
        return data.mean * np.log(2), 1.0
    if not len(data.rows):
        return np.log1p(data.mean), 1.0
    values = np.log1p(data.spread_rows())
    # One scale for all elements: their relative spread is information. Constant data have spread 0.
    return values.mean(axis=0), float(values.var(axis=0).mean() ** 0.5) or 1.0
