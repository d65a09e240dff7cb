"""What a bound is."""

import abc
from typing import ClassVar, Literal

import equinox as eqx

from jensen._types import Array, Float


class AbstractBound(eqx.Module):
    """log w [samples] of one datum -> a number in nats, higher is better.

    `guarantee` says what holds at a finite number of samples: 'lower' (in expectation not above log p(x)), or 'consistent' (only in the limit).
    `linear` says that the bound is the mean of log w, so that its expectation may be taken term by term.
    """

    guarantee: ClassVar[Literal["lower", "consistent"]]
    linear: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self, log_w: Float[Array, " samples"]) -> Float[Array, ""]:
        """The bound's value for one datum, nats."""
