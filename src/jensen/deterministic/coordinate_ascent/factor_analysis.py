"""Factor analysis and probabilistic PCA: x = W z + mu + noise, z ~ N(0, I), by EM.

EM is coordinate ascent on one ELBO in q(z) and in the parameters (Neal & Hinton 1998). The data
enter through their mean and covariance S alone. With q(z_n) = N(B (x_n - mu), G) for all n, in nats
per datum,

    ELBO = -1/2 [D log 2 pi + sum log psi + tr Psi^-1 (S - 2 W B S + W C W^T)]
           - 1/2 tr C + L/2 + 1/2 log|G|,    C = G + B S B^T.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.random as jr
import numpy as np

from jensen._numerics import LOG_2PI
from jensen._types import Key
from jensen.deterministic._checks import finite, positive
from jensen.deterministic._results import Convergence, WeightedDraws
from jensen.deterministic.coordinate_ascent._ascent import Ascent, ascend


@dataclass(frozen=True)
class FactorAnalysis:
    """x ~ N(loadings z + mean, diag(noise)), q(z_n) = N(projection (x_n - mean), covariance), which
    is the posterior at these parameters.

    Attributes:
        mean, loadings, noise: mu [D], W [D, L] (up to a rotation of z), psi [D].
        projection, covariance: of q, [L, D] and [L, L].
        elbos: at the start and after every sweep, nats, of all data together. As q is exact there,
            they are the log-likelihood.
        outcome: whether it converged, and if not why; its warnings name the columns whose noise
            variance is at its lower limit.
    """

    mean: np.ndarray
    loadings: np.ndarray
    noise: np.ndarray
    projection: np.ndarray
    covariance: np.ndarray
    elbos: np.ndarray
    outcome: Convergence
    x: np.ndarray = field(repr=False)

    @property
    def elbo(self) -> float:
        """The last ELBO, nats, of all data together."""
        return float(self.elbos[-1])

    @property
    def scores(self) -> np.ndarray:
        """E[z_n | x_n], [N, L]."""
        return (self.x - self.mean) @ self.projection.T

    def weighted_draws(self, num_samples: int = 100, *, key: Key) -> WeightedDraws:
        """Draws `z` [S, N, L] from q, with log p(x, z) at these parameters and log q(z), nats [S].

        q is the posterior at these parameters, so every weight is the likelihood.
        """
        n, latent = self.scores.shape
        with jax.enable_x64(True):
            noise = np.asarray(jr.normal(key, (num_samples, n, latent), dtype=np.float64))
        root = np.linalg.cholesky(self.covariance)
        z = self.scores + noise @ root.T
        residual = self.x - self.mean - z @ self.loadings.T
        log_p = -0.5 * np.sum(
            residual**2 / self.noise + np.log(self.noise) + LOG_2PI, axis=(1, 2)
        ) - 0.5 * np.sum(z**2 + LOG_2PI, axis=(1, 2))
        return WeightedDraws(
            {"z": z},
            log_p,
            -0.5 * np.sum(noise**2 + LOG_2PI, axis=(1, 2)) - n * np.sum(np.log(np.diag(root))),
        )


def fit_factor_analysis(
    x: np.ndarray,
    latent_dim: int,
    *,
    key: Key,
    least_noise: float = 0.005,
    tolerance: float = 1e-8,
    max_sweeps: int = 20_000,
) -> FactorAnalysis:
    """Fits factor analysis by EM, which maximises the likelihood (Rubin & Thayer 1982).

    EM is coordinate ascent on the ELBO in q(z), which is exact and normal, and in the parameters
    (Neal & Hinton 1998). The parameters are point estimates, without a posterior.

    Args:
        x: [N, D].
        latent_dim: L, below D.
        key: of the random initial loadings.
        least_noise: the lower limit of a noise variance, as a share of its column's variance.
            Without it the likelihood can rise without limit as a variance goes to 0 (a Heywood
            case). `outcome.warnings` names the columns at the limit.
        tolerance: nats; the fit stops when a sweep raises the ELBO by less. EM is slow where
            factors are weak: check `outcome`.

    Raises:
        ValueError: values that are not finite (by index), a constant column, too many latent
            dimensions, too few data, or an option out of its range.
        ArithmeticError: an update lowered the ELBO; the message names it.

        fit_factor_analysis(x, 2, key=jax.random.key(0)).elbo / len(x)  # nats per datum
    """
    x = _checked_data(x, latent_dim, shared_noise=False)
    floor = positive(least_noise, "least_noise") * x.var(axis=0)
    ascent = _ascend_factors(
        x,
        latent_dim,
        lambda residuals: np.maximum(residuals, floor),
        "the noise",
        key=key,
        tolerance=tolerance,
        max_sweeps=max_sweeps,
    )
    return _result(x, ascent, np.flatnonzero(ascent.state.noise <= floor))


def fit_probabilistic_pca(
    x: np.ndarray,
    latent_dim: int,
    *,
    key: Key,
    least_noise: float = 1e-6,
    tolerance: float = 1e-8,
    max_sweeps: int = 20_000,
) -> FactorAnalysis:
    """Fits probabilistic PCA by EM, which maximises the likelihood (Tipping & Bishop 1999, appendix
    B). It is factor analysis with one noise variance for all columns.

    The maximum is known: -N/2 [sum_{i <= L} log lam_i + (D - L) log s2 + D log 2 pi + D], s2 the
    mean of the D - L least eigenvalues lam of the covariance, and the loadings span the leading
    eigenvectors. EM converges to it from any start: other stationary points are saddles.

    Args:
        x: [N, D].
        latent_dim: L, below D.
        least_noise: the lower limit of the noise variance, as a share of the columns' mean
            variance.
        tolerance: nats; the fit stops when a sweep raises the ELBO by less.

    Raises:
        ValueError: as `fit_factor_analysis`; but a constant column is allowed while others vary,
            since the noise variance is shared.
        ArithmeticError: an update lowered the ELBO; the message names it.

        fit_probabilistic_pca(x, 2, key=jax.random.key(0)).noise[0]
    """
    x = _checked_data(x, latent_dim, shared_noise=True)
    floor = positive(least_noise, "least_noise") * float(x.var(axis=0).mean())

    def shared(residuals: np.ndarray) -> np.ndarray:
        return np.full(len(residuals), max(float(residuals.mean()), floor))

    ascent = _ascend_factors(
        x, latent_dim, shared, "the noise", key=key, tolerance=tolerance, max_sweeps=max_sweeps
    )
    return _result(x, ascent, np.flatnonzero(ascent.state.noise <= floor))


class _Factors(NamedTuple):
    """Parameters and q."""

    loadings: np.ndarray  # W [D, L]
    noise: np.ndarray  # psi [D]
    projection: np.ndarray  # B [L, D]
    covariance: np.ndarray  # G [L, L]


def _ascend_factors(
    x: np.ndarray,
    latent_dim: int,
    noise_of: Callable[[np.ndarray], np.ndarray],
    noise_name: str,
    *,
    key: Key,
    tolerance: float,
    max_sweeps: int,
) -> Ascent[_Factors]:
    """EM from random loadings; `noise_of` makes the best noise variances [D] of the mean squared
    residuals [D].
    """
    n, dimension = x.shape
    centred = x - x.mean(axis=0)
    s = centred.T @ centred / n

    def e_step(state: _Factors) -> _Factors:
        scaled = state.loadings / state.noise[:, None]
        covariance = np.linalg.inv(np.eye(latent_dim) + scaled.T @ state.loadings)
        covariance = (covariance + covariance.T) / 2  # rounding makes it unsymmetric
        return state._replace(projection=covariance @ scaled.T, covariance=covariance)

    def second_moment(state: _Factors) -> np.ndarray:
        return state.covariance + state.projection @ s @ state.projection.T

    def update_loadings(state: _Factors) -> _Factors:
        return state._replace(
            loadings=np.linalg.solve(second_moment(state), state.projection @ s).T
        )

    def residuals(state: _Factors) -> np.ndarray:
        cross = np.sum(state.loadings * (s @ state.projection.T), axis=1)
        return (
            np.diag(s)
            - 2 * cross
            + np.sum((state.loadings @ second_moment(state)) * state.loadings, axis=1)
        )

    def update_noise(state: _Factors) -> _Factors:
        return state._replace(noise=noise_of(residuals(state)))

    def elbo(state: _Factors) -> float:
        misfit = np.sum(np.log(state.noise) + residuals(state) / state.noise)
        rest = latent_dim + np.linalg.slogdet(state.covariance)[1] - np.trace(second_moment(state))
        return float(0.5 * n * (rest - misfit - dimension * LOG_2PI))

    with jax.enable_x64(True):
        random = np.asarray(jr.normal(key, (dimension, latent_dim), dtype=np.float64))
    # At the start factors and noise each explain half of a column's variance.
    variances = np.diag(s)
    start = e_step(
        _Factors(
            random * np.sqrt(variances / (2 * latent_dim))[:, None],
            noise_of(variances / 2),
            np.empty(0),
            np.empty(0),
        )
    )
    updates = {"the loadings": update_loadings, noise_name: update_noise, "q(z)": e_step}
    return ascend(start, updates, elbo, tolerance=tolerance, max_sweeps=max_sweeps)


def _checked_data(x: object, latent_dim: int, *, shared_noise: bool) -> np.ndarray:
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
            f"maximum: use at least {latent_dim + 2} data."
        )
    largest = np.maximum(1e-300, np.abs(array).max(axis=0))
    constant = np.flatnonzero(array.std(axis=0) <= 1e-12 * largest)
    if shared_noise and len(constant) == dimension:
        raise ValueError(
            "all columns of x are constant: the noise variance would be 0, and the likelihood "
            "infinite."
        )
    if not shared_noise and len(constant):
        raise ValueError(
            f"column {constant[0]} of x is constant: its noise variance would be 0, and the "
            "likelihood infinite; leave it out, or use fit_probabilistic_pca, whose columns "
            "share one noise "
            "variance."
        )
    return array


def _result(x: np.ndarray, ascent: Ascent[_Factors], at_floor: np.ndarray) -> FactorAnalysis:
    """Makes the record, with a warning that names the columns at the lower limit."""
    convergence, warnings = ascent.outcome, ()
    if len(at_floor):
        listed = ", ".join(map(str, at_floor[:5]))
        warnings = (
            f"The noise variance of column {listed} is at its floor (a Heywood case): fewer "
            "factors, or more data.",
        )
    outcome = Convergence(convergence.status, convergence.message, convergence.sweeps, warnings)
    return FactorAnalysis(x.mean(axis=0), *ascent.state, ascent.elbos, outcome, x)
