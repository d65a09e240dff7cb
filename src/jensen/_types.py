"""Array aliases, and the protocol for distributions: anything with `sample(key)` and
`log_prob(value)`.
"""

from typing import Any, Protocol, TypeAlias, runtime_checkable

from jax import Array as Array
from jaxtyping import Float as Float
from jaxtyping import Int as Int
from jaxtyping import PRNGKeyArray as Key


@runtime_checkable
class Distribution(Protocol):
    """The part of a distribution's interface that this library uses; NumPyro's distributions
    satisfy it.
    """

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """One draw, or draws with leading axes `sample_shape`."""
        ...

    def log_prob(self, value: Any, /) -> Any:
        """Log density (or log mass) of `value`, in nats."""
        ...


# One latent code: an array, or a pytree of arrays for models with several levels.
Latent: TypeAlias = Any
# The size of a latent code, or of each of its levels, the level nearest to the data first.
LatentDim: TypeAlias = int | tuple[int, ...]

__all__ = ["Array", "Distribution", "Float", "Int", "Key", "Latent", "LatentDim"]
