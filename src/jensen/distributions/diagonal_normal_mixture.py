"""A mixture of diagonal normals, sum_k w_k N(z; m_k, diag(s_k^2)): the learned mixture prior, the VampPrior and the aggregated posterior are all of this class.

The log-sum-exp runs over components of whole vectors (never per dimension). The exact difference form is used here, for the few components of a training
step; for very many components on the host see `jensen._numerics.mixture_log_density`.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
from numpyro.distributions import Distribution, constraints

from jensen._numerics import LOG_2PI
from jensen._types import Array, Float, Key


class DiagonalNormalMixture(Distribution):
    """sum_k softmax(log_weights)_k N(loc_k, diag(scale_k^2)) over vectors; log_prob in nats.

    Args:
        loc, scale: [components, dim].
        log_weights: [components], need not be normalised; uniform when absent.

        DiagonalNormalMixture(jnp.zeros((3, 2)), jnp.ones((3, 2))).log_prob(jnp.zeros(2))  # -1.8379
    """

    arg_constraints = {"loc": constraints.real_matrix, "scale": constraints.positive, "log_weights": constraints.real_vector}  # noqa: RUF012
    pytree_data_fields = ("loc", "scale", "log_weights")
    reparametrized_params = []  # noqa: RUF012

    def __init__(self, loc: Float[Array, "components dim"], scale: Float[Array, "components dim"], log_weights: Float[Array, " components"] | None = None):
        self.loc = loc
        self.scale = scale
        self.log_weights = jax.nn.log_softmax(jnp.zeros(loc.shape[0], loc.dtype) if log_weights is None else log_weights)
        super().__init__(batch_shape=(), event_shape=loc.shape[1:], validate_args=False)

    @property
    def support(self):
        return constraints.real_vector

    @property
    def mean(self):
        return jnp.exp(self.log_weights) @ self.loc

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        key_component, key_noise = jr.split(key)
        k = jr.categorical(key_component, self.log_weights, shape=sample_shape)
        return self.loc[k] + self.scale[k] * jr.normal(key_noise, sample_shape + self.event_shape, self.loc.dtype)

    def log_prob(self, value: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        inverse = 1 / self.scale
        constant = self.log_weights - jnp.sum(jnp.log(self.scale), axis=-1) - 0.5 * self.loc.shape[-1] * LOG_2PI
        standardised = (value[..., None, :] - self.loc) * inverse
        return jax.nn.logsumexp(constant - 0.5 * jnp.sum(jnp.square(standardised), axis=-1), axis=-1)
