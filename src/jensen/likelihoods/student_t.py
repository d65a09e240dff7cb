"""The Student's t likelihood for real-valued data with outliers.

    p(x|z) = prod_i t_v(x_i; a_i + b_i f_i(z), b_i s_i)

It is a density in the data's own units; a and b are as in `normal`.
"""

import math
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jensen._types import Array, Float
from jensen.distributions import StudentT as StudentTDistribution
from jensen.likelihoods._base import AbstractLikelihood, DataSummary, event_size

MAX_LOG_DF = 20.0  # limit on log(df - 1); at 5e8 degrees of freedom t is a normal in float32


class StudentT(AbstractLikelihood):
    """Independent Student's t elements with a learned scale.

    Args:
        event_shape, data: see `AbstractLikelihood`.
        scale, min_scale: as in the normal likelihood.
        df: degrees of freedom of all elements. By default they are learned, starting at 5 and
            always above 1, one for each element (with scale='shared', one for all): at 1 and below,
            p(x|z) has no mean.

    Raises:
        ValueError: if min_scale is not between 0 and 1, or df is not finite and above 1.

    Example:
        StudentT((5,), data=None, df=4.0)(outputs).log_prob(x)
    """

    support: ClassVar[str] = "all real numbers"
    event_shape: tuple[int, ...] = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)
    scale: Literal["shared", "element", "datum"] = eqx.field(static=True)
    min_scale: float = eqx.field(static=True)
    df: float | None = eqx.field(static=True)
    log_scale: Float[Array, " scales"] | None
    log_df: Float[Array, " dfs"] | None  # log(df - 1); None when df is fixed
    data_mean: Float[Array, " size"]
    data_scale: Float[Array, " size"]

    def __init__(
        self,
        event_shape: tuple[int, ...],
        data: DataSummary | None,
        *,
        scale: Literal["shared", "element", "datum"] = "element",
        min_scale: float = 1e-3,
        df: float | None = None,
    ):
        if not 0 < min_scale < 1:
            raise ValueError(
                "likelihood student_t: min_scale must lie between 0 and 1 (a share of the data's "
                f"standard deviation); got {min_scale}."
            )
        if df is not None and not 1 < df < math.inf:
            raise ValueError(
                "likelihood student_t: df must be finite and above 1, or p(x|z) has no mean; "
                f"got {df}. Leave it out to learn it."
            )
        size = event_size(event_shape)
        self.event_shape = event_shape
        self.scale = scale
        self.min_scale = min_scale
        self.df = df
        self.num_outputs = 2 * size if scale == "datum" else size
        self.log_scale = None if scale == "datum" else jnp.zeros(1 if scale == "shared" else size)
        self.log_df = (
            None if df is not None else jnp.full(1 if scale == "shared" else size, math.log(4.0))
        )
        self.data_mean = jnp.zeros(size) if data is None else jnp.asarray(data.mean.ravel())
        self.data_scale = jnp.ones(size) if data is None else jnp.asarray(data.scale.ravel())

    def __call__(self, outputs: Float[Array, " outputs"]) -> StudentTDistribution:
        size = event_size(self.event_shape)
        log_scale = outputs[size : 2 * size] if self.log_scale is None else self.log_scale
        # The moments are facts about the data, not parameters: no gradient moves them.
        mean, unit = jax.lax.stop_gradient((self.data_mean, self.data_scale))
        df = (
            jnp.asarray(self.df, outputs.dtype)
            if self.log_df is None
            else 1 + jnp.exp(jnp.minimum(self.log_df, MAX_LOG_DF))
        )
        loc = mean + unit * outputs[:size]
        scale = jnp.broadcast_to(unit * (self.min_scale + jnp.exp(log_scale)), (size,))
        return StudentTDistribution(
            *(a.reshape(self.event_shape) for a in (jnp.broadcast_to(df, (size,)), loc, scale))
        )

    def initial_bias(self, data: DataSummary | None) -> Float[Array, " outputs"]:
        del data  # outputs of 0 are the data's mean already
        return jnp.zeros(self.num_outputs)

    @property
    def interval(self) -> tuple[float, float]:
        return -math.inf, math.inf

    @classmethod
    def outside(cls, values: np.ndarray) -> np.ndarray:
        return ~np.isfinite(values)
