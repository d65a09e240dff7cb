"""Linear regression with unknown noise variance under a normal-gamma prior.

q takes the coefficients and the noise to be independent.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.random as jr
import numpy as np
from scipy.linalg import cho_solve
from scipy.special import digamma, gammaln

from jensen._numerics import LOG_2PI
from jensen._types import Key
from jensen.deterministic._checks import positive
from jensen.deterministic._results import Convergence, WeightedDraws
from jensen.deterministic.coordinate_ascent._ascent import ascend
from jensen.deterministic.coordinate_ascent.linear_regression import Regression, regression


class _State(NamedTuple):
    mean: np.ndarray
    covariance: np.ndarray
    shape: float
    rate: float


@dataclass(frozen=True)
class NormalGammaRegression:
    """q(w, tau) = N(w; mean, covariance) Gamma(tau; shape, rate), tau the precision of the noise.

    Attributes:
        mean, covariance, shape, rate: of q.
        elbos: at the start and after every sweep, nats.
        log_evidence: log p(y), exact, nats.
        outcome: whether it converged, and if not why.
    """

    mean: np.ndarray
    covariance: np.ndarray
    shape: float
    rate: float
    elbos: np.ndarray
    log_evidence: float
    outcome: Convergence
    prior_shape: float
    prior_rate: float
    problem: Regression = field(repr=False)

    @property
    def elbo(self) -> float:
        """The last ELBO, nats."""
        return float(self.elbos[-1])

    def weighted_draws(self, num_samples: int = 4000, *, key: Key) -> WeightedDraws:
        """Draws `w` [S, D] and `precision` [S] from q, with log p(y, w, tau) and log q, nats."""
        key_w, key_tau = jr.split(key)
        size = len(self.mean)
        with jax.enable_x64(True):
            noise = np.asarray(jr.normal(key_w, (num_samples, size), dtype=np.float64))
            tau = (
                np.asarray(jr.gamma(key_tau, self.shape, (num_samples,), dtype=np.float64))
                / self.rate
            )
        root = np.linalg.cholesky(self.covariance)
        w = self.mean + noise @ root.T
        residual, u = (
            self.problem.y - w @ self.problem.x.T,
            np.linalg.solve(self.problem.prior_root, (w - self.problem.prior_mean).T),
        )
        log_y = 0.5 * len(self.problem.y) * (np.log(tau) - LOG_2PI) - 0.5 * tau * np.sum(
            residual**2, axis=1
        )
        log_w = (
            0.5 * size * (np.log(tau) - LOG_2PI)
            - np.sum(np.log(np.diag(self.problem.prior_root)))
            - 0.5 * tau * np.sum(u**2, axis=0)
        )
        log_q = (
            -0.5 * np.sum(noise**2, axis=1)
            - np.sum(np.log(np.diag(root)))
            - 0.5 * size * LOG_2PI
            + _log_gamma(tau, self.shape, self.rate)
        )
        return WeightedDraws(
            {"w": w, "precision": tau},
            log_y + log_w + _log_gamma(tau, self.prior_shape, self.prior_rate),
            log_q,
        )


def fit_normal_gamma_regression(
    x: np.ndarray,
    y: np.ndarray,
    prior_mean: np.ndarray,
    prior_covariance: np.ndarray,
    *,
    prior_shape: float = 1.0,
    prior_rate: float = 1.0,
    tolerance: float = 1e-10,
    max_sweeps: int = 1000,
) -> NormalGammaRegression:
    """Fits q(w) q(tau) by coordinate ascent for tau ~ Gamma(prior_shape, prior_rate),
    w ~ N(m0, V0 / tau), y ~ N(x w, I / tau) (the conjugate prior of Bishop 2006, exercise 3.12).

    In the posterior w and tau depend on each other, so a gap between evidence and ELBO remains.
    `log_evidence` is exact (Bishop 2006, exercise 3.23).

    Args:
        x, y: [N, D] and [N]; write an intercept as a column of ones.
        prior_mean, prior_covariance: m0 [D] and V0 [D, D], the latter in units of the noise
            variance.
        tolerance: nats; the fit stops when a sweep raises the ELBO by less.

    Raises:
        ValueError: as `fit_linear_regression`.
        ArithmeticError: an update lowered the ELBO; the message names it.

        fit_normal_gamma_regression(x, y, np.zeros(2), np.eye(2)).elbo
    """
    problem = regression(x, y, prior_mean, prior_covariance)
    shape, rate = positive(prior_shape, "prior_shape"), positive(prior_rate, "prior_rate")
    x, y, size = problem.x, problem.y, len(problem.prior_mean)
    precision = problem.prior_precision + x.T @ x  # of w, in units of tau
    root = np.linalg.cholesky(precision)
    mean, inverse = (
        cho_solve((root, True), problem.prior_precision @ problem.prior_mean + x.T @ y),
        cho_solve((root, True), np.eye(size)),
    )

    def quadratic(w: np.ndarray, covariance: np.ndarray) -> float:
        """E[|y - x w|^2 + (w - m0)' V0^-1 (w - m0)]."""
        residual, difference = y - x @ w, w - problem.prior_mean
        return float(
            residual @ residual
            + difference @ problem.prior_precision @ difference
            + np.sum(precision * covariance)
        )

    def update_coefficients(state: _State) -> _State:
        return state._replace(mean=mean, covariance=inverse * state.rate / state.shape)

    def update_noise(state: _State) -> _State:
        return state._replace(
            shape=shape + 0.5 * (len(y) + size),
            rate=rate + 0.5 * quadratic(state.mean, state.covariance),
        )

    log_prior_root = np.sum(np.log(np.diag(problem.prior_root)))

    def elbo(state: _State) -> float:
        expected, expected_log = state.shape / state.rate, digamma(state.shape) - np.log(state.rate)
        joint = (
            0.5 * (len(y) + size) * (expected_log - LOG_2PI)
            - log_prior_root
            - 0.5 * expected * quadratic(state.mean, state.covariance)
        )
        prior = shape * np.log(rate) - gammaln(shape) + (shape - 1) * expected_log - rate * expected
        entropy = 0.5 * np.linalg.slogdet(state.covariance)[1] + 0.5 * size * (1 + LOG_2PI)
        entropy += (
            state.shape
            - np.log(state.rate)
            + gammaln(state.shape)
            + (1 - state.shape) * digamma(state.shape)
        )
        return float(joint + prior + entropy)

    # q starts at the prior, with w independent of tau.
    start = _State(problem.prior_mean, problem.prior_covariance * rate / shape, shape, rate)
    ascent = ascend(
        start,
        {"the coefficients": update_coefficients, "the noise": update_noise},
        elbo,
        tolerance=tolerance,
        max_sweeps=max_sweeps,
    )
    posterior_shape, posterior_rate = (
        shape + 0.5 * len(y),
        rate + 0.5 * quadratic(mean, np.zeros((size, size))),
    )
    # log p(y): the ratio of the normalisers of posterior and prior.
    log_evidence = (
        shape * np.log(rate)
        - posterior_shape * np.log(posterior_rate)
        + gammaln(posterior_shape)
        - gammaln(shape)
        - 0.5 * len(y) * LOG_2PI
    )
    log_evidence -= log_prior_root + np.sum(np.log(np.diag(root)))
    return NormalGammaRegression(
        *ascent.state, ascent.elbos, float(log_evidence), ascent.outcome, shape, rate, problem
    )


def _log_gamma(tau: np.ndarray, shape: float, rate: float) -> np.ndarray:
    return shape * np.log(rate) - gammaln(shape) + (shape - 1) * np.log(tau) - rate * tau
