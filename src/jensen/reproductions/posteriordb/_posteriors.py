"""What a posterior of posteriordb is here: a NumPyro model, its data, and how its density stands to that of the Stan program."""

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

Values = dict[str, Any]


def _unchanged(values: Values) -> Values:
    return values


@dataclass(frozen=True)
class Coordinates:
    """Between the model's sites and the parameters that posteriordb has draws of, where these are not the same; values may have leading axes.

    Attributes:
        to_named: values of all sites -> values of the named parameters.
        to_sites: its inverse.
    """

    to_named: Callable[[Values], Values] = _unchanged
    to_sites: Callable[[Values], Values] = _unchanged


class AbstractPosterior(abc.ABC):
    """A posterior: `numpyro.infer` takes it as `posterior.model` and `posterior.arguments`.

    The density is that of the Stan program with the constants that `~` drops (those of `target += ..._lpdf`), but priors are normalised on the half-line, the
    ordered set or the triangle on which the parameter lives; `stan_offset` is the difference.

    Attributes:
        name: of the posterior in posteriordb, data and program.
        data_name: of its data there.
        reference_name: of its reference draws there; None where there are none.
        proper: False for flat priors: the evidence is then undefined.
        stan_offset: log density of the Stan program, with its constants, less ours: to be added to our evidence to compare it with one of Stan's density.
        shapes: the named parameters in Stan's order, each with its shape.
        coordinates: how the named parameters hang together with the sites.
        arguments: of `model`.
    """

    name: ClassVar[str]
    data_name: ClassVar[str]
    reference_name: ClassVar[str | None]
    proper: ClassVar[bool]
    stan_offset: ClassVar[float]
    coordinates: ClassVar[Coordinates] = Coordinates()
    shapes: Mapping[str, tuple[int, ...]]
    arguments: tuple[Any, ...]

    @staticmethod
    @abc.abstractmethod
    def model(*arguments: Any) -> None:
        """The NumPyro model."""


def column(data: Mapping[str, Any], name: str) -> Any:
    """A variable of the data as float64 NumPy array.

    column({"y": [1, 2]}, "y")  # array([1., 2.])
    """
    import numpy as np

    return np.asarray(data[name], float)
