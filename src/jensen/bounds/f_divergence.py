"""The bound log p(x) less an f-divergence, for a named or user-defined f."""

from collections.abc import Callable
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp

from jensen._numerics import log_mean_exp
from jensen._types import Array, Float
from jensen.bounds._base import AbstractBound

Generator = Literal["reverse_kl", "forward_kl", "chi_squared", "hellinger", "jensen_shannon"]

# f(t) as a function of l = log t: convex, with f(1) = 0. expm1 keeps digits near t = 1.
GENERATORS: dict[str, Callable[[Array], Array]] = {
    "reverse_kl": lambda log_t: -log_t,
    "forward_kl": lambda log_t: jnp.exp(log_t) * log_t,
    "chi_squared": lambda log_t: jnp.square(jnp.expm1(log_t)),
    "hellinger": lambda log_t: jnp.square(jnp.expm1(log_t / 2)),
    "jensen_shannon": lambda log_t: (
        0.5
        * (
            jnp.exp(log_t) * log_t
            - (1 + jnp.exp(log_t)) * (jnp.logaddexp(log_t, 0.0) - jnp.log(2.0))
        )
    ),
}


class FDivergence(AbstractBound):
    """Bound log Z - (1/K) sum_k f(w_k / Z), with Z = (1/K) sum_k w_k.

    In the limit of many samples it is log p(x) - D_f(posterior || q), with D_f = E_q f(posterior /
    q). For a convex f with f(1) = 0 the second term is at least 0 (Jensen's inequality, since w_k /
    Z has mean 1), so the value is in expectation a lower bound at every K. It is neither rising nor
    falling with K in general; f(t) = -log t is the ELBO exactly.

    Args:
        generator: the name of f, or a callable that takes l = log(w / Z) and returns f(exp l), so
            that it can be evaluated in log space. A callable is trusted to be convex with f(1) = 0.
            The names: 'reverse_kl' -log t, 'forward_kl' t log t, 'chi_squared' (t - 1)^2,
            'hellinger' (sqrt t - 1)^2, 'jensen_shannon' the mean of the KL divergences of both
            distributions from their average.

    Raises:
        ValueError: if the generator is unknown.

    Example:
        FDivergence(generator="hellinger")(log_w)
        FDivergence(generator=lambda l: jnp.exp(l) * l)(log_w)  # 'forward_kl'
    """

    guarantee: ClassVar[Literal["lower", "consistent"]] = "lower"
    generator: Generator | Callable[[Array], Array] = eqx.field(static=True)

    def __init__(self, *, generator: Generator | Callable[[Array], Array] = "jensen_shannon"):
        if not callable(generator) and generator not in GENERATORS:
            raise ValueError(
                f"bound f_divergence: unknown generator {generator!r}; known: "
                f"{', '.join(GENERATORS)}; or a callable of log(w / Z)."
            )
        self.generator = generator

    def __call__(self, log_w: Float[Array, " samples"]) -> Float[Array, ""]:
        f = self.generator if callable(self.generator) else GENERATORS[self.generator]
        # With Z from the same samples, the mean of w_k / Z is 1 exactly: Jensen's inequality makes
        # the second term non-negative at every K, not only in the limit.
        log_z = log_mean_exp(log_w)
        return log_z - jnp.mean(f(log_w - log_z))
