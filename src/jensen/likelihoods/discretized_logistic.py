"""The discretised logistic likelihood for grey levels: a logistic variable on [0, 1] in 256 bins.

As Tomczak & Welling (2018) use it for grey images, with the end bins taking the whole tails:

    P(v) = sigmoid(((v + 1) / 256 - m) / s) - sigmoid((v / 256 - m) / s)
    m = sigmoid(f) clamped to [1/512, 1 - 1/512],      log s clipped to [-4.5, 0]
"""

from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jensen._types import Array, Float
from jensen.distributions import DiscretizedLogistic as DiscretizedLogisticDistribution
from jensen.likelihoods._base import AbstractLikelihood, DataSummary, event_size, whole


class DiscretizedLogistic(AbstractLikelihood):
    """Independent discretised logistic elements; the decoder gives the logits of their locations.

    With scale='datum' the decoder gives their log scales too.

    Args:
        event_shape, data: see `AbstractLikelihood`.
        num_bins: number of grey levels.
        units: 'levels' for data 0 .. num_bins - 1 (bytes), 'centres' for bin centres (v + 1/2) /
            num_bins; by default decided by the data. The probabilities are the same either way.
        scale: 'shared' for one scale of all elements, 'element' for one of each, 'datum' for one of
            each element of each datum, from the decoder (as in the paper).
        mean_margin: distance of the locations from 0 and 1; half a bin by default.
        min_log_scale, max_log_scale: clips of the log scale.

    Locations and scales start at the training data's moments, slightly inside these bounds: on a
    bound, no gradient would move them.

    Raises:
        ValueError: if an option is out of range.

    Example:
        DiscretizedLogistic((28, 28), data=None)(outputs).log_prob(x)
    """

    support: ClassVar[str] = "levels v = 0 to num_bins - 1, or (v + .5) / num_bins"
    remedy: ClassVar[str] = (
        "Give grey levels as bytes 0..255, or as (v + .5) / 256; for another number of levels: "
        "--set likelihood.num_bins=16."
    )
    bits_per_dimension: ClassVar[bool] = True
    event_shape: tuple[int, ...] = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)
    num_bins: int = eqx.field(static=True)
    units: Literal["levels", "centres"] = eqx.field(static=True)
    scale: Literal["shared", "element", "datum"] = eqx.field(static=True)
    mean_margin: float = eqx.field(static=True)
    min_log_scale: float = eqx.field(static=True)
    max_log_scale: float = eqx.field(static=True)
    log_scale: Float[Array, " scales"] | None

    def __init__(
        self,
        event_shape: tuple[int, ...],
        data: DataSummary | None,
        *,
        num_bins: int = 256,
        units: Literal["levels", "centres"] | None = None,
        scale: Literal["shared", "element", "datum"] = "datum",
        mean_margin: float | None = None,
        min_log_scale: float = -4.5,
        max_log_scale: float = 0.0,
    ):
        if num_bins < 2:
            raise ValueError(
                f"likelihood discretized_logistic: num_bins must be at least 2; got {num_bins}."
            )
        mean_margin = 0.5 / num_bins if mean_margin is None else mean_margin
        if not 0 <= mean_margin < 0.5:
            raise ValueError(
                "likelihood discretized_logistic: mean_margin must lie in [0, 0.5); "
                f"got {mean_margin}."
            )
        if not -20 <= min_log_scale < max_log_scale <= 20:
            raise ValueError(
                "likelihood discretized_logistic: the clips of the log scale must be in order and "
                f"within -20 to 20; got min_log_scale={min_log_scale}, "
                f"max_log_scale={max_log_scale}."
            )
        size = event_size(event_shape)
        self.event_shape = event_shape
        self.num_bins = num_bins
        self.units = units or _units_of(data)
        self.scale = scale
        self.mean_margin, self.min_log_scale, self.max_log_scale = (
            mean_margin,
            min_log_scale,
            max_log_scale,
        )
        self.num_outputs = 2 * size if scale == "datum" else size
        start = self._moments(data)[1]
        self.log_scale = (
            None
            if scale == "datum"
            else jnp.asarray(start.mean(keepdims=True) if scale == "shared" else start)
        )

    def __call__(self, outputs: Float[Array, " outputs"]) -> DiscretizedLogisticDistribution:
        size = event_size(self.event_shape)
        log_scale = outputs[size : 2 * size] if self.log_scale is None else self.log_scale
        loc = jnp.clip(jax.nn.sigmoid(outputs[:size]), self.mean_margin, 1 - self.mean_margin)
        scale = jnp.broadcast_to(
            jnp.exp(jnp.clip(log_scale, self.min_log_scale, self.max_log_scale)), (size,)
        )
        return DiscretizedLogisticDistribution(
            loc.reshape(self.event_shape),
            scale.reshape(self.event_shape),
            num_bins=self.num_bins,
            units=self.units,
        )

    def initial_bias(self, data: DataSummary | None) -> Float[Array, " outputs"]:
        logits, log_scale = self._moments(data)
        return (
            jnp.concatenate([jnp.asarray(logits), jnp.asarray(log_scale)])
            if self.scale == "datum"
            else jnp.asarray(logits)
        )

    @property
    def interval(self) -> tuple[float, float]:
        return (
            (0.0, self.num_bins - 1.0)
            if self.units == "levels"
            else (0.5 / self.num_bins, 1 - 0.5 / self.num_bins)
        )

    @classmethod
    def outside(
        cls, values: np.ndarray, *, num_bins: int = 256, units: str | None = None
    ) -> np.ndarray:
        not_level = ~whole(values) | (values < 0) | (values > num_bins - 1)
        if units == "levels" or values.dtype.kind in "biu":
            return np.ones(values.shape, bool) if units == "centres" else not_level
        inside = (values > 0) & (values < 1)
        level = np.where(inside, values, 0) * np.float64(num_bins) - 0.5
        not_centre = ~(inside & (np.abs(level - np.round(level)) <= 1e-3))
        # Data that mix both units fit neither: the reading with fewer values outside is taken.
        return not_centre if units == "centres" or not_centre.sum() < not_level.sum() else not_level

    def _moments(self, data: DataSummary | None) -> tuple[np.ndarray, np.ndarray]:
        """Compute the logits of the locations and the log scales of the data, in units of [0, 1].

        Both lie slightly inside the clips; a logistic's standard deviation is pi s / sqrt 3.
        """
        size = event_size(self.event_shape)
        mean, deviation = np.full(size, 0.5), np.full(size, 0.25)
        if data is not None:
            mean, deviation = (a.astype(np.float64).ravel() for a in (data.mean, data.scale))
            if self.units == "levels":
                mean, deviation = (mean + 0.5) / self.num_bins, deviation / self.num_bins
        margin = (
            max(1.5 * self.mean_margin, 1e-4)
            if self.mean_margin < 0.3
            else (self.mean_margin + 0.5) / 2
        )
        mean = np.clip(mean, margin, 1 - margin)
        inset = 0.05 * (self.max_log_scale - self.min_log_scale)
        log_scale = np.clip(
            np.log(deviation * np.sqrt(3) / np.pi),
            self.min_log_scale + inset,
            self.max_log_scale - inset,
        )
        return np.log(mean / (1 - mean)), log_scale


def _units_of(data: DataSummary | None) -> Literal["levels", "centres"]:
    # All bin centres lie strictly between 0 and 1, where there is no whole number.
    inside = data is not None and not data.levels and data.lower > 0 and data.upper < 1
    return "centres" if inside else "levels"
