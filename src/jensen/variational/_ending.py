"""How an iteration ended, as a value."""

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Ending:
    """Whether an iteration reached its fixed point, and why not.

    Attributes:
        status: "converged" or "not_converged".
        message: a sentence with the figures, and the remedy where there is one.
        sweeps: how many were made.
        warnings: what happened on the way that a reader has to know.
    """

    status: Literal["converged", "not_converged"]
    message: str
    sweeps: int
    warnings: tuple[str, ...] = ()

    @property
    def converged(self) -> bool:
        """Whether the status is "converged"."""
        return self.status == "converged"


def finite(values: object, name: str) -> np.ndarray:
    """An array in float64.

    Raises:
        ValueError: a value that is not finite, by its index.

        finite([1, 2], "y")  # array([1., 2.])
    """
    array = np.array(values, np.float64)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        at = ", ".join(map(str, bad[0]))
        raise ValueError(
            f"{name}[{at}] is {array[tuple(bad[0])]}, and {len(bad)} of {array.size} values are "
            "not finite: leave those data out, or impute them."
        )
    return array


def positive(value: float, name: str) -> float:
    """The value.

    Raises:
        ValueError: a value that is not positive and finite.

        positive(1.0, "noise_variance")  # 1.0
    """
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive and finite; got {value}.")
    return float(value)


def cholesky_of(covariance: object, name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(the covariance [size, size] in float64, its lower Cholesky factor).

    Raises:
        ValueError: another shape, values that are not finite, no symmetry, or a matrix that is not
            positive definite.

        cholesky_of(np.eye(2), "prior_covariance", 2)
    """
    matrix = finite(covariance, name)
    if matrix.shape != (size, size):
        raise ValueError(f"{name} must be [{size}, {size}]; got {list(matrix.shape)}.")
    if not np.allclose(matrix, matrix.T, rtol=1e-8, atol=1e-12 * np.abs(matrix).max()):
        raise ValueError(
            f"{name} must be symmetric; it differs from its transpose by "
            f"{np.abs(matrix - matrix.T).max():.3g}."
        )
    try:
        return matrix, np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        least = np.linalg.eigvalsh(matrix)[0]
        raise ValueError(
            f"{name} must be positive definite; its least eigenvalue is {least:.3g}. Leave "
            "constant directions out."
        ) from None
