"""The normal likelihood for real-valued data, with a learned noise scale.

    p(x|z) = prod_i N(x_i; a_i + b_i f_i(z), (b_i s_i)^2)

It is a density in the data's own units. a and b are the training data's mean and standard deviation
per element, fixed, so that a network near its initialisation already fits the data's range.
"""

import math
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from jensen._types import Array, Distribution, Float
from jensen.likelihoods._base import AbstractLikelihood, DataSummary, event_size


class Normal(AbstractLikelihood):
    """Independent normal elements with a learned scale.

    Args:
        event_shape, data: see `AbstractLikelihood`.
        scale: 'shared' for one scale of all elements, 'element' for one of each, 'datum' for one of
            each element of each datum, from the decoder.
        min_scale: lower limit of the scales, which are relative to the data's standard deviation.
            Without it, the density of data that repeat has no maximum.

    Raises:
        ValueError: if min_scale is not between 0 and 1.

    Example:
        Normal((5,), data=None, scale="shared")(outputs).log_prob(x)
    """

    support: ClassVar[str] = "all real numbers"
    event_shape: tuple[int, ...] = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)
    scale: Literal["shared", "element", "datum"] = eqx.field(static=True)
    min_scale: float = eqx.field(static=True)
    log_scale: Float[Array, " scales"] | None
    data_mean: Float[Array, " size"]
    data_scale: Float[Array, " size"]

    def __init__(
        self,
        event_shape: tuple[int, ...],
        data: DataSummary | None,
        *,
        scale: Literal["shared", "element", "datum"] = "element",
        min_scale: float = 1e-3,
    ):
        if not 0 < min_scale < 1:
            raise ValueError(
                "likelihood normal: min_scale must lie between 0 and 1 (a share of the data's "
                f"standard deviation); got {min_scale}."
            )
        size = event_size(event_shape)
        self.event_shape = event_shape
        self.scale = scale
        self.min_scale = min_scale
        self.num_outputs = 2 * size if scale == "datum" else size
        self.log_scale = None if scale == "datum" else jnp.zeros(1 if scale == "shared" else size)
        self.data_mean = jnp.zeros(size) if data is None else jnp.asarray(data.mean.ravel())
        self.data_scale = jnp.ones(size) if data is None else jnp.asarray(data.scale.ravel())

    def __call__(self, outputs: Float[Array, " outputs"]) -> Distribution:
        size = event_size(self.event_shape)
        log_scale = outputs[size:] if self.log_scale is None else self.log_scale
        # The moments are facts about the data, not parameters: no gradient moves them.
        mean, unit = jax.lax.stop_gradient((self.data_mean, self.data_scale))
        loc = mean + unit * outputs[:size]
        scale = jnp.broadcast_to(unit * (self.min_scale + jnp.exp(log_scale)), (size,))
        event = len(self.event_shape)
        return dist.Normal(
            loc.reshape(self.event_shape), scale.reshape(self.event_shape), validate_args=False
        ).to_event(event)

    def initial_bias(self, data: DataSummary | None) -> Float[Array, " outputs"]:
        del data  # outputs of 0 are the data's mean already
        return jnp.zeros(self.num_outputs)

    @property
    def interval(self) -> tuple[float, float]:
        return -math.inf, math.inf

    @classmethod
    def outside(cls, values: np.ndarray) -> np.ndarray:
        return ~np.isfinite(values)
