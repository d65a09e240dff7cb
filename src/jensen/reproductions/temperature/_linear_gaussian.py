"""The effect of a KL weight in closed form; docs/temperature.md derives it.

    F_beta(q) = E_q log p(x|z) - beta KL(q || p)

has its optimum at q_beta(z), proportional to p(z) p(x|z)^(1/beta). For p(z) = N(0, I) and
p(x|z) = N(W z + b, s2 I) this is the exact posterior under the noise variance beta s2. The exact
posterior under the prior variance 1/beta has the same mean and 1/beta of its covariance.
"""

import math
from dataclasses import dataclass

import numpy as np

LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Normals:
    """Normals with means [N, L] and one covariance [L, L]."""

    mean: np.ndarray
    covariance: np.ndarray


def linear_gaussian_posterior(
    weight: np.ndarray, centred: np.ndarray, *, noise: float, prior_variance: float = 1.0
) -> Normals:
    """Returns the exact posterior of z under p(z) = N(0, c I), p(x|z) = N(W z, s2 I).

    Its precision is W^T W / s2 + I / c.

    Args:
        weight: W, [D, L].
        centred: x - b, [N, D].
        noise: s2.
        prior_variance: c.

        linear_gaussian_posterior(np.ones((1, 1)), np.ones((1, 1)), noise=1.0).mean  # [[0.5]]
    """
    precision = weight.T @ weight / noise + np.eye(weight.shape[1]) / prior_variance
    return Normals(
        np.linalg.solve(precision, weight.T @ centred.T).T / noise, np.linalg.inv(precision)
    )


def tempered_posterior(
    weight: np.ndarray, centred: np.ndarray, *, noise: float, beta: float
) -> Normals:
    """Returns the q that maximises F_beta under p(z) = N(0, I): the posterior under noise beta s2.

    Its precision is W^T W / (beta s2) + I.

    one = np.ones((1, 1))
    tempered_posterior(one, one, noise=1.0, beta=3.0).covariance  # [[0.75]]
    """
    return linear_gaussian_posterior(weight, centred, noise=beta * noise)


def objective(
    q: Normals,
    weight: np.ndarray,
    centred: np.ndarray,
    *,
    noise: float,
    beta: float,
    prior_variance: float = 1.0,
) -> np.ndarray:
    """Returns F_beta(q) for each datum, nats [N].

    objective(tempered_posterior(w, x, noise=s2, beta=b), w, x, noise=s2, beta=b)
    """
    dimension, latent = weight.shape
    squares = np.sum((centred - q.mean @ weight.T) ** 2, axis=1) + np.trace(
        weight @ q.covariance @ weight.T
    )
    reconstruction = -0.5 * (squares / noise + dimension * (math.log(noise) + LOG_2PI))
    second = np.sum(q.mean**2, axis=1) + np.trace(q.covariance)
    kl = 0.5 * (
        second / prior_variance
        - latent
        + latent * math.log(prior_variance)
        - np.linalg.slogdet(q.covariance)[1]
    )
    return reconstruction - beta * kl


def greatest_objective(
    weight: np.ndarray, centred: np.ndarray, *, noise: float, beta: float
) -> np.ndarray:
    """Returns max_q F_beta(q) = beta log of the integral of p(z) p(x|z)^(1/beta), nats [N].

    greatest_objective(w, x, noise=s2, beta=1.0)  # log p(x)
    """
    dimension = len(weight)
    covariance = weight @ weight.T + beta * noise * np.eye(dimension)
    quadratic = np.sum(centred * np.linalg.solve(covariance, centred.T).T, axis=1)
    log_density = -0.5 * (quadratic + np.linalg.slogdet(covariance)[1] + dimension * LOG_2PI)
    # p(x|z)^(1/beta) is a normal density of variance beta s2 times this.
    log_factor = (
        0.5
        * dimension
        * (math.log(2 * math.pi * beta * noise) - math.log(2 * math.pi * noise) / beta)
    )
    return beta * (log_density + log_factor)


def best_prior_variance(means: np.ndarray, scales: np.ndarray) -> float:
    """Returns the variance c of N(0, c I) that maximises the ELBO with all else frozen.

    It is the mean of m^2 + s^2 over data and dimensions, for posteriors N(m, s^2).

    best_prior_variance(np.zeros((3, 2)), np.ones((3, 2)))  # 1.0
    """
    return float(np.mean(np.square(means) + np.square(scales)))


def gain_of_prior_variance(means: np.ndarray, scales: np.ndarray, variance: float) -> float:
    """Returns the gain in ELBO, nats per datum, when N(0, I) becomes N(0, variance I).

    gain_of_prior_variance(means, scales, 1.0)  # 0.0
    """
    second = best_prior_variance(means, scales)
    return 0.5 * means.shape[1] * (second - second / variance - math.log(variance))


def mean_entropy(scales: np.ndarray) -> float:
    """Returns the mean entropy of diagonal normals with these scales [N, L], nats.

    mean_entropy(np.ones((1, 1)))  # 1.4189
    """
    return float(np.mean(np.sum(np.log(scales) + 0.5 * (1 + LOG_2PI), axis=1)))


def linear_example(betas: tuple[float, ...], *, seed: int = 0) -> list[dict[str, float]]:
    """Compares the optimum at each beta with the posterior under the prior variance 1/beta.

    The model is exactly solvable: 8 observed and 2 latent dimensions, noise variance .5.

    Returns:
        For each beta the mean posterior variance of both, their ratio, the largest difference of
        their means, and `lost`: F_beta of the second below that of the first, nats.

        linear_example((4.0,))[0]["variance_ratio"]  # 4.0
    """
    rng = np.random.default_rng(seed)
    weight, noise = rng.normal(size=(8, 2)), 0.5
    x = rng.normal(size=(50, 2)) @ weight.T + math.sqrt(noise) * rng.normal(size=(50, 8))
    results = []
    for beta in betas:
        tempered = tempered_posterior(weight, x, noise=noise, beta=beta)
        narrowed = linear_gaussian_posterior(weight, x, noise=noise, prior_variance=1 / beta)
        variances = [float(np.trace(q.covariance)) / 2 for q in (tempered, narrowed)]
        shortfall = greatest_objective(weight, x, noise=noise, beta=beta) - objective(
            narrowed, weight, x, noise=noise, beta=beta
        )
        results.append(
            {
                "beta": beta,
                "variance_at_beta": variances[0],
                "variance_under_prior": variances[1],
                "variance_ratio": variances[0] / variances[1],
                "mean_difference": float(np.abs(tempered.mean - narrowed.mean).max()),
                "lost": float(np.mean(shortfall)),
            }
        )
    return results
