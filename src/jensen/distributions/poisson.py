"""Independent Poisson counts over a whole event, exact to rounding in float32 at any rate.

With d the Stirling error and h(t) = t - log(1 + t) (Loader 2000),

    log p(x) = x log r - r - log x!                           (x = 0: -r) = -1/2 log(2 pi x) - d(x)
    - x h((r - x) / x)

The first form, NumPyro's, loses digits as x grows: .005 nats per element at 1e4 and .06 at 1e5, in
float32. The derivative in log r is x - r.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
from numpyro.distributions import constraints

from jensen._numerics import LOG_2PI
from jensen._types import Array, Float, Key
from jensen.distributions._numpyro_base import Distribution
from jensen.distributions._stirling import excess, stirling_error


class Poisson(Distribution):
    """Poisson(exp(log_rate)), independent over all axes of `log_rate`.

    log_prob sums over these axes, in nats. Values are whole numbers from 0, of any dtype, of the
    shape of `log_rate`; leading axes are preserved. Draws are int32.

        Poisson(jnp.zeros(3)).log_prob(jnp.zeros(3))  # -3
    """

    arg_constraints = {"log_rate": constraints.real}  # noqa: RUF012 (numpyro's own form)
    pytree_data_fields = ("log_rate",)

    def __init__(self, log_rate: Float[Array, "*event"]):
        self.log_rate = log_rate
        super().__init__(batch_shape=(), event_shape=jnp.shape(log_rate), validate_args=False)

    @property
    def support(self):
        return constraints.independent(constraints.nonnegative_integer, self.event_dim)

    @property
    def mean(self):
        return jnp.exp(self.log_rate)

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        return jr.poisson(key, self.mean, sample_shape + self.event_shape)

    def log_prob(self, value: Array) -> Array:
        x = jax.lax.stop_gradient(value.astype(self.log_rate.dtype))
        each = _log_prob(jnp.broadcast_to(self.log_rate, x.shape), x)
        return jnp.sum(each, axis=tuple(range(-self.event_dim, 0)))


# The derivative x - r is written out: the functions of `_stirling` are not made for
# differentiation.
@jax.custom_jvp
def _log_prob(log_rate: Array, x: Array) -> Array:
    rate = jnp.exp(log_rate)
    positive = jnp.where(x > 0, x, 1.0)  # the saddle-point form is singular at 0
    log_x = jnp.log(positive)
    deviance = positive * excess((rate - positive) / positive, log_rate - log_x)
    return jnp.where(x > 0, -stirling_error(positive) - 0.5 * (LOG_2PI + log_x) - deviance, -rate)


@_log_prob.defjvp
def _log_prob_jvp(primals, tangents):
    log_rate, x = primals
    return _log_prob(log_rate, x), (x - jnp.exp(log_rate)) * tangents[0]
