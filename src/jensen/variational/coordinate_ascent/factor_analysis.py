"""Factor analysis: correlated data by a few factors, and a noise variance for each column."""

from dataclasses import dataclass, field

import jax
import jax.random as jr
import numpy as np

from jensen._numerics import LOG_2PI
from jensen._types import Key
from jensen.variational._ending import Ending, positive
from jensen.variational._weighted_draws import WeightedDraws
from jensen.variational.coordinate_ascent._ascent import Ascent
from jensen.variational.coordinate_ascent._factors import Factors, ascend_factors, checked


@dataclass(frozen=True)
class FactorAnalysis:
    """x ~ N(loadings z + mean, diag(noise)), q(z_n) = N(projection (x_n - mean), covariance), which
    is the posterior at these parameters.

    Attributes:
        mean, loadings, noise: mu [D], W [D, L] (up to a rotation of z), psi [D].
        projection, covariance: of q, [L, D] and [L, L].
        elbos: at the start and after every sweep, nats, of all data together. As q is exact there,
            they are the log-likelihood.
        outcome: converged or not, and why; its warnings name columns whose noise variance is at its
            floor.
    """

    mean: np.ndarray
    loadings: np.ndarray
    noise: np.ndarray
    projection: np.ndarray
    covariance: np.ndarray
    elbos: np.ndarray
    outcome: Ending
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
        """Draws `z` [S, N, L] with log p(x, z) at these parameters and log q(z): the weights are
        all the likelihood.
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
    """Maximum likelihood by EM: coordinate ascent on the ELBO in q(z), exact and normal, and in the
    parameters, which are points (Rubin & Thayer 1982; Neal & Hinton 1998). No posterior over the
    parameters is approximated.

    Args:
        x: [N, D].
        latent_dim: L, below D.
        least_noise: where a noise variance stops, as a share of its column's variance. Without it
            the likelihood can rise for ever as one goes to 0 (a Heywood case), and EM goes there as
            1 / sweeps. A column that stops there is named in the warnings.
        tolerance: nats that a sweep must win to go on. EM is slow where factors are weak: look at
            the outcome.

    Raises:
        ValueError: values that are not finite (by index), a constant column, too many latent
            dimensions, too few data, or an option out of its range.
        ArithmeticError: an update that lowered the ELBO, by name.

        fit_factor_analysis(x, 2, key=jax.random.key(0)).elbo / len(x)  # nats per datum
    """
    x = checked(x, latent_dim, shared_noise=False)
    floor = positive(least_noise, "least_noise") * x.var(axis=0)
    ascent = ascend_factors(
        x,
        latent_dim,
        lambda residuals: np.maximum(residuals, floor),
        "the noise",
        key=key,
        tolerance=tolerance,
        max_sweeps=max_sweeps,
    )
    return factors_found(x, ascent, np.flatnonzero(ascent.state.noise <= floor))


def factors_found(x: np.ndarray, ascent: Ascent[Factors], at_floor: np.ndarray) -> FactorAnalysis:
    """The record, with a warning that names the columns at the floor."""
    end, warnings = ascent.outcome, ()
    if len(at_floor):
        listed = ", ".join(map(str, at_floor[:5]))
        warnings = (
            f"The noise variance of column {listed} is at its floor (a Heywood case): fewer "
            "factors, or more data.",
        )
    outcome = Ending(end.status, end.message, end.sweeps, warnings)
    return FactorAnalysis(x.mean(axis=0), *ascent.state, ascent.elbos, outcome, x)
