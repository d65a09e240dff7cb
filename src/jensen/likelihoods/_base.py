"""The abstract base class of likelihoods, the summary of training data, and the support check."""

import abc
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from jensen._rooms import ROOMS, Room
from jensen._types import Array, Distribution, Float


@dataclass(frozen=True)
class DataSummary:
    """What a model may use of its training data before training starts.

    Moments and range in the data's own units, and the training rows.

    Attributes:
        event_shape: the shape of one datum.
        mean, scale: per element, of the event's shape; scale is the standard deviation, or the
            overall standard deviation where an element is constant.
        lower, upper: the smallest and largest value.
        rows: the training rows as stored, to initialise pseudo-inputs from (see `take`); may be
            empty.
        levels: number of grey levels if a value v means a Bernoulli mean v / levels; the moments
            are then those of v / levels. None otherwise.
        placeholder: True if the values are meaningless: a model's structure is being rebuilt, and
            its arrays come from elsewhere.
    """

    event_shape: tuple[int, ...]
    mean: np.ndarray
    scale: np.ndarray
    lower: float
    upper: float
    rows: np.ndarray
    levels: int | None = None
    placeholder: bool = False

    @property
    def facts(self) -> dict[str, Any]:
        """The facts about the data that decide a model's structure, as plain values.

        `from_facts` makes a summary of them that builds the same structure.
        """
        return {
            "rows": len(self.rows),
            "dtype": str(self.rows.dtype),
            "lower": self.lower,
            "upper": self.upper,
            "levels": self.levels,
        }

    @staticmethod
    def from_facts(event_shape: tuple[int, ...], facts: Mapping[str, Any]) -> "DataSummary":
        """Make a placeholder summary of data with these facts."""
        # A broadcast view: any number of placeholder rows takes no memory.
        rows = np.broadcast_to(np.zeros((), facts["dtype"]), (facts["rows"], *event_shape))
        mean, scale = np.zeros(event_shape, np.float32), np.ones(event_shape, np.float32)
        return DataSummary(
            event_shape,
            mean,
            scale,
            facts["lower"],
            facts["upper"],
            rows,
            facts["levels"],
            placeholder=True,
        )

    @property
    def input_scale(self) -> float:
        """The number by which networks divide centred data; 1 for data within [0, 1]."""
        # One number for all elements: a scale for each would blow up pixels that are almost always
        # 0. Grey levels are binarised before they reach a network and need no scaling.
        if self.levels or (self.lower >= 0 and self.upper <= 1):
            return 1.0
        return float((self.scale.astype(np.float64) ** 2).mean() ** 0.5)

    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the rows of these indices as float32, in the units of `mean`."""
        return (np.asarray(self.rows[index], np.float64) / (self.levels or 1)).astype(np.float32)

    def spread_rows(self, most: int = 10_000) -> np.ndarray:
        """Return at most `most` rows, evenly spaced over all, for statistics that need no more."""
        return self.take(np.linspace(0, len(self.rows) - 1, min(most, len(self.rows))).astype(int))


def summarise(train: np.ndarray, *, levels: int | None = None) -> DataSummary:
    """Compute the summary of a training array [rows, *event].

    summarise(data.train, levels=data.levels).mean  # pixel means
    """
    as_float = np.asarray(train, np.float64)
    values = as_float / levels if levels else as_float
    mean, scale = values.mean(axis=0), values.std(axis=0)
    # Constant elements have no scale of their own: they get the overall one, so that nothing
    # divides by zero.
    overall = float(values.std()) or 1.0
    scale = np.where(scale > 1e-6 * overall, scale, overall)
    lower, upper = (0.0, 1.0) if levels else (float(values.min()), float(values.max()))
    return DataSummary(
        train.shape[1:],
        mean.astype(np.float32),
        scale.astype(np.float32),
        lower,
        upper,
        train,
        levels,
    )


class AbstractLikelihood(eqx.Module):
    """Map the outputs of a decoder to p(x|z) for one datum, in the data's own units.

    Constructed with (event_shape, data: DataSummary | None, *, options). An option whose default is
    None is decided by the data; its value is then the attribute of that name, and is recorded with
    the model.

    Attributes:
        support: description of the support (class attribute).
        remedy: what to do with data outside the support (class attribute).
        bits_per_dimension: whether the literature gives results in bits per dimension (class
            attribute).
        event_shape: the shape of one datum.
        num_outputs: number of outputs that the decoder must give, in contiguous blocks of the
            event's size.
    """

    support: ClassVar[str]
    remedy: ClassVar[str] = ""
    bits_per_dimension: ClassVar[bool] = False
    event_shape: eqx.AbstractVar[tuple[int, ...]]
    num_outputs: eqx.AbstractVar[int]

    @abc.abstractmethod
    def __call__(self, outputs: Float[Array, " outputs"]) -> Distribution:
        """Return p(x|z) for one datum."""

    @abc.abstractmethod
    def initial_bias(self, data: DataSummary | None) -> Float[Array, " outputs"]:
        """Return initial values of the decoder's last biases: the best constant guess.

        Without data it is a guess that fits no data in particular.
        """

    @property
    @abc.abstractmethod
    def interval(self) -> tuple[float, float]:
        """The smallest interval that holds the support, in the data's units; may be infinite."""

    @classmethod
    @abc.abstractmethod
    def outside(cls, values: np.ndarray) -> np.ndarray:
        """Return a boolean array of the same shape: which values lie outside the support.

        Options that the support depends on are keyword-only arguments.
        """


def check_support(
    choice: str | Mapping[str, Any], values: np.ndarray, *, where: str = "the data"
) -> None:
    """Raise if values lie outside the support of a likelihood.

    The message names the values and the likelihoods that would fit.

    Args:
        choice: a member of the likelihoods room, or a path; or {"name": ..., option: value}.
        values: the data [rows, *event].
        where: what the message calls the data.

    Raises:
        ValueError: with the number of such values, the first of them and its position, and the
            remedy.

    Example:
        check_support("bernoulli", np.array([[0, 1]]))
    """
    options = {} if isinstance(choice, str) else dict(choice)
    name = choice if isinstance(choice, str) else options.pop("name")
    room = ROOMS["likelihood"]
    cls = room.find(name)
    # An option left at None is decided by the data, which then cannot contradict it.
    support_options = {
        k: v
        for k, v in options.items()
        if v is not None and k in inspect.signature(cls.outside).parameters
    }
    outside = cls.outside(values, **support_options)
    if not outside.any():
        return
    index = tuple(int(i) for i in np.argwhere(outside)[0])
    set_to = "".join(f", {k}={v}" for k, v in support_options.items())
    raise ValueError(
        f"{int(outside.sum())} of {values.size} values of {where} lie outside the support of the "
        f"{name} likelihood ({cls.support}{set_to}); the first is {values[index]:.6g} at "
        f"{list(index)}; the range is {values.min():.6g} to {values.max():.6g}. "
        f"{_remedy(room, name, cls, values)}"
    )


def _remedy(room: Room, name: str, cls: type[AbstractLikelihood], values: np.ndarray) -> str:
    candidates = {other: room.find(other) for other in room.names() if other != name}
    fitting = [
        f"{other} ({candidate.support})"
        for other, candidate in candidates.items()
        if not candidate.outside(values).any()
    ]
    sentences = [cls.remedy] if cls.remedy else []
    if fitting:
        sentences.append(
            f"Likelihoods that fit: {', '.join(fitting)}; choose one with --likelihood NAME."
        )
    elif not np.isfinite(values).all():
        sentences = ["No likelihood here fits them; check for NaN or inf."]
    if name == "bernoulli" and grey(values):
        sentences.append(
            "For grey levels, continuous_bernoulli is a density on [0, 1] (divide bytes by 255), "
            "and discretized_logistic gives bits per dimension (bytes, or (v + .5) / 256). Or read "
            "the values as Bernoulli means, drawn afresh at every use "
            "(--set data.binarise=dynamic), or threshold them (--set data.binarise=threshold)."
        )
    return " ".join(sentences)


def grey(values: np.ndarray) -> bool:
    """Whether the values look like grey levels: in [0, 1], or unsigned bytes."""
    return bool(values.dtype == np.uint8 or (values.min() >= 0 and values.max() <= 1))


def event_size(event_shape: tuple[int, ...]) -> int:
    """Return the number of elements of one datum."""
    return math.prod(event_shape)


def whole(values: np.ndarray) -> np.ndarray:
    """Return a boolean array of the same shape: which values are whole numbers."""
    if values.dtype.kind in "biu":
        return np.ones(values.shape, bool)
    return np.isfinite(values) & (values == np.floor(values))
