"""A model whose every term is known in closed form: p(z) = N(0, I), p(x|z) = N(W z + b, s2 I).

The posterior is N(M^-1 W^T (x - b), s2 M^-1) with M = W^T W + s2 I (Tipping & Bishop 1999). The encoder is its projection to a diagonal by KL(q || posterior):
the same mean, variance s2 / M_ii. It is the posterior itself when W has orthogonal columns; `shift` and `stretch` make it a worse one.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from jensen._types import Array, Distribution
from jensen.decoders import AbstractDecoder
from jensen.distributions import diagonal_normal
from jensen.encoders import AbstractEncoder
from jensen.model import Model
from jensen.priors import StandardNormal

LOG_2PI = np.log(2 * np.pi)


class LinearDecoder(AbstractDecoder):
    weight: Array
    bias: Array
    log_scale: Array

    def __call__(self, z: Array) -> Distribution:
        return diagonal_normal(
            self.weight @ z + self.bias, jnp.exp(self.log_scale) * jnp.ones(len(self.bias))
        )


class LinearEncoder(AbstractEncoder):
    weight: Array
    bias: Array
    log_scale: Array

    def __call__(self, x: Array) -> Distribution:
        return diagonal_normal(self.weight @ x + self.bias, jnp.exp(self.log_scale))


@dataclass(frozen=True)
class LinearGaussian:
    w: np.ndarray  # [D, L]
    b: np.ndarray  # [D]
    s2: float
    shift: float = 0.0  # of the encoder's means
    stretch: float = 1.0  # of the encoder's scales

    @property
    def m(self) -> np.ndarray:
        return self.w.T @ self.w + self.s2 * np.eye(self.w.shape[1])

    @property
    def model(self) -> Model:
        encoder = np.linalg.solve(self.m, self.w.T)
        scale = self.stretch * np.sqrt(self.s2 / np.diag(self.m))
        return Model(
            StandardNormal(self.w.shape[1]),
            LinearEncoder(
                jnp.asarray(encoder),
                jnp.asarray(self.shift - encoder @ self.b),
                jnp.log(jnp.asarray(scale)),
            ),
            LinearDecoder(
                jnp.asarray(self.w), jnp.asarray(self.b), jnp.asarray(0.5 * np.log(self.s2))
            ),
        )

    def data(self, rows: int, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        dimension, latent = self.w.shape
        return (
            rng.normal(size=(rows, latent)) @ self.w.T
            + self.b
            + np.sqrt(self.s2) * rng.normal(size=(rows, dimension))
        )

    def posterior(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(means [N, L], covariance [L, L])."""
        return np.linalg.solve(self.m, self.w.T @ (x - self.b).T).T, self.s2 * np.linalg.inv(self.m)

    def q(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(loc, scale), each [N, L]: the encoder's posteriors; the aggregated posterior is their equal mixture."""
        loc = self.posterior(x)[0] + self.shift
        return loc, np.broadcast_to(self.stretch * np.sqrt(self.s2 / np.diag(self.m)), loc.shape)

    def log_evidence(self, x: np.ndarray) -> np.ndarray:
        covariance = self.w @ self.w.T + self.s2 * np.eye(len(self.b))
        centred = x - self.b
        quadratic = np.sum(centred * np.linalg.solve(covariance, centred.T).T, axis=1)
        return -0.5 * (quadratic + np.linalg.slogdet(covariance)[1] + len(self.b) * LOG_2PI)

    def reconstruction(self, x: np.ndarray) -> np.ndarray:
        """E_q log p(x|z)."""
        loc, scale = self.q(x)
        squares = np.sum((x - self.b - loc @ self.w.T) ** 2, axis=1) + scale**2 @ np.sum(
            self.w**2, axis=0
        )
        return -0.5 * (squares / self.s2 + len(self.b) * (np.log(self.s2) + LOG_2PI))

    def average_kl(self, x: np.ndarray) -> np.ndarray:
        """KL(q || N(0, I))."""
        loc, scale = self.q(x)
        return 0.5 * np.sum(loc**2 + scale**2 - 1 - 2 * np.log(scale), axis=1)

    def elbo(self, x: np.ndarray) -> np.ndarray:
        return self.reconstruction(x) - self.average_kl(x)

    def gap(self, x: np.ndarray) -> np.ndarray:
        """KL(q || posterior)."""
        (loc, scale), (mean, covariance) = self.q(x), self.posterior(x)
        precision, difference = np.linalg.inv(covariance), loc - mean
        terms = (
            scale**2 @ np.diag(precision)
            + np.sum(difference @ precision * difference, axis=1)
            - loc.shape[1]
        )
        return 0.5 * (terms + np.linalg.slogdet(covariance)[1] - 2 * np.sum(np.log(scale), axis=1))


def make(
    *,
    dimension: int = 5,
    latent: int = 2,
    s2: float = 0.4,
    orthogonal: bool = False,
    shift: float = 0.0,
    stretch: float = 1.0,
) -> LinearGaussian:
    rng = np.random.default_rng(7)
    w = rng.normal(size=(dimension, latent))
    if orthogonal:
        w = np.linalg.qr(w)[0] * np.linspace(0.7, 1.9, latent)
    return LinearGaussian(w, rng.normal(size=dimension), s2, shift, stretch)
