"""Independent Bernoulli variables over a whole event, with a log mass that reads the logits once.

    log p(x) = sum_i x_i l_i - softplus(l_i),        d/dl_i = x_i - sigmoid(l_i)
    KL(q || p) = sum_i q_i (l_i - m_i) - softplus(l_i) + softplus(m_i)

for logits l of q and m of p, with q_i = sigmoid(l_i). The value and the derivative share one
exponential per logit; automatic differentiation of the textbook form takes two more passes.
"""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
from numpyro.distributions import constraints
from numpyro.distributions.kl import kl_divergence

from jensen._types import Array, Float, Key
from jensen.distributions._numpyro_base import Distribution


class Bernoulli(Distribution):
    """Bernoulli(sigmoid(logits)), independent over all axes of `logits`.

    log_prob sums over these axes, in nats. Values are 0 and 1, of any dtype and of the shape of
    `logits`; leading axes are preserved. Draws have dtype `dtype`: bytes for data, floats for
    codes, which a network reads.

        Bernoulli(jnp.zeros((8, 8))).log_prob(jnp.ones((8, 8)))  # -44.36 = 64 log(1/2)
    """

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012 (numpyro's own form)
    pytree_data_fields = ("logits",)
    pytree_aux_fields = ("dtype",)

    def __init__(self, logits: Float[Array, "*event"], *, dtype: Any = jnp.uint8):
        self.logits = logits
        self.dtype = jnp.dtype(dtype)
        super().__init__(batch_shape=(), event_shape=jnp.shape(logits), validate_args=False)

    @property
    def support(self):
        return constraints.independent(constraints.boolean, self.event_dim)

    @property
    def mean(self):
        return jax.nn.sigmoid(self.logits)

    @property
    def variance(self):
        return self.mean * jax.nn.sigmoid(-self.logits)

    @property
    def mode(self):
        """The most probable value; 0 where both values are equally probable."""
        return (self.logits > 0).astype(self.dtype)

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        return jr.bernoulli(key, self.mean, sample_shape + self.event_shape).astype(self.dtype)

    def log_prob(self, value: Array) -> Array:
        # One axis for the whole event: the decoder's reshape to an image then cancels, and the sum
        # is one pass over the rows of the matrix product.
        leading = value.shape[: value.ndim - self.event_dim]
        return _log_prob(self.logits.ravel(), value.reshape(*leading, -1).astype(self.logits.dtype))


# The derivative is written out so that it reuses the exponential of the value: one pass over the
# logits, where automatic differentiation of softplus takes two more.
@jax.custom_jvp
def _log_prob(logits: Array, value: Array) -> Array:
    return jnp.sum(
        value * logits - jnp.maximum(logits, 0) - jnp.log1p(jnp.exp(-jnp.abs(logits))), axis=-1
    )


@_log_prob.defjvp
def _log_prob_jvp(primals, tangents):
    logits, value = primals
    e = jnp.exp(-jnp.abs(logits))
    out = jnp.sum(value * logits - jnp.maximum(logits, 0) - jnp.log1p(e), axis=-1)
    probability = jnp.where(logits >= 0, 1.0, e) / (1 + e)
    return out, jnp.sum((value - probability) * tangents[0], axis=-1) + jnp.sum(
        logits * tangents[1], axis=-1
    )


@kl_divergence.register(Bernoulli, Bernoulli)  # pyright: ignore[reportFunctionMemberAccess]
def _kl_divergence(q: Bernoulli, p: Bernoulli) -> Array:
    return jnp.sum(
        q.mean * (q.logits - p.logits) - jax.nn.softplus(q.logits) + jax.nn.softplus(p.logits)
    )
