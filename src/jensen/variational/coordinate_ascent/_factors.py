"""x = W z + mu + noise, z ~ N(0, I), by EM: coordinate ascent on one ELBO in q(z) and in the
parameters (Neal & Hinton 1998).

Data enter through their mean and covariance S alone. With q(z_n) = N(B (x_n - mu), G) for all n, in
nats per datum,

    ELBO = -1/2 [D log 2 pi + sum log psi + tr Psi^-1 (S - 2 W B S + W C W^T)] - 1/2 tr C + L/2 +
    1/2 log|G|,    C = G + B S B^T.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.random as jr
import numpy as np

from jensen._numerics import LOG_2PI
from jensen._types import Key
from jensen.variational._ending import finite
from jensen.variational.coordinate_ascent._ascent import Ascent, ascend


class Factors(NamedTuple):
    """Parameters and q."""

    loadings: np.ndarray  # W [D, L]
    noise: np.ndarray  # psi [D]
    projection: np.ndarray  # B [L, D]
    covariance: np.ndarray  # G [L, L]


def ascend_factors(
    x: np.ndarray,
    latent_dim: int,
    noise_of: Callable[[np.ndarray], np.ndarray],
    noise_name: str,
    *,
    key: Key,
    tolerance: float,
    max_sweeps: int,
) -> Ascent[Factors]:
    """EM from random loadings; `noise_of` makes the best noise variances [D] of the mean squared
    residuals [D].
    """
    n, dimension = x.shape
    centred = x - x.mean(axis=0)
    s = centred.T @ centred / n

    def infer(state: Factors) -> Factors:
        scaled = state.loadings / state.noise[:, None]
        covariance = np.linalg.inv(np.eye(latent_dim) + scaled.T @ state.loadings)
        covariance = (covariance + covariance.T) / 2
        return state._replace(projection=covariance @ scaled.T, covariance=covariance)

    def second(state: Factors) -> np.ndarray:
        return state.covariance + state.projection @ s @ state.projection.T

    def load(state: Factors) -> Factors:
        return state._replace(loadings=np.linalg.solve(second(state), state.projection @ s).T)

    def residuals(state: Factors) -> np.ndarray:
        cross = np.sum(state.loadings * (s @ state.projection.T), axis=1)
        return (
            np.diag(s)
            - 2 * cross
            + np.sum((state.loadings @ second(state)) * state.loadings, axis=1)
        )

    def scatter(state: Factors) -> Factors:
        return state._replace(noise=noise_of(residuals(state)))

    def elbo(state: Factors) -> float:
        misfit = np.sum(np.log(state.noise) + residuals(state) / state.noise)
        rest = latent_dim + np.linalg.slogdet(state.covariance)[1] - np.trace(second(state))
        return float(0.5 * n * (rest - misfit - dimension * LOG_2PI))

    with jax.enable_x64(True):
        random = np.asarray(jr.normal(key, (dimension, latent_dim), dtype=np.float64))
    variances = np.diag(s)
    start = infer(
        Factors(
            random * np.sqrt(variances / (2 * latent_dim))[:, None],
            noise_of(variances / 2),
            np.empty(0),
            np.empty(0),
        )
    )
    updates = {"the loadings": load, noise_name: scatter, "q(z)": infer}
    return ascend(start, updates, elbo, tolerance=tolerance, max_sweeps=max_sweeps)


def checked(x: object, latent_dim: int, *, shared_noise: bool) -> np.ndarray:
    """Data [N, D] in float64. With a noise variance of its own, a constant column has an infinite
    likelihood; with one that all columns share it has a finite one, while other columns vary.

    Raises:
        ValueError: no matrix, values that are not finite (by index), a constant column, as many
            latent dimensions as columns, or too few data for them.
    """
    array = finite(x, "x")
    if array.ndim != 2:
        raise ValueError(f"x must be [N, D]; got {list(array.shape)}.")
    n, dimension = array.shape
    if not 1 <= latent_dim < dimension:
        raise ValueError(
            f"latent_dim must be at least 1 and below the {dimension} columns of x; got "
            f"{latent_dim}."
        )
    if n < latent_dim + 2:
        raise ValueError(
            f"{latent_dim} latent dimensions fit {n} data without noise, so the likelihood has no "
            f"maximum: want at least {latent_dim + 2} data."
        )
    largest = np.maximum(1e-300, np.abs(array).max(axis=0))
    flat = np.flatnonzero(array.std(axis=0) <= 1e-12 * largest)
    if shared_noise and len(flat) == dimension:
        raise ValueError(
            "all columns of x are constant: the noise variance would be 0, and the likelihood "
            "infinite."
        )
    if not shared_noise and len(flat):
        raise ValueError(
            f"column {flat[0]} of x is constant: its noise variance would be 0, and the likelihood "
            "infinite; leave it out, or take probabilistic PCA, whose columns share one noise "
            "variance."
        )
    return array
