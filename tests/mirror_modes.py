"""A posterior of two mirror modes, exact: p(z) = N(0, 1), p(x|z) = N(w |z|, s2 I).

log p(x) = log 2 + log N(x; 0, w w^T + s2 I) + log Phi(m / v^(1/2)), with N(m, v) the posterior of the linear model without
the absolute value: m = w^T x / (w^T w + s2), v = s2 / (w^T w + s2). The posterior is N(m, v) cut at 0 and its mirror image.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from scipy.stats import norm

from jensen._types import Array, Distribution
from jensen.decoders import AbstractDecoder
from jensen.distributions import diagonal_normal
from jensen.encoders import AbstractEncoder
from jensen.model import Model
from jensen.priors import StandardNormal


class AbsoluteDecoder(AbstractDecoder):
    weight: Array
    scale: float

    def __call__(self, z: Array) -> Distribution:
        return diagonal_normal(self.weight * jnp.abs(z[0]), jnp.full(self.weight.shape, self.scale))


class OneMode(AbstractEncoder):
    """N(m, v): the mode with z > 0, exactly, and nothing of the other."""

    weight: Array
    s2: float

    def __call__(self, x: Array) -> Distribution:
        m = self.weight @ self.weight + self.s2
        return diagonal_normal((self.weight @ x / m)[None], jnp.sqrt(self.s2 / m)[None])


class BothModes(AbstractEncoder):
    """N(0, m^2 + v): as wide as the two modes together."""

    weight: Array
    s2: float

    def __call__(self, x: Array) -> Distribution:
        m = self.weight @ self.weight + self.s2
        return diagonal_normal(
            jnp.zeros(1), jnp.sqrt((self.weight @ x / m) ** 2 + self.s2 / m)[None]
        )


@dataclass(frozen=True)
class MirrorModes:
    w: np.ndarray
    s2: float
    covers_both: bool = False

    @property
    def model(self) -> Model:
        encoder = BothModes if self.covers_both else OneMode
        weight = jnp.asarray(self.w)
        return Model(
            StandardNormal(1), encoder(weight, self.s2), AbsoluteDecoder(weight, self.s2**0.5)
        )

    def data(self, rows: int, seed: int) -> np.ndarray:
        """Rows whose codes lie between 1 and 2 in absolute value, so that the modes are far apart."""
        rng = np.random.default_rng(seed)
        z = rng.uniform(1, 2, size=(rows, 1))
        return z * self.w + self.s2**0.5 * rng.normal(size=(rows, len(self.w)))

    def log_evidence(self, x: np.ndarray) -> np.ndarray:
        m = self.w @ self.w + self.s2
        quadratic = (np.sum(x**2, axis=1) - (x @ self.w) ** 2 / m) / self.s2
        log_det = np.log(m) + (len(self.w) - 1) * np.log(self.s2)
        log_normal = -0.5 * (quadratic + log_det + len(self.w) * np.log(2 * np.pi))
        return np.log(2) + log_normal + norm.logcdf(x @ self.w / m / np.sqrt(self.s2 / m))


def make(*, covers_both: bool = False) -> MirrorModes:
    return MirrorModes(np.array([1.0, -0.7, 0.5]), 0.02, covers_both)
