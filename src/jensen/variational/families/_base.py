"""What a family is."""

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
    """The normal that a fit starts from, N(loc, L L^T), L = scale_tril.

    It also gives the units that a family's parameters are in, so that they are numbers of order one
    and near to independent whatever the target's scales: the preconditioner of every fit.
    """

    loc: Float[Array, " dim"]
    scale_tril: Float[Array, "dim dim"]

    def conditional_scale(self) -> Float[Array, " dim"]:
        """1 / sqrt of the precision's diagonal: the best mean-field scales for this normal.

        (Bishop 2006, section 10.1.2.)
        """
        inverse = np.linalg.inv(np.asarray(self.scale_tril))
        return jnp.asarray(1 / np.sqrt(np.sum(np.square(inverse), axis=0)))


class Spread(NamedTuple):
    """Points [T, D] with their shares [T], which sum to 1, and the entropy of q in nats.

    The entropy is in closed form, or estimated at these points where there is none.
    """

    points: Float[Array, "points dim"]
    shares: Float[Array, " points"]
    entropy: Float[Array, ""]


class AbstractFamily(eqx.Module):
    """A family of distributions of u [D], with its present parameters.

    Constructed from context by name: `start`, a `Start`.

    Attributes:
        reparameterised: whether derivatives pass its draws, so that gradient estimators may use
            them.
        network: whether its parameters are the weights of a network and not in the units of the
            start. A stochastic fit then takes a tenth of the steps, since many weights move a draw
            at once, and judges its convergence by draws: weights have directions in which q does
            not change, and wander along them.
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
        """q(u): sample and log_prob."""

    @abc.abstractmethod
    def spread(self, noise: Float[Array, "draws noise"]) -> Spread:
        """q as points, functions of fixed noise [S, noise_size] and of the parameters."""

    @property
    @abc.abstractmethod
    def noise_size(self) -> int:
        """How many numbers of noise a draw takes."""

    @abc.abstractmethod
    def noise(self, uniforms: np.ndarray) -> np.ndarray:
        """Noise [S, noise_size] of uniform numbers in (0, 1) of that shape."""


def matched_normal(uniforms: np.ndarray) -> np.ndarray:
    """Make standard normal draws [S, B] of uniforms [S, B].

    They have mean zero exactly, and with unit covariance exactly where S > 2 B (else unit
    variances): draws in pairs e and -e, so that all odd moments vanish. Of a normal target the mean
    log-density over them is then exact.

    matched_normal(rng.uniform(size=(64, 3))).mean(0)  # [0, 0, 0]
    """
    half = norm.ppf(uniforms[: len(uniforms) // 2])
    half = half / np.sqrt(np.mean(half**2, axis=0))
    if len(half) > 2 * half.shape[1]:
        half = np.linalg.solve(np.linalg.cholesky(half.T @ half / len(half)), half.T).T
    return np.concatenate([half, -half])


def equal_shares(count: int) -> Array:
    """[count] shares of 1 / count."""
    return jnp.full(count, 1 / count)


def normal_entropy(dim: int) -> float:
    """D/2 log(2 pi e), nats."""
    return 0.5 * dim * (1 + math.log(2 * math.pi))


def triangular(
    log_diagonal: Float[Array, " dim"], below: Float[Array, "dim dim"]
) -> Float[Array, "dim dim"]:
    """diag(exp(log_diagonal)) and the part of `below` under the diagonal."""
    return jnp.tril(below, -1) + jnp.diag(jnp.exp(log_diagonal))


def log_diagonal_sum(scale_tril: Float[Array, "dim dim"]) -> Float[Array, ""]:
    """log |L|, nats."""
    return jnp.sum(jnp.log(jnp.diagonal(scale_tril)))


def moved(start: Start, shift: Float[Array, " dim"]) -> Float[Array, " dim"]:
    """loc + L shift."""
    return start.loc + start.scale_tril @ shift
