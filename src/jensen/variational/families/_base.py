"""The abstract family, and what families share."""

import abc
import math
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from jensen._types import Array, Distribution, Float

if TYPE_CHECKING:
    # Type checkers know no abstract class variable; Equinox's own way to tell them.
    from typing import ClassVar as AbstractClassVar
else:
    from equinox import AbstractClassVar


class Start(NamedTuple):
    """The normal at the start of a fit, N(loc, L L^T), with L = scale_tril.

    It also sets the units of a family's parameters, so that these are of order one and nearly
    independent whatever the target's scales: it is the preconditioner of every fit.
    """

    loc: Float[Array, " dim"]
    scale_tril: Float[Array, "dim dim"]

    def conditional_scale(self) -> Float[Array, " dim"]:
        """Computes the optimal mean-field scales for this normal, [D].

        1 / sqrt of the precision's diagonal (Bishop 2006, section 10.1.2).
        """
        inverse = np.linalg.inv(np.asarray(self.scale_tril))
        return jnp.asarray(1 / np.sqrt(np.sum(np.square(inverse), axis=0)))


class Spread(NamedTuple):
    """q as points [T, D] with weights [T] (`shares`) that sum to 1, and its entropy in nats, in
    closed form or estimated at these points.
    """

    points: Float[Array, "points dim"]
    shares: Float[Array, " points"]
    entropy: Float[Array, ""]


class AbstractFamily(eqx.Module):
    """A family of distributions of u [D], with its present parameters; built from `start`, a
    `Start`.

    Attributes:
        reparameterised: whether its draws have derivatives, which gradient estimators may use.
        network: whether its parameters are the weights of a network, which are not in the units of
            the start. A stochastic fit then uses a tenth of the learning rate, since many weights
            move a draw at once, and judges convergence by draws, since weights drift along
            directions in which q does not change.
        richness: where a fit with another family is not trusted, families above 0 are suggested in
            this order.
        richest: whether no other family is suggested where a fit with this one is not trusted.
    """

    reparameterised: AbstractClassVar[bool]
    network: ClassVar[bool] = False
    richness: ClassVar[int] = 0
    richest: ClassVar[bool] = False

    @abc.abstractmethod
    def __call__(self) -> Distribution:
        """Returns q(u), with `sample` and `log_prob` (nats)."""

    @abc.abstractmethod
    def spread(self, noise: Float[Array, "draws noise"]) -> Spread:
        """Computes q as points, from fixed noise [S, noise_size] and the parameters."""

    @property
    @abc.abstractmethod
    def noise_size(self) -> int:
        """The number of noise values for one draw."""

    @abc.abstractmethod
    def noise(self, uniforms: np.ndarray) -> np.ndarray:
        """Transforms uniform numbers in (0, 1) [S, noise_size] to noise of that shape."""


def matched_normal(uniforms: np.ndarray) -> np.ndarray:
    """Transforms uniforms [S, B] to standard normal draws [S, B] with matched moments.

    Their mean is exactly 0, and their covariance exactly I where S > 2 B (otherwise their variances
    are 1). They come in pairs e and -e, so that all odd moments vanish. For a normal target the
    mean log-density over them is exact.

    matched_normal(rng.uniform(size=(64, 3))).mean(0)  # [0, 0, 0]
    """
    half = norm.ppf(uniforms[: len(uniforms) // 2])
    half = half / np.sqrt(np.mean(half**2, axis=0))
    if len(half) > 2 * half.shape[1]:
        half = np.linalg.solve(np.linalg.cholesky(half.T @ half / len(half)), half.T).T
    return np.concatenate([half, -half])


def equal_shares(count: int) -> Array:
    """Equal weights 1 / count [count]."""
    return jnp.full(count, 1 / count)


def normal_entropy(dim: int) -> float:
    """The entropy of a standard normal, D/2 log(2 pi e), nats."""
    return 0.5 * dim * (1 + math.log(2 * math.pi))


def triangular(
    log_diagonal: Float[Array, " dim"], below: Float[Array, "dim dim"]
) -> Float[Array, "dim dim"]:
    """diag(exp(log_diagonal)) and the part of `below` under the diagonal."""
    return jnp.tril(below, -1) + jnp.diag(jnp.exp(log_diagonal))


def log_diagonal_sum(scale_tril: Float[Array, "dim dim"]) -> Float[Array, ""]:
    """log |det L|, nats."""
    return jnp.sum(jnp.log(jnp.diagonal(scale_tril)))


def moved(start: Start, shift: Float[Array, " dim"]) -> Float[Array, " dim"]:
    """Maps from the units of the start: loc + L shift."""
    return start.loc + start.scale_tril @ shift
