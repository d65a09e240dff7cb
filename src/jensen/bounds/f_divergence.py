"""Any f: log p(x) less an f-divergence of your choice."""

from collections.abc import Callable
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp

from jensen._numerics import log_mean_exp
from jensen._types import Array, Float
from jensen.bounds._base import AbstractBound

Generator = Literal["reverse_kl", "forward_kl", "chi_squared", "hellinger", "jensen_shannon"]

# f(t) of l = log t: convex, with f(1) = 0.
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
    """log Z - (1/K) sum_k f(w_k / Z) with Z = (1/K) sum_k w_k: in the limit log p(x) - D_f(posterior || q), D_f = E_q f(posterior / q).

    `generator` names f, or is a callable that takes l = log(w / Z) and gives f(exp l), evaluated in log space as you think best. For a convex f with f(1) = 0
    the second term is at least 0 (Jensen's inequality, for the mean of w_k / Z is 1), so the value is in expectation a lower bound at every K: your callable
    is trusted to be such an f. It is neither rising nor falling with K in general; f = -log t is the ELBO exactly. 'forward_kl' is t log t, 'chi_squared'
    (t - 1)^2, 'hellinger' (sqrt t - 1)^2, 'jensen_shannon' the mean of the KL divergences of both from their mean.

    Raises:
        ValueError: an unknown generator.

        FDivergence(generator="hellinger")(log_w);  FDivergence(generator=lambda l: jnp.exp(l) * l)(log_w)  # the second is 'forward_kl'
    """

    guarantee: ClassVar[Literal["lower", "consistent"]] = "lower"
    generator: Generator | Callable[[Array], Array] = eqx.field(static=True)

    def __init__(self, *, generator: Generator | Callable[[Array], Array] = "jensen_shannon"):
        if not callable(generator) and generator not in GENERATORS:
            raise ValueError(
                f"bound f_divergence: unknown generator {generator!r}; known: {', '.join(GENERATORS)}; or a callable of log(w / Z)."
            )
        self.generator = generator

    def __call__(self, log_w: Float[Array, " samples"]) -> Float[Array, ""]:
        f = self.generator if callable(self.generator) else GENERATORS[self.generator]
        log_z = log_mean_exp(log_w)
        return log_z - jnp.mean(f(log_w - log_z))
