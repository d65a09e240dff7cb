"""What a likelihood is, and what it may know of the data before training."""

import abc
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from jensen._rooms import Room
from jensen._types import Array, Distribution, Float


@dataclass(frozen=True)
class DataSummary:
    """What a model may know of its training data before training starts: moments and range in the data's own units, and the first rows.

    Attributes:
        mean, scale: per element, of the event's shape; scale is the standard deviation, or 1 where an element is constant.
        lower, upper: the smallest and largest value.
        rows: the training rows as they are stored, for data initialisation of pseudo-inputs (see `take`); may be empty.
        levels: grey levels if a value v means a Bernoulli mean v / levels; the moments are then those of v / levels.
        placeholder: the values mean nothing: a model's structure is being rebuilt, and its arrays come from elsewhere.
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
        """What of the data decides the structure of a model, as plain values: `from_facts` makes a summary of them that builds the same structure."""
        return {
            "rows": len(self.rows),
            "dtype": str(self.rows.dtype),
            "lower": self.lower,
            "upper": self.upper,
            "levels": self.levels,
        }

    @staticmethod
    def from_facts(event_shape: tuple[int, ...], facts: Mapping[str, Any]) -> "DataSummary":
        """The placeholder of data with these facts; its rows take no memory."""
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
        """What networks divide centred data by: one number, for a scale per element would blow up pixels that are almost always 0; 1 for data within [0, 1]."""
        # Grey levels are drawn as 0/1 before they reach a network: their units are already right.
        if self.levels or (self.lower >= 0 and self.upper <= 1):
            return 1.0
        return float((self.scale.astype(np.float64) ** 2).mean() ** 0.5)

    def take(self, index: np.ndarray) -> np.ndarray:
        """The rows of these indices, float32, in the units of `mean`."""
        return (np.asarray(self.rows[index], np.float64) / (self.levels or 1)).astype(np.float32)

    def spread_rows(self, most: int = 10_000) -> np.ndarray:
        """At most so many rows, evenly spaced over all: for statistics that need no more."""
        return self.take(np.linspace(0, len(self.rows) - 1, min(most, len(self.rows))).astype(int))


def summarise(train: np.ndarray, *, levels: int | None = None) -> DataSummary:
    """The summary of a training array [rows, *event].

    summarise(data.train, levels=data.levels).mean  # pixel means
    """
    as_float = np.asarray(train, np.float64)
    values = as_float / levels if levels else as_float
    mean, scale = values.mean(axis=0), values.std(axis=0)
    # Constant elements have no scale of their own: give them the overall one, so that nothing divides by zero.
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
    """The outputs of a decoder -> p(x|z) of one datum, in the data's own units.

    Constructed with (event_shape, data: DataSummary | None, *, options); `num_outputs` says how many numbers the decoder must give, in contiguous blocks of
    the event's size. An option whose default is None means "as the data say"; what it became is the attribute of that name, and is recorded with the model.

    Class attributes: `support` in words; `remedy`, what to do with data outside it; `bits_per_dimension`, whether results are customarily given in that unit.
    """

    support: ClassVar[str]
    remedy: ClassVar[str] = ""
    bits_per_dimension: ClassVar[bool] = False
    event_shape: eqx.AbstractVar[tuple[int, ...]]
    num_outputs: eqx.AbstractVar[int]

    @abc.abstractmethod
    def __call__(self, outputs: Float[Array, " outputs"]) -> Distribution:
        """p(x|z) for one datum."""

    @abc.abstractmethod
    def initial_bias(self, data: DataSummary | None) -> Float[Array, " outputs"]:
        """Where the decoder's last biases start: the best constant guess, as far as the data are known."""

    @property
    @abc.abstractmethod
    def interval(self) -> tuple[float, float]:
        """The smallest interval that holds the support, in the data's units; infinite where there is no end."""

    @classmethod
    @abc.abstractmethod
    def outside(cls, values: np.ndarray) -> np.ndarray:
        """Which values lie outside the support: a boolean array of the same shape. Options that the support depends on are keyword-only arguments."""


def check_support(
    choice: str | Mapping[str, Any], values: np.ndarray, *, where: str = "the data"
) -> None:
    """Raises if some values lie outside the support of a likelihood, naming them and the likelihoods that would fit.

    Args:
        choice: a member of the likelihoods room, or a path; or {"name": ..., option: value}.
        values: the data [rows, *event].
        where: how the message calls the data.

    Raises:
        ValueError: with count, first offending value and place, and the remedy.

        check_support("bernoulli", np.array([[0, 1]]))
    """
    options = {} if isinstance(choice, str) else dict(choice)
    name = choice if isinstance(choice, str) else options.pop("name")
    room = Room("jensen.likelihoods", "likelihood")
    cls = room.find(name)
    known = {
        k: v
        for k, v in options.items()
        if v is not None and k in inspect.signature(cls.outside).parameters
    }
    bad = cls.outside(values, **known)
    if not bad.any():
        return
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    set_to = "".join(f", {k}={v}" for k, v in known.items())
    raise ValueError(
        f"{int(bad.sum())} of {values.size} values of {where} lie outside the support of the {name} likelihood ({cls.support}{set_to}); "
        f"the first is {values[index]:.6g} at {list(index)}; the range is {values.min():.6g} to {values.max():.6g}. {_remedy(room, name, cls, values)}"
    )


def _remedy(room: Room, name: str, cls: type[AbstractLikelihood], values: np.ndarray) -> str:
    others = {other: room.find(other) for other in room.names() if other != name}
    fitting = [
        f"{other} ({found.support})"
        for other, found in others.items()
        if not found.outside(values).any()
    ]
    said = [cls.remedy] if cls.remedy else []
    if fitting:
        said.append(
            f"Likelihoods that fit: {', '.join(fitting)}; choose one with --likelihood NAME."
        )
    elif not np.isfinite(values).all():
        said = ["No likelihood here fits them; check for NaN or inf."]
    if name == "bernoulli" and grey(values):
        said.append(
            "For grey levels, continuous_bernoulli is a density on [0, 1] (divide bytes by 255), and discretized_logistic gives bits per dimension (bytes, or "
            "(v + .5) / 256). Or read the values as Bernoulli means, drawn afresh at every use (--set data.binarise=dynamic), or threshold them "
            "(--set data.binarise=threshold)."
        )
    return " ".join(said)


def grey(values: np.ndarray) -> bool:
    """Whether the values look like grey levels: in [0, 1], or unsigned bytes."""
    return bool(values.dtype == np.uint8 or (values.min() >= 0 and values.max() <= 1))


def event_size(event_shape: tuple[int, ...]) -> int:
    """How many numbers one datum has."""
    return math.prod(event_shape)


def whole(values: np.ndarray) -> np.ndarray:
    """Which values are whole numbers: a boolean array of the same shape."""
    if values.dtype.kind in "biu":
        return np.ones(values.shape, bool)
    return np.isfinite(values) & (values == np.floor(values))
