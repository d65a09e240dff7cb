"""Array aliases and the one abstract thing that is not ours: a distribution is anything with `sample(key)` and `log_prob(value)`."""

from typing import Any, Protocol, TypeAlias, runtime_checkable

from jax import Array as Array
from jaxtyping import Float as Float
from jaxtyping import Int as Int
from jaxtyping import PRNGKeyArray as Key


@runtime_checkable
class Distribution(Protocol):
    """What this library asks of a distribution; numpyro's have it, and much more."""

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        """A draw, or an array of draws."""
        ...

    def log_prob(self, value: Any) -> Any:
        """The log density, nats."""
        ...


Latent: TypeAlias = (
    Any  # one latent code; an array, or a pytree of arrays for models with several levels
)
LatentDim: TypeAlias = (
    int | tuple[int, ...]
)  # the size of a latent code, or of each of its levels, the one nearest to the data first

__all__ = ["Array", "Distribution", "Float", "Int", "Key", "Latent", "LatentDim"]
