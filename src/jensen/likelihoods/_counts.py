"""What the count likelihoods share: initial log means, and a link that cannot overflow."""

import jax
import jax.numpy as jnp
import numpy as np

from jensen._types import Array, Float
from jensen.likelihoods._base import DataSummary


def log_mean(data: DataSummary) -> np.ndarray:
    """Compute the logarithms of a count's element means, [size]."""
    # An element that is always 0 is taken to be rarer than one count in all rows.
    floor = 0.5 / max(1, len(data.rows))
    return np.log(np.maximum(data.mean.astype(np.float64).ravel(), floor))


def log_largest(data: DataSummary | None) -> Float[Array, ""]:
    """Compute the logarithm of the largest training count, the `ceiling` of `tamed`; at least 0."""
    return jnp.log(jnp.asarray(1.0 if data is None else max(1.0, data.upper)))


def tamed(outputs: Float[Array, " size"], ceiling: Float[Array, ""]) -> Float[Array, " size"]:
    """Compute log rates that cannot overflow: logarithmic beyond the ceiling.

    Up to the ceiling they are the outputs; beyond, ceiling + log(1 + outputs - ceiling), so that
    the rate grows linearly in the output and not exponentially. The link is continuously
    differentiable, and every rate can still be reached. With a plain exponential, a few outliers
    overflow float32 in the first steps of a training.
    """
    ceiling = jax.lax.stop_gradient(ceiling)  # a fact about the data, not a parameter
    return jnp.minimum(outputs, ceiling) + jnp.log1p(jnp.maximum(outputs - ceiling, 0))
