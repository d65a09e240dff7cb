"""The abstract site, and checks of its observations."""

import abc
from typing import NamedTuple

import equinox as eqx
import numpy as np

from jensen.deterministic._checks import finite


class Tilted(NamedTuple):
    """The tilted distributions N(f; m, v) t(f) / Z: log Z (nats), mean and variance, each [M]."""

    log_normaliser: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


class AbstractSite(eqx.Module):
    """N factors t_n(f_n) of a likelihood, all of one kind, each a function of f_n = a_n . w.

    Everything is computed in NumPy's float64. A site of your own is a subclass with `y`,
    `log_density` and `tilted`.

    Attributes:
        y: the observations [N].
    """

    y: eqx.AbstractVar[np.ndarray]

    @abc.abstractmethod
    def log_density(self, f: np.ndarray, index: np.ndarray) -> np.ndarray:
        """Computes log t_n(f), nats [P], at f [P] for the sites n = index [P]."""

    @abc.abstractmethod
    def tilted(self, mean: np.ndarray, variance: np.ndarray, index: np.ndarray) -> Tilted:
        """Computes log normaliser, mean and variance of N(f; mean, variance) t_n(f) for the sites
        n = index; all arrays [M].
        """


def signs_of(y: object, name: str) -> np.ndarray:
    """Converts labels to -1 and +1.

    Raises:
        ValueError: labels that are neither all 0 or 1 nor all -1 or +1.
    """
    labels = observed(y, name)
    if not (np.isin(labels, (0, 1)).all() or np.isin(labels, (-1, 1)).all()):
        other = np.flatnonzero(~np.isin(labels, (-1, 1)))
        raise ValueError(
            f"{name}: labels must be all 0 or 1, or all -1 or +1; y[{other[0]}] is "
            f"{labels[other[0]]}."
        )
    return np.where(labels == 1, 1.0, -1.0)


def observed(y: object, name: str) -> np.ndarray:
    """Converts observations to an array [N] in float64.

    Raises:
        ValueError: none, more than one axis, or a value that is not finite (by its index).
    """
    values = finite(y, f"{name}: y")
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(
            f"{name}: y must be [N] with N at least 1; got shape {list(values.shape)}."
        )
    return values
