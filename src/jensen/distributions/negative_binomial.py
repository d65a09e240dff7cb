"""Independent negative binomial counts over a whole event, exact to rounding in float32.

Parametrised by mean m and inverse dispersion r, with variance m + m^2 / r (as in scVI, Lopez et al.
2018):

    log p(x) = log Gamma(x + r) - log Gamma(r) - log x! + r log(r / (r + m)) + x log(m / (r + m))

With n = x + r, d the Stirling error and h(t) = t - log(1 + t), the saddle-point form of Loader
(2000) for x > 0 is

    log p(x) = 1/2 log(r / (2 pi n x)) + d(n) - d(r) - d(x)
               - r h((x - m) / (r + m)) - x h(r (m - x) / (x (r + m)))

Nothing large cancels in it: the Poisson limit of large r is exact in float32, where NumPyro's form
is off by .03 nats per element at r = 1e6 and .27 at 1e7.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
from numpyro.distributions import constraints

from jensen._numerics import LOG_2PI
from jensen._types import Array, Float, Key
from jensen.distributions._numpyro_base import Distribution
from jensen.distributions._stirling import digamma_less_log, excess, stirling_error


class NegativeBinomial(Distribution):
    """Negative binomial with mean m = exp(log_mean) and variance m + m^2 / exp(log_dispersion).

    Independent over all axes; log_prob sums over them, in nats. Values are whole numbers from 0, of
    any dtype, of the shape of `log_mean`; leading axes are preserved. Draws are int32.

        NegativeBinomial(jnp.zeros(3), jnp.zeros(3)).log_prob(jnp.zeros(3))  # -2.0794 = 3 log(1/2)
    """

    arg_constraints = {  # noqa: RUF012 (numpyro's own form)
        "log_mean": constraints.real,
        "log_dispersion": constraints.real,
    }
    pytree_data_fields = ("log_mean", "log_dispersion")

    def __init__(self, log_mean: Float[Array, "*event"], log_dispersion: Float[Array, "*event"]):
        self.log_mean = log_mean
        self.log_dispersion = log_dispersion
        super().__init__(batch_shape=(), event_shape=jnp.shape(log_mean), validate_args=False)

    @property
    def support(self):
        return constraints.independent(constraints.nonnegative_integer, self.event_dim)

    @property
    def mean(self):
        return jnp.exp(self.log_mean)

    @property
    def variance(self):
        return self.mean + jnp.exp(2 * self.log_mean - self.log_dispersion)

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        key_rate, key_count = jr.split(key)
        shape = sample_shape + self.event_shape
        # A Poisson with a gamma rate, drawn in log space because at small r the rates underflow.
        log_gamma = jr.loggamma(key_rate, jnp.broadcast_to(jnp.exp(self.log_dispersion), shape))
        return jr.poisson(
            key_count, jnp.exp(log_gamma + self.log_mean - self.log_dispersion), shape
        )

    def log_prob(self, value: Array) -> Array:
        x = jax.lax.stop_gradient(value.astype(self.log_mean.dtype))
        each = _log_prob(
            jnp.broadcast_to(self.log_mean, x.shape),
            jnp.broadcast_to(self.log_dispersion, x.shape),
            x,
        )
        return jnp.sum(each, axis=tuple(range(-self.event_dim, 0)))


# The derivatives are written out: the functions of `_stirling` are not made to be differentiated.
@jax.custom_jvp
def _log_prob(log_mean: Array, log_dispersion: Array, x: Array) -> Array:
    mean, r = jnp.exp(log_mean), jnp.exp(log_dispersion)
    positive = jnp.where(x > 0, x, 1.0)
    n, total = positive + r, mean + r
    log_n, log_total, log_x = jnp.log(n), jnp.log(total), jnp.log(positive)
    t = (positive - mean) / total
    # log(n / total): by log1p near 1, where the difference of logs loses digits.
    log_ratio = jnp.where(jnp.abs(t) < 0.5, jnp.log1p(jnp.maximum(t, -0.5)), log_n - log_total)
    first = r * excess(t, log_ratio)
    second = positive * excess(
        (r / total) * ((mean - positive) / positive), log_ratio + log_mean - log_x
    )
    errors = stirling_error(n) - stirling_error(r) - stirling_error(positive)
    return jnp.where(
        x > 0,
        0.5 * (log_dispersion - log_n - log_x - LOG_2PI) + errors - first - second,
        -r * jnp.log1p(mean / r),
    )


@_log_prob.defjvp
def _log_prob_jvp(primals, tangents):
    log_mean, log_dispersion, x = primals
    mean, r = jnp.exp(log_mean), jnp.exp(log_dispersion)
    total = mean + r
    by_mean = (r / total) * (x - mean)
    by_dispersion = r * (digamma_less_log(x + r) - digamma_less_log(r)) - r * excess(
        (x - mean) / total, jnp.log(x + r) - jnp.log(total)
    )
    return _log_prob(log_mean, log_dispersion, x), by_mean * tangents[0] + by_dispersion * tangents[
        1
    ]
