"""The abstract base class of bounds."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from jensen._types import Array, Float


class AbstractBound(eqx.Module):
    """Map the log-weights of one datum, shape [samples], to the reported value in nats.

    Higher is better where `sign` is 1.

    Attributes:
        guarantee: what holds at a finite number of samples: 'lower' (in expectation at most log
            p(x)) or 'consistent' (only in the limit of many samples: the value certifies nothing).
        sign: 1 if training ascends the bound; -1 if the bound approaches log p(x) from above, so
            that the encoder descends it.
        linear: whether the bound is the mean of log w, so that its expectation may be taken term by
            term.
        estimators: names of the only gradient estimators that train it; None where the estimators
            decide.
    """

    guarantee: ClassVar[Literal["lower", "consistent"]]
    sign: ClassVar[Literal[1, -1]] = 1
    linear: ClassVar[bool] = False
    estimators: ClassVar[tuple[str, ...] | None] = None

    @abc.abstractmethod
    def __call__(self, log_w: Float[Array, " samples"]) -> Float[Array, ""]:
        """Compute the bound for one datum, in nats."""

    @property
    def for_encoder(self) -> "AbstractBound":
        """The bound that the encoder ascends, or descends where its `sign` is -1."""
        return self

    @property
    def for_model(self) -> "AbstractBound":
        """The bound that decoder and prior ascend."""
        return self

    def held_weights(self, log_w: Float[Array, " samples"]) -> Float[Array, " samples"] | None:
        """Compute the weights of d log q(z_k|x) that descend the limit of an upper bound.

        z_k and w_k are constants to differentiation. None for any other bound.
        """
        return None

    def objection(self, num_samples: int) -> str | None:
        """Say why this number of samples per datum is invalid, with the remedy; None if it is
        valid.
        """
        return None if num_samples >= 1 else f"num_samples must be at least 1; got {num_samples}."

    def derivatives(
        self, log_w: Float[Array, " samples"]
    ) -> tuple[Float[Array, " samples"], Float[Array, " samples"]]:
        """Compute F_k and F_kk, the first and second derivatives in each log w_k.

        Gradient estimators weight the gradients of log w_k by them.

            IWAE().derivatives(log_w)[0]  # the normalised weights
        """
        # The diagonal of the Hessian, one forward-over-reverse product a sample; bounds with a
        # closed form override this method.
        slope = jax.grad(self.__call__)

        def second(direction: Array) -> Array:
            return jnp.vdot(direction, jax.jvp(slope, (log_w,), (direction,))[1])

        return slope(log_w), jax.vmap(second)(jnp.eye(log_w.shape[0], dtype=log_w.dtype))


def upper_objection(name: str, num_samples: int) -> str | None:
    """Say why this number of samples is invalid for an upper bound; None if it is valid."""
    if num_samples >= 2:
        return None
    return (
        f"bound {name} needs at least 2 samples per datum (--num-samples), because one sample's "
        f"normalised weight is always 1; got {num_samples}."
    )


# How a bound is chosen: a name, {"name": ..., option: value}, a class, an instance; None is the
# default.
BoundChoice = str | Mapping[str, Any] | type[AbstractBound] | AbstractBound | None
