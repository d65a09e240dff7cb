"""What a bound is."""

import abc
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from jensen._types import Array, Float


class AbstractBound(eqx.Module):
    """log w [samples] of one datum -> a number in nats, which is what is reported; higher is better where `sign` is 1.

    Attributes:
        guarantee: what holds at a finite number of samples: 'lower' (in expectation not above log p(x)), or 'consistent' (only in the limit: the value
            certifies nothing).
        sign: 1 if training ascends it; -1 if it approaches log p(x) from above, so that the encoder descends it.
        linear: the bound is the mean of log w, so that its expectation may be taken term by term.
        estimators: the only gradient estimators that train it (names of the gradients room); None if it leaves that to them.
    """

    guarantee: ClassVar[Literal["lower", "consistent"]]
    sign: ClassVar[Literal[1, -1]] = 1
    linear: ClassVar[bool] = False
    estimators: ClassVar[tuple[str, ...] | None] = None

    @abc.abstractmethod
    def __call__(self, log_w: Float[Array, " samples"]) -> Float[Array, ""]:
        """The bound's value for one datum, nats."""

    @property
    def for_encoder(self) -> "AbstractBound":
        """What the encoder ascends, or descends where that bound's sign is -1."""
        return self

    @property
    def for_model(self) -> "AbstractBound":
        """What decoder and prior ascend."""
        return self

    def held_weights(self, log_w: Float[Array, " samples"]) -> Float[Array, " samples"] | None:
        """The weights of d log q(z_k|x), with z_k and w_k held, that descend the limit of a bound from above; None of any other bound."""
        return None

    def objection(self, num_samples: int) -> str | None:
        """Why so many samples per datum do not do, as a sentence with the remedy; None if they do."""
        return None if num_samples >= 1 else f"num_samples must be at least 1; got {num_samples}."

    def derivatives(
        self, log_w: Float[Array, " samples"]
    ) -> tuple[Float[Array, " samples"], Float[Array, " samples"]]:
        """F_k and F_kk, the first and second derivatives in each log w_k: by these weights an estimator sums the gradients of log w_k.

        IWAE().derivatives(log_w)[0]  # the normalised weights
        """
        slope = jax.grad(self.__call__)

        def second(direction: Array) -> Array:
            return jnp.vdot(direction, jax.jvp(slope, (log_w,), (direction,))[1])

        return slope(log_w), jax.vmap(second)(jnp.eye(log_w.shape[0], dtype=log_w.dtype))


def upper_objection(name: str, num_samples: int) -> str | None:
    """Why so many samples do not do for a bound from above; None if they do."""
    if num_samples >= 2:
        return None
    return f"bound {name} needs at least 2 samples per datum (--num-samples), or its weights say nothing of the posterior; got {num_samples}."
