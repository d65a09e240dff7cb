"""Independent categorical variables over a whole event, with the classes on the first axis.

    log p(x) = sum_i l[x_i, i] - log sum_k exp(l[k, i])

NumPyro has the classes on the last axis, as separate variables; the contiguous blocks of a
decoder's output put them first. Values are class numbers 0 .. K-1, and the mean is that of the
class numbers.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
from numpyro.distributions import constraints

from jensen._types import Array, Float, Key
from jensen.distributions._numpyro_base import Distribution


class Categorical(Distribution):
    """Categorical(softmax(logits) over the first axis), independent over the other axes.

    log_prob sums over these axes, in nats. Values are whole numbers 0 .. K-1 of any dtype, of shape
    logits.shape[1:]; leading axes are preserved. Draws are uint8 up to 256 classes, int32 beyond.

        Categorical(jnp.zeros((4, 3))).log_prob(jnp.array([0, 3, 1]))  # -4.1589 = 3 log(1/4)
    """

    arg_constraints = {"logits": constraints.real}  # noqa: RUF012 (numpyro's own form)
    pytree_data_fields = ("logits",)

    def __init__(self, logits: Float[Array, "classes *event"]):
        self.logits = logits
        super().__init__(batch_shape=(), event_shape=jnp.shape(logits)[1:], validate_args=False)

    @property
    def support(self):
        return constraints.independent(
            constraints.integer_interval(0, len(self.logits) - 1), self.event_dim
        )

    @property
    def mean(self):
        return jnp.tensordot(
            jnp.arange(len(self.logits), dtype=self.logits.dtype),
            jax.nn.softmax(self.logits, axis=0),
            axes=1,
        )

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        draws = jr.categorical(key, self.logits, axis=0, shape=sample_shape + self.event_shape)
        return draws.astype(jnp.uint8 if len(self.logits) <= 256 else jnp.int32)

    def log_prob(self, value: Array) -> Array:
        log_p = jax.nn.log_softmax(self.logits, axis=0).reshape(len(self.logits), -1)
        leading = value.shape[: value.ndim - self.event_dim]
        classes = value.reshape(*leading, -1).astype(jnp.int32)
        # NaN for a class that does not exist; plain indexing would silently take the last class.
        return jnp.sum(
            log_p.at[classes, jnp.arange(log_p.shape[1])].get(mode="fill", fill_value=jnp.nan),
            axis=-1,
        )
