"""Linear regression with a normal prior and known noise variance.

The model is conjugate: the posterior, the evidence, and the gap of a mean-field q are exact.
"""

from dataclasses import dataclass, field

import jax
import jax.random as jr
import numpy as np
from scipy.linalg import cho_solve

from jensen._numerics import LOG_2PI
from jensen._types import Key
from jensen.deterministic._checks import cholesky_of, finite, positive
from jensen.deterministic._results import Convergence, WeightedDraws
from jensen.deterministic.coordinate_ascent._ascent import ascend


@dataclass(frozen=True)
class Regression:
    """y [N] and design x [N, D] with the prior of w: the data of both regressions."""

    x: np.ndarray
    y: np.ndarray
    prior_mean: np.ndarray
    prior_covariance: np.ndarray
    prior_root: np.ndarray
    prior_precision: np.ndarray

    def log_prior(self, w: np.ndarray) -> np.ndarray:
        """Computes log N(w; m0, V0), nats [S], at w [S, D]."""
        u = np.linalg.solve(self.prior_root, (w - self.prior_mean).T)
        return (
            -0.5 * np.sum(u**2, axis=0)
            - np.sum(np.log(np.diag(self.prior_root)))
            - 0.5 * w.shape[1] * LOG_2PI
        )


@dataclass(frozen=True)
class LinearRegression:
    """q(w) = N(mean, covariance).

    Attributes:
        mean, covariance: [D], [D, D]; diagonal where q is factorised.
        elbos: at the start and after every sweep, nats.
        log_evidence: log p(y), exact, nats: its difference to the ELBO is KL(q || posterior).
        outcome: whether it converged, and if not why.
    """

    mean: np.ndarray
    covariance: np.ndarray
    elbos: np.ndarray
    log_evidence: float
    outcome: Convergence
    noise_variance: float
    problem: Regression = field(repr=False)

    @property
    def elbo(self) -> float:
        """The last ELBO, nats."""
        return float(self.elbos[-1])

    def weighted_draws(self, num_samples: int = 4000, *, key: Key) -> WeightedDraws:
        """Draws `w` [S, D] from q, with log p(y, w) and log q(w), nats [S].

        Where q is the posterior, every weight is p(y).
        """
        with jax.enable_x64(True):
            noise = np.asarray(jr.normal(key, (num_samples, len(self.mean)), dtype=np.float64))
        root = np.linalg.cholesky(self.covariance)
        w = self.mean + noise @ root.T
        residual = self.problem.y - w @ self.problem.x.T
        log_y = -0.5 * np.sum(
            residual**2 / self.noise_variance + np.log(self.noise_variance) + LOG_2PI, axis=1
        )
        log_q = (
            -0.5 * np.sum(noise**2, axis=1)
            - np.sum(np.log(np.diag(root)))
            - 0.5 * len(self.mean) * LOG_2PI
        )
        return WeightedDraws({"w": w}, log_y + self.problem.log_prior(w), log_q)


def fit_linear_regression(
    x: np.ndarray,
    y: np.ndarray,
    prior_mean: np.ndarray,
    prior_covariance: np.ndarray,
    *,
    noise_variance: float = 1.0,
    factorised: bool = False,
    tolerance: float = 1e-10,
    max_sweeps: int = 10_000,
) -> LinearRegression:
    """Fits q(w) by coordinate ascent for w ~ N(m0, V0), y ~ N(x w, noise_variance I).

    With one factor, q(w), the first update is the exact posterior. With `factorised`, q(w) = prod_j
    q(w_j), with one update for each coefficient. It converges to the posterior's means, to the
    variances 1 / L_jj, with L the posterior's precision, and to a gap between evidence and ELBO of
    (sum log L_jj - log|L|) / 2 nats.

    Args:
        x, y: [N, D] and [N]; write an intercept as a column of ones.
        prior_mean, prior_covariance: [D], [D, D].
        tolerance: nats; the fit stops when a sweep raises the ELBO by less.

    Raises:
        ValueError: shapes that disagree, values that are not finite (by index), a prior covariance
            that is not positive definite, or an option out of its range.
        ArithmeticError: an update lowered the ELBO; the message names it.

        result = fit_linear_regression(x, y, np.zeros(2), np.eye(2))
        result.log_evidence, result.elbo  # nats
    """
    problem = regression(x, y, prior_mean, prior_covariance)
    noise = positive(noise_variance, "noise_variance")
    x, y, size = problem.x, problem.y, len(problem.prior_mean)
    precision = problem.prior_precision + x.T @ x / noise
    shift = problem.prior_precision @ problem.prior_mean + x.T @ y / noise
    posterior_root = np.linalg.cholesky(precision)
    posterior = (
        cho_solve((posterior_root, True), shift),
        cho_solve((posterior_root, True), np.eye(size)),
    )

    def elbo(q: tuple[np.ndarray, np.ndarray]) -> float:
        mean, covariance = q
        difference, residual = mean - problem.prior_mean, y - x @ mean
        likelihood = -0.5 * (
            residual @ residual + np.sum((x @ covariance) * x)
        ) / noise - 0.5 * len(y) * (np.log(noise) + LOG_2PI)
        quadratic = difference @ problem.prior_precision @ difference + np.sum(
            problem.prior_precision * covariance
        )
        log_ratio = np.linalg.slogdet(covariance)[1] - 2 * np.sum(
            np.log(np.diag(problem.prior_root))
        )
        return float(likelihood - 0.5 * (quadratic - size - log_ratio))

    def coefficient(j: int):
        def update(q: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
            mean, covariance = q[0].copy(), q[1].copy()
            mean[j] += (shift[j] - precision[j] @ mean) / precision[j, j]
            covariance[j, j] = 1 / precision[j, j]
            return mean, covariance

        return update

    updates = (
        {f"coefficient {j}": coefficient(j) for j in range(size)}
        if factorised
        else {"the coefficients": lambda q: posterior}
    )
    # The prior, factorised where q is.
    start = (
        problem.prior_mean,
        np.diag(np.diag(problem.prior_covariance)) if factorised else problem.prior_covariance,
    )
    ascent = ascend(start, updates, elbo, tolerance=tolerance, max_sweeps=max_sweeps)
    # At the posterior the ELBO is the evidence.
    return LinearRegression(
        *ascent.state, ascent.elbos, elbo(posterior), ascent.outcome, noise, problem
    )


def regression(x: object, y: object, prior_mean: object, prior_covariance: object) -> Regression:
    """Checks the arguments and converts them to float64.

    Raises:
        ValueError: as `fit_linear_regression`.
    """
    x, y, prior_mean = finite(x, "x"), finite(y, "y"), finite(prior_mean, "prior_mean")
    if x.ndim != 2 or y.shape != x.shape[:1] or prior_mean.shape != x.shape[1:]:
        raise ValueError(
            f"x must be [N, D], y [N] and prior_mean [D]; got {list(x.shape)}, {list(y.shape)} and "
            f"{list(prior_mean.shape)}."
        )
    covariance, root = cholesky_of(prior_covariance, "prior_covariance", len(prior_mean))
    return Regression(
        x, y, prior_mean, covariance, root, cho_solve((root, True), np.eye(len(root)))
    )
