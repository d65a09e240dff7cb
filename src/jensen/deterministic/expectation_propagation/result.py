"""The result of expectation propagation."""

from dataclasses import dataclass, field

import jax
import jax.random as jr
import numpy as np
from scipy.linalg import solve_triangular

from jensen._numerics import LOG_2PI
from jensen._types import Key
from jensen.deterministic._results import Convergence, WeightedDraws
from jensen.deterministic.expectation_propagation._approximation import Problem


@dataclass(frozen=True)
class EPResult:
    """q(w) = N(mean, covariance).

    Attributes:
        mean, covariance: [D], [D, D].
        log_evidence: the approximation to log p(y), nats: neither a lower nor an upper bound. It
            holds at a fixed point only, and is NaN where a cavity is not positive or a site has no
            moments (`outcome` says so).
        site_precisions, site_shifts: of t~_n(f) proportional to exp(shift f - precision f^2 / 2), f
            = a_n . w [N].
        improper: indices of the sites whose precision is negative. Such a site makes q less
            certain, as an outlier should, and by itself is no distribution.
        skipped: how many sweeps skipped each site, since its cavity was not positive or its tilted
            distribution had no moments [N].
        damping: the damping of the last sweep.
        change: the largest change of a site in the last sweep, undamped, in units of its marginal.
        outcome: converged or not, and why.
    """

    mean: np.ndarray
    covariance: np.ndarray
    log_evidence: float
    site_precisions: np.ndarray
    site_shifts: np.ndarray
    improper: np.ndarray
    skipped: np.ndarray
    damping: float
    change: float
    outcome: Convergence
    problem: Problem = field(repr=False)

    @property
    def sd(self) -> np.ndarray:
        """Standard deviations of w [D]."""
        return np.sqrt(np.diag(self.covariance))

    def weighted_draws(self, num_samples: int = 4000, *, key: Key) -> WeightedDraws:
        """Draws w ~ q [S, D] with log p(w, y), computed with the true sites, and log q(w), nats.

        They give log p(y) by importance sampling, with k-hat, and the ELBO of q.

        Raises:
            ValueError: `num_samples` below 1.

        result.weighted_draws(4000, key=jax.random.key(0)).evidence.pareto_k
        """
        if num_samples < 1:
            raise ValueError(f"num_samples must be at least 1; got {num_samples}.")
        with jax.enable_x64(True):
            noise = np.asarray(jr.normal(key, (num_samples, len(self.mean)), dtype=np.float64))
        problem, root = self.problem, np.linalg.cholesky(self.covariance)
        w = self.mean + noise @ root.T
        u = solve_triangular(problem.prior_root, (w - problem.prior_mean).T, lower=True).T
        log_p = (
            -0.5 * np.sum(u**2, axis=1)
            - np.sum(np.log(np.diag(problem.prior_root)))
            - 0.5 * len(self.mean) * LOG_2PI
        )
        f = problem.offset + u @ problem.forms.T  # every site's linear form at every draw [S, N]
        index = np.broadcast_to(np.arange(f.shape[1]), f.shape)
        log_p = log_p + problem.sites.log_density(f.ravel(), index.ravel()).reshape(f.shape).sum(
            axis=1
        )
        log_q = (
            -0.5 * np.sum(noise**2, axis=1)
            - np.sum(np.log(np.diag(root)))
            - 0.5 * len(self.mean) * LOG_2PI
        )
        return WeightedDraws({"w": w}, log_p, log_q)
