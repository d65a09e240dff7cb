"""Independent categorical variables as one flat vector of one-hot vectors.

    log p(z) = sum_i sum_k z_ik log softmax(l_i)_k
    KL(q || p) = sum_i sum_k q_ik (log q_ik - log p_ik)

The vector has length variables * classes; decoders read it as a code.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
from numpyro.distributions import constraints
from numpyro.distributions.kl import kl_divergence

from jensen._types import Array, Float, Key
from jensen.distributions._numpyro_base import Distribution


class _OneHotVectors(constraints.Constraint):
    """Vectors made of one-hot vectors of length `num_classes`."""

    is_discrete = True
    event_dim = 1

    def __init__(self, num_classes: int):
        self.num_classes = num_classes

    def __call__(self, x):
        parts = x.reshape(*x.shape[:-1], -1, self.num_classes)
        return (((parts == 0) | (parts == 1)).all(-1) & (parts.sum(-1) == 1)).all(-1)

    def __repr__(self) -> str:
        return f"one-hot (of {self.num_classes} classes)"

    def feasible_like(self, prototype):
        parts = jnp.reshape(prototype, (*jnp.shape(prototype)[:-1], -1, self.num_classes))
        return jnp.zeros_like(parts).at[..., 0].set(1).reshape(jnp.shape(prototype))

    def tree_flatten(self):
        return (), ((), {"num_classes": self.num_classes})

    def eq(self, other: object, static: bool = False):
        return isinstance(other, _OneHotVectors) and other.num_classes == self.num_classes


class OneHotCategorical(Distribution):
    """Independent variables with p(z_i = class k) = softmax(logits[i])_k.

    log_prob sums over the variables, in nats. Values are vectors [variables * classes] of 0 and 1,
    drawn in the dtype of the logits; leading axes are preserved. The mean is the vector of
    probabilities.

    Args:
        logits: [variables, classes].

    Example:
        q = OneHotCategorical(jnp.zeros((2, 3)))
        q.log_prob(jnp.array([1.0, 0, 0, 0, 0, 1]))  # -2.1972 = 2 log(1/3)
    """

    arg_constraints = {"logits": constraints.real_matrix}  # noqa: RUF012 (numpyro's own form)
    pytree_data_fields = ("logits",)

    def __init__(self, logits: Float[Array, "variables classes"]):
        self.logits = logits
        super().__init__(
            batch_shape=(), event_shape=(logits.shape[0] * logits.shape[1],), validate_args=False
        )

    @property
    def support(self):
        return _OneHotVectors(self.logits.shape[1])

    @property
    def mean(self):
        return jax.nn.softmax(self.logits).ravel()

    @property
    def variance(self):
        return self.mean * (1 - self.mean)

    @property
    def mode(self):
        """The most probable code; the first class where several are equally probable."""
        return jax.nn.one_hot(
            jnp.argmax(self.logits, axis=-1), self.logits.shape[1], dtype=self.logits.dtype
        ).ravel()

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        classes = jr.categorical(key, self.logits, shape=(*sample_shape, self.logits.shape[0]))
        return jax.nn.one_hot(classes, self.logits.shape[1], dtype=self.logits.dtype).reshape(
            *sample_shape, -1
        )

    def log_prob(self, value: Array) -> Array:
        # No matrix product: on some devices it rounds float32 inputs to ten bits (TF32).
        return jnp.sum(
            value.astype(self.logits.dtype) * jax.nn.log_softmax(self.logits).ravel(), axis=-1
        )


@kl_divergence.register(  # pyright: ignore[reportFunctionMemberAccess]
    OneHotCategorical, OneHotCategorical
)
def _kl_divergence(q: OneHotCategorical, p: OneHotCategorical) -> Array:
    log_q, log_p = jax.nn.log_softmax(q.logits), jax.nn.log_softmax(p.logits)
    return jnp.sum(jnp.exp(log_q) * (log_q - log_p))
