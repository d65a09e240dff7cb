"""The continuous Bernoulli over a whole event, a density on [0, 1].

Loaiza-Ganem & Cunningham 2019; parametrised by the logits l = log(lambda / (1 - lambda)):

    p(x) = C(lambda) lambda^x (1 - lambda)^(1 - x) = exp(l x - A(l))
    A(l) = log((e^l - 1) / l) = l/2 + log(sinh(u) / u),   u = |l| / 2

C is the normaliser that a Bernoulli on grey levels lacks. As a function of the logits it has no
singularity: it is computed by series near l = 0 (lambda = 1/2) and in log space elsewhere. The
derivative in l is x - A'(l), and A'(l) is the mean.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
from numpyro.distributions import constraints

from jensen._types import Array, Float, Key
from jensen.distributions._numpyro_base import Distribution

NEAR = 0.5
# Taylor coefficients in u^2 of log(sinh(u) / u) / u^2 and (coth(u) - 1 / u) / u, for u < NEAR.
LOG_SINHC = (1 / 6, -1 / 180, 1 / 2835, -1 / 37800, 1 / 467775, -691 / 3831077250, 2 / 127702575)
LANGEVIN = (1 / 3, -1 / 45, 2 / 945, -1 / 4725, 2 / 93555, -1382 / 638512875, 4 / 18243225)


class ContinuousBernoulli(Distribution):
    """Continuous Bernoulli, independent over all axes of `logits`.

    log_prob sums over these axes: a log density on [0, 1], in nats. Values have the shape of
    `logits`; leading axes are preserved. Draws are floats.

        ContinuousBernoulli(jnp.zeros(3)).log_prob(jnp.full(3, 0.2))  # 0: uniform on [0, 1]
    """

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012 (numpyro's own form)
    pytree_data_fields = ("logits",)

    def __init__(self, logits: Float[Array, "*event"]):
        self.logits = logits
        super().__init__(batch_shape=(), event_shape=jnp.shape(logits), validate_args=False)

    @property
    def support(self):
        return constraints.independent(constraints.unit_interval, self.event_dim)

    @property
    def mean(self):
        return _mean(self.logits)

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        uniform = jr.uniform(key, sample_shape + self.event_shape, self.logits.dtype)
        # Inverse distribution function at -|l|, where expm1 cannot overflow; mirrored for l > 0.
        slope = -jnp.abs(self.logits)
        flat = slope > -1e-6
        safe = jnp.where(flat, -1.0, slope)
        low = jnp.where(flat, uniform, jnp.log1p(uniform * jnp.expm1(safe)) / safe)
        return jnp.clip(jnp.where(self.logits > 0, 1 - low, low), 0, 1)

    def log_prob(self, value: Array) -> Array:
        x = value.astype(self.logits.dtype)
        each = _log_prob(jnp.broadcast_to(self.logits, x.shape), x)
        return jnp.sum(each, axis=tuple(range(-self.event_dim, 0)))


# The derivative x - A'(l) is written out: the mean's own series is exact near l = 0, and no branch
# of a `where` is differentiated.
@jax.custom_jvp
def _log_prob(logits: Array, x: Array) -> Array:
    u = jnp.abs(logits) / 2
    near = u < NEAR
    small, large = jnp.where(near, u, 0.0), jnp.where(near, 1.0, u)
    # For large u, l x - l/2 - u equals l (x - 1) or l x: in this form nothing cancels.
    exponent = jnp.where(logits > 0, logits * (x - 1), logits * x)
    far = exponent - jnp.log1p(-jnp.exp(-2 * large)) + jnp.log(2 * large)
    return jnp.where(near, logits * (x - 0.5) - small**2 * _polynomial(small**2, LOG_SINHC), far)


@_log_prob.defjvp
def _log_prob_jvp(primals, tangents):
    logits, x = primals
    return _log_prob(logits, x), (x - _mean(logits)) * tangents[0] + logits * tangents[1]


def _mean(logits: Array) -> Array:
    """Compute A'(l) = 1/2 + 1/2 (coth(l/2) - 2/l)."""
    u = jnp.abs(logits) / 2
    near = u < NEAR
    small, large = jnp.where(near, u, 0.0), jnp.where(near, 1.0, u)
    far = 1 / jnp.tanh(large) - 1 / large
    return 0.5 + 0.5 * jnp.sign(logits) * jnp.where(
        near, small * _polynomial(small**2, LANGEVIN), far
    )


def _polynomial(y: Array, coefficients: tuple[float, ...]) -> Array:
    total = jnp.zeros_like(y)
    for c in reversed(coefficients):
        total = total * y + c
    return total
