"""Checks of arguments: arrays in float64 without NaN, positive numbers, covariances."""

import numpy as np


def finite(values: object, name: str) -> np.ndarray:
    """Converts the values to an array in float64.

    Raises:
        ValueError: a value that is not finite, by its index.

        finite([1, 2], "y")  # array([1., 2.])
    """
    array = np.array(values, np.float64)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        index = ", ".join(map(str, bad[0]))
        raise ValueError(
            f"{name}[{index}] is {array[tuple(bad[0])]}, and {len(bad)} of {array.size} values are "
            "not finite: leave those data out, or impute them."
        )
    return array


def positive(value: float, name: str) -> float:
    """Returns the value as a float.

    Raises:
        ValueError: a value that is not positive and finite.

        positive(1.0, "noise_variance")  # 1.0
    """
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be positive and finite; got {value}.")
    return float(value)


def cholesky_of(covariance: object, name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns (the covariance [size, size] in float64, its lower Cholesky factor).

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
