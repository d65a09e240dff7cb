"""What the count likelihoods share: where log means start, and a link that cannot overflow."""

import jax
import jax.numpy as jnp
import numpy as np

from jensen._types import Array, Float
from jensen.likelihoods._base import DataSummary


def log_mean(data: DataSummary) -> np.ndarray:
    """The logarithms of a count's element means, [size]; elements that are always 0 are taken to be rarer than one count in all rows."""
    floor = 0.5 / max(1, len(data.rows))
    return np.log(np.maximum(data.mean.astype(np.float64).ravel(), floor))


def log_largest(data: DataSummary | None) -> Float[Array, ""]:
    """The logarithm of the largest training count, 0 where there is none: the `ceiling` of `tamed`."""
    return jnp.log(jnp.asarray(1.0 if data is None else max(1.0, data.upper)))


def tamed(outputs: Float[Array, " size"], ceiling: Float[Array, ""]) -> Float[Array, " size"]:
    """Log rates: the outputs up to the ceiling, ceiling + log(1 + outputs - ceiling) beyond: there the rate grows as the output, not as its exponential.

    Continuous with its derivative, and every rate can still be reached. Untamed, a few odd data overflow float32 in the first steps of a training.
    """
    ceiling = jax.lax.stop_gradient(ceiling)
    return jnp.minimum(outputs, ceiling) + jnp.log1p(jnp.maximum(outputs - ceiling, 0))
