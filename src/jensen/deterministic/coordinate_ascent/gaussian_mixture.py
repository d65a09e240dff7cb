"""A Gaussian mixture with unknown means: the example of Blei, Kucukelbir & McAuliffe (2017, section
3).
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import jax.random as jr
import numpy as np
from scipy.special import logsumexp, xlogy

from jensen._numerics import LOG_2PI
from jensen._types import Key
from jensen.deterministic._checks import finite, positive
from jensen.deterministic._results import Convergence, WeightedDraws
from jensen.deterministic.coordinate_ascent._ascent import Ascent, ascend


class _State(NamedTuple):
    mean: np.ndarray  # [K, D]
    variance: np.ndarray  # [K]
    shares: np.ndarray  # [N, K]


@dataclass(frozen=True)
class GaussianMixture:
    """q(mu, c) = prod_k N(mu_k; mean_k, variance_k I) prod_n Categorical(c_n; shares_n).

    Attributes:
        mean, variance, shares: [K, D], [K], [N, K].
        elbos: at the start and after every sweep, nats.
        starts: the final ELBO of each start, nats; this result is the best of them.
        outcome: whether it converged, and if not why.
    """

    mean: np.ndarray
    variance: np.ndarray
    shares: np.ndarray
    elbos: np.ndarray
    starts: np.ndarray
    outcome: Convergence
    x: np.ndarray = field(repr=False)
    prior_variance: float
    noise_variance: float

    @property
    def elbo(self) -> float:
        """The last ELBO, nats."""
        return float(self.elbos[-1])

    def weighted_draws(
        self, num_samples: int = 4000, *, key: Key, collapsed: bool = False
    ) -> WeightedDraws:
        """Draws `mean` [S, K, D] and `assignment` [S, N] from q, with log p and log q, nats [S].

        With `collapsed` it draws the means alone, and log p(x, mu) is summed over all assignments:
        these weights vary less. q covers one of the K! orders of the components and no draw falls
        into another, so the evidence is about log K! too low, which k-hat cannot show.
        """
        (_, k, d), n = (num_samples, *self.mean.shape), len(self.x)
        key_mean, key_class = jr.split(key)
        with jax.enable_x64(True):
            noise = np.asarray(jr.normal(key_mean, (num_samples, k, d), dtype=np.float64))
            uniform = np.asarray(jr.uniform(key_class, (num_samples, n), dtype=np.float64))
        mu = self.mean + np.sqrt(self.variance)[:, None] * noise
        log_p = -0.5 * np.sum(
            mu**2 / self.prior_variance + np.log(self.prior_variance) + LOG_2PI, axis=(1, 2)
        )
        log_q = -0.5 * np.sum(noise**2 + np.log(self.variance)[:, None] + LOG_2PI, axis=(1, 2))
        upper = np.cumsum(self.shares, axis=1)
        # The inverse of the cumulative distribution; the minimum guards against a last sum below 1.
        c = np.minimum(sum(uniform * upper[:, -1] >= upper[:, j] for j in range(k)), k - 1)
        for s in range(num_samples):  # one draw at a time: [S, N, K] would not fit into memory
            square = np.sum(np.square(self.x[:, None] - mu[s]), axis=-1)  # [N, K]
            log_x = -0.5 * (
                square / self.noise_variance + d * (np.log(self.noise_variance) + LOG_2PI)
            ) - np.log(k)
            log_p[s] += (
                np.sum(logsumexp(log_x, axis=-1))
                if collapsed
                else np.sum(log_x[np.arange(n), c[s]])
            )
        if collapsed:
            return WeightedDraws({"mean": mu}, log_p, log_q)
        return WeightedDraws(
            {"mean": mu, "assignment": c},
            log_p,
            log_q + np.sum(np.log(self.shares[np.arange(n), c]), axis=1),
        )


def fit_gaussian_mixture(
    x: np.ndarray,
    num_components: int,
    *,
    key: Key,
    prior_variance: float = 10.0,
    noise_variance: float = 1.0,
    num_starts: int = 10,
    tolerance: float = 1e-10,
    max_sweeps: int = 1000,
) -> GaussianMixture:
    """Fits a mean-field q by coordinate ascent for mu_k ~ N(0, prior_variance I), c_n uniform over
    K, x_n ~ N(mu_{c_n}, noise_variance I) (Blei et al. 2017, algorithm 2).

    The ELBO has many local optima: the fit starts `num_starts` times, with means at random data,
    and returns the best.

    Args:
        x: [N] or [N, D].
        num_components: K.
        tolerance: nats; the fit stops when a sweep raises the ELBO by less.

    Raises:
        ValueError: values that are not finite (by index), fewer data than components, or an option
            out of its range.
        ArithmeticError: an update lowered the ELBO; the message names it.

        x = np.array([-2.0, 2.0, 2.5])
        fit_gaussian_mixture(x, 2, key=jax.random.key(0), prior_variance=9.0).elbo  # nats
    """
    x = finite(x, "x")
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or not 1 <= num_components <= len(x):
        raise ValueError(
            "x must be [N] or [N, D] with at least as many data as components; got "
            f"{list(x.shape)} and {num_components} components."
        )
    if num_starts < 1:
        raise ValueError(f"num_starts must be at least 1; got {num_starts}.")
    prior, noise = (
        positive(prior_variance, "prior_variance"),
        positive(noise_variance, "noise_variance"),
    )
    dimension = x.shape[1]

    def update_assignments(state: _State) -> _State:
        square = np.sum(np.square(x[:, None] - state.mean), axis=-1) + dimension * state.variance
        logits = -0.5 * square / noise
        return state._replace(shares=np.exp(logits - logsumexp(logits, axis=1, keepdims=True)))

    def update_means(state: _State) -> _State:
        variance = 1 / (1 / prior + state.shares.sum(axis=0) / noise)
        return state._replace(
            mean=variance[:, None] * (state.shares.T @ x) / noise, variance=variance
        )

    def elbo(state: _State) -> float:
        square = np.sum(np.square(x[:, None] - state.mean), axis=-1) + dimension * state.variance
        likelihood = -0.5 * np.sum(
            state.shares * (square / noise + dimension * (np.log(noise) + LOG_2PI))
        )
        classes = -len(x) * np.log(num_components) - np.sum(xlogy(state.shares, state.shares))
        expected = (np.sum(state.mean**2, axis=1) + dimension * state.variance) / prior
        kl = 0.5 * np.sum(expected - dimension * (1 + np.log(state.variance / prior)))
        return float(likelihood + classes - kl)

    ascents: list[Ascent[_State]] = []
    for key_start in jr.split(key, num_starts):
        rows = np.asarray(jr.choice(key_start, len(x), (num_components,), replace=False))
        start = update_assignments(
            _State(x[rows], np.full(num_components, 1 / (1 / prior + 1 / noise)), np.empty(0))
        )
        ascents.append(
            ascend(
                start,
                {"the means": update_means, "the assignments": update_assignments},
                elbo,
                tolerance=tolerance,
                max_sweeps=max_sweeps,
            )
        )
    final_elbos = np.array([ascent.elbos[-1] for ascent in ascents])
    best = ascents[int(np.argmax(final_elbos))]
    return GaussianMixture(*best.state, best.elbos, final_elbos, best.outcome, x, prior, noise)
