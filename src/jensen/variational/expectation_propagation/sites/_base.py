"""What a site is."""

import abc
from typing import NamedTuple

import equinox as eqx
import numpy as np

from jensen.variational._ending import finite


class Tilted(NamedTuple):
    """Of N(f; m, v) t(f) / Z: log Z, mean and variance, each [M]."""

    log_normaliser: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


class AbstractSite(eqx.Module):
    """N factors t_n(f_n) of one kind, each a function of one number f_n = a_n . w. All in NumPy's
    float64.

    Attributes:
        y: what was observed [N].
    """

    y: eqx.AbstractVar[np.ndarray]

    @abc.abstractmethod
    def log_density(self, f: np.ndarray, index: np.ndarray) -> np.ndarray:
        """log t_n(f), nats [P], at f [P] of the sites n = index [P]."""

    @abc.abstractmethod
    def tilted(self, mean: np.ndarray, variance: np.ndarray, index: np.ndarray) -> Tilted:
        """log normaliser, mean and variance of N(f; mean, variance) t_n(f) for the sites n = index;
        all arrays [M].
        """


def signs_of(y: object, name: str) -> np.ndarray:
    """Labels as -1 and +1.

    Raises:
        ValueError: labels that are neither all 0 or 1 nor all -1 or +1.
    """
    labels = observed(y, name)
    if not (np.isin(labels, (0, 1)).all() or np.isin(labels, (-1, 1)).all()):
        odd = np.flatnonzero(~np.isin(labels, (-1, 1)))
        raise ValueError(
            f"{name}: labels must be all 0 or 1, or all -1 or +1; y[{odd[0]}] is {labels[odd[0]]}."
        )
    return np.where(labels == 1, 1.0, -1.0)


def observed(y: object, name: str) -> np.ndarray:
    """Observations [N] in float64.

    Raises:
        ValueError: none, more than one axis, or a value that is not finite (by its index).
    """
    values = finite(y, f"{name}: y")
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(
            f"{name}: y must be [N] with N at least 1; got shape {list(values.shape)}."
        )
    return values
