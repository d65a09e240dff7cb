"""The categorical likelihood for classes 0 .. num_classes - 1.

p(x|z) = prod_i softmax(l_i)[x_i]
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from jensen._types import Array, Float
from jensen.distributions import Categorical as CategoricalDistribution
from jensen.likelihoods._base import AbstractLikelihood, DataSummary, event_size, whole

MOST_CLASSES = 1024  # limit on the number of classes that is inferred from the data


class Categorical(AbstractLikelihood):
    """Independent categorical elements; the decoder gives `num_classes` blocks of logits.

    Each block has the event's size. `num_classes` is by default the training data's largest value
    plus 1. The last biases start at the log frequencies of the classes in each element, with a
    share of .001 spread over all classes. Encoders read the class numbers as numbers, and the mean
    of p(x|z) is that of the class numbers.

    Raises:
        ValueError: if the number of classes is below 2, or cannot be inferred from the data.

    Example:
        Categorical((8, 8), data=None, num_classes=4)(logits).log_prob(x)
    """

    support: ClassVar[str] = "whole numbers 0 to num_classes - 1"
    remedy: ClassVar[str] = (
        "If the training data lack some classes, say how many there are: "
        "--set likelihood.num_classes=10."
    )
    bits_per_dimension: ClassVar[bool] = True
    event_shape: tuple[int, ...] = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)
    num_classes: int = eqx.field(static=True)

    def __init__(
        self,
        event_shape: tuple[int, ...],
        data: DataSummary | None,
        *,
        num_classes: int | None = None,
    ):
        if num_classes is None:
            if data is None:
                raise ValueError(
                    "likelihood categorical: num_classes must be given when no data are: "
                    "--set likelihood.num_classes=10, or data=... in Python."
                )
            if data.upper >= MOST_CLASSES:
                raise ValueError(
                    f"likelihood categorical: the data's largest value is {data.upper:.6g}, and "
                    "each class takes a block of outputs. Counts are for poisson or "
                    "negative_binomial; or say how many classes there are: "
                    "--set likelihood.num_classes=..."
                )
            num_classes = max(2, int(data.upper) + 1)
        if num_classes < 2:
            raise ValueError(
                f"likelihood categorical: num_classes must be at least 2; got {num_classes}."
            )
        self.event_shape = event_shape
        self.num_classes = num_classes
        self.num_outputs = num_classes * event_size(event_shape)

    def __call__(self, outputs: Float[Array, " outputs"]) -> CategoricalDistribution:
        return CategoricalDistribution(outputs.reshape(self.num_classes, *self.event_shape))

    def initial_bias(self, data: DataSummary | None) -> Float[Array, " outputs"]:
        if data is None or not len(data.rows):
            return jnp.zeros(self.num_outputs)
        # A class that an element never shows gets a small probability: its log must be finite.
        return jnp.asarray(
            np.log(0.999 * _frequencies(data, self.num_classes) + 0.001 / self.num_classes).ravel()
        )

    @property
    def interval(self) -> tuple[float, float]:
        return 0.0, float(self.num_classes - 1)

    @classmethod
    def outside(cls, values: np.ndarray, *, num_classes: int | None = None) -> np.ndarray:
        not_class = ~whole(values) | (values < 0)
        return not_class if num_classes is None else not_class | (values >= num_classes)


def _frequencies(data: DataSummary, num_classes: int) -> np.ndarray:
    """Compute the frequency of each class in each element, [classes, elements]."""
    if data.levels:  # the data are Bernoulli means, binarised at every use
        mean = data.mean.astype(np.float64).ravel()
        return np.concatenate([[1 - mean, mean], np.zeros((num_classes - 2, mean.size))])
    rows = data.spread_rows()
    rows = rows.reshape(len(rows), -1)
    counts = np.zeros(num_classes * rows.shape[1])
    # In blocks: the index of each (class, element) pair takes eight bytes for every value.
    for start in range(0, len(rows), 1000):
        # Values beyond the classes are refused by the support check, with a better message.
        part = np.clip(rows[start : start + 1000], 0, num_classes - 1).astype(np.int64)
        counts += np.bincount(
            (part * rows.shape[1] + np.arange(rows.shape[1])).ravel(), minlength=counts.size
        )
    return (counts / len(rows)).reshape(num_classes, -1)
