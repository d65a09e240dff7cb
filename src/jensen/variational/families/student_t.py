"""Student's t: tails heavier than the normal's, which importance weights need."""

import math
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from scipy.special import digamma, gammaln
from scipy.stats import chi2, t

from jensen._parameters import constant
from jensen._types import Array, Distribution, Float
from jensen.distributions import StudentT as StudentTDistribution
from jensen.variational.families._base import (
    AbstractFamily,
    Spread,
    Start,
    equal_shares,
    log_diagonal_sum,
    matched_normal,
    moved,
    triangular,
)


class StudentT(AbstractFamily):
    """Student's t of u with `df` degrees of freedom, multivariate or with independent coordinates.

    `df` is fixed and not fitted: reverse KL would choose light tails, and importance weights need
    heavy ones.

    Args:
        start: the normal at the start of the fit.
        df: degrees of freedom, above 2.
        covariance: "full": u = m + L' n / sqrt(chi^2 / df), one divisor for all coordinates;
            "diagonal": u_i = m_i + s_i t_i.

    Raises:
        ValueError: df not above 2 and finite.

        StudentT(Start(jnp.zeros(1), jnp.eye(1)), df=3.0)().log_prob(jnp.zeros(1))  # -1.0009
    """

    reparameterised: ClassVar[bool] = True
    richness: ClassVar[int] = 2
    shift: Float[Array, " dim"]
    log_diagonal: Float[Array, " dim"]
    below: Float[Array, " pairs"]
    df: float = eqx.field(static=True)
    full: bool = eqx.field(static=True)
    start: Start = constant()
    unit: Float[Array, " dim"] = constant()

    def __init__(
        self, start: Start, *, df: float = 5.0, covariance: Literal["full", "diagonal"] = "full"
    ):
        if not 2 < df < math.inf:
            raise ValueError(
                "family student_t: df must be above 2 and finite, or there are no standard "
                f"deviations; got {df}. For a normal take full_rank."
            )
        dim = len(start.loc)
        self.start, self.df, self.full = start, float(df), covariance == "full"
        self.unit = start.conditional_scale()
        self.shift, self.log_diagonal = jnp.zeros_like(start.loc), jnp.zeros_like(start.loc)
        self.below = jnp.zeros(dim * (dim - 1) // 2 if self.full else 0, start.loc.dtype)

    def __call__(self) -> Distribution:
        loc, scale = self.parameters()
        if self.full:
            return dist.MultivariateStudentT(self.df, loc, scale, validate_args=False)
        return StudentTDistribution(jnp.full_like(loc, self.df), loc, scale)

    def parameters(self) -> tuple[Float[Array, " dim"], Float[Array, "dim ..."]]:
        """Returns (m, L') if the covariance is full, (m, s) if it is diagonal."""
        loc, dim = moved(self.start, self.shift), len(self.shift)
        if not self.full:
            return loc, self.unit * jnp.exp(self.log_diagonal)
        below = jnp.zeros((dim, dim), self.below.dtype).at[np.tril_indices(dim, -1)].set(self.below)
        return loc, self.start.scale_tril @ triangular(self.log_diagonal, below)

    def spread(self, noise: Float[Array, "draws noise"]) -> Spread:
        loc, scale = self.parameters()
        dim = len(loc)
        if self.full:
            return Spread(
                loc + noise @ scale.T,
                equal_shares(len(noise)),
                log_diagonal_sum(scale) + standard_entropy(self.df, dim),
            )
        return Spread(
            loc + noise * scale,
            equal_shares(len(noise)),
            jnp.sum(jnp.log(scale)) + dim * standard_entropy(self.df, 1),
        )

    @property
    def noise_size(self) -> int:
        return len(self.shift) + (1 if self.full else 0)

    def noise(self, uniforms: np.ndarray) -> np.ndarray:
        if not self.full:
            half = t.ppf(uniforms[: len(uniforms) // 2], self.df)
            half = half * np.sqrt(self.df / (self.df - 2) / np.mean(half**2, axis=0))
            return np.concatenate([half, -half])
        half = len(uniforms) // 2
        divisor = np.tile(np.sqrt(chi2.ppf(uniforms[:half, -1], self.df) / self.df), 2)[:, None]
        return matched_normal(uniforms[:, :-1]) / divisor


def standard_entropy(df: float, dim: int) -> float:
    """Computes the entropy of the multivariate t with scale I, nats (Kotz & Nadarajah 2004, section
    1.7).

    standard_entropy(1e9, 1)  # 1.4189, the normal's
    """
    half_df, half_total = df / 2, (df + dim) / 2
    return float(
        gammaln(half_df)
        - gammaln(half_total)
        + 0.5 * dim * math.log(df * math.pi)
        + half_total * (digamma(half_total) - digamma(half_df))
    )
