"""A mixture of diagonal normals, sum_k w_k N(z; m_k, diag(s_k^2)).

The mixture prior, the VampPrior and the aggregated posterior are of this class. The log-sum-exp
runs over components of whole vectors, never per dimension. The exact difference form is used, in
the graph of a training step; beyond `component_block` components it streams over blocks of them,
and the gradient recomputes each block instead of storing it. For float64 on the host see
`jensen._numerics.mixture_log_density`.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
from numpyro.distributions import constraints

from jensen._numerics import LOG_2PI
from jensen._types import Array, Float, Key
from jensen.distributions._numpyro_base import Distribution

COMPONENT_BLOCK = 4096


class DiagonalNormalMixture(Distribution):
    """Mixture sum_k softmax(log_weights)_k N(loc_k, diag(scale_k^2)) over vectors.

    log_prob is in nats.

    Args:
        loc, scale: [components, dim].
        log_weights: [components], not necessarily normalised; uniform when absent.
        component_block: number of components in memory at a time, for each point. The density does
            not depend on it beyond rounding.

    Raises:
        ValueError: if component_block is below 1.

    Example:
        DiagonalNormalMixture(jnp.zeros((3, 2)), jnp.ones((3, 2))).log_prob(jnp.zeros(2))  # -1.8379
    """

    arg_constraints = {  # noqa: RUF012
        "loc": constraints.real_matrix,
        "scale": constraints.positive,
        "log_weights": constraints.real_vector,
    }
    pytree_data_fields = ("loc", "scale", "log_weights")
    pytree_aux_fields = ("component_block",)
    reparametrized_params = []  # noqa: RUF012

    def __init__(
        self,
        loc: Float[Array, "components dim"],
        scale: Float[Array, "components dim"],
        log_weights: Float[Array, " components"] | None = None,
        *,
        component_block: int = COMPONENT_BLOCK,
    ):
        if component_block < 1:
            raise ValueError(f"component_block must be at least 1; got {component_block}.")
        self.component_block = component_block
        self.loc = loc
        self.scale = scale
        self.log_weights = jax.nn.log_softmax(
            jnp.zeros(loc.shape[0], loc.dtype) if log_weights is None else log_weights
        )
        super().__init__(batch_shape=(), event_shape=loc.shape[1:], validate_args=False)

    @property
    def support(self):
        return constraints.real_vector

    @property
    def mean(self):
        return jnp.exp(self.log_weights) @ self.loc

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        key_component, key_noise = jr.split(key)
        k = self._component(key_component, sample_shape)
        return self.loc[k] + self.scale[k] * jr.normal(
            key_noise, sample_shape + self.event_shape, self.loc.dtype
        )

    def log_prob(self, value: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        parameters = self.loc, self.scale, self.log_weights
        if len(self.loc) <= self.component_block:
            return jnp.vectorize(lambda z: _log_sum(z, *parameters), signature="(d)->()")(value)
        blocks = _blocks(*parameters, self.component_block)

        def streamed_log_sum(z: Array) -> Array:
            # Checkpointed: the gradient stores one number per block and point, never the densities
            # of all components.
            add = jax.checkpoint(
                lambda total, block: (jnp.logaddexp(total, _log_sum(z, *block)), None)
            )
            return jax.lax.scan(add, jnp.asarray(-jnp.inf, self.log_weights.dtype), blocks)[0]

        return jnp.vectorize(streamed_log_sum, signature="(d)->()")(value)

    def _component(self, key: Key, sample_shape: tuple[int, ...]) -> Array:
        if len(self.loc) <= self.component_block:
            return jr.categorical(key, self.log_weights, shape=sample_shape)
        # By the cumulative weights: jr.categorical would draw a number for each pair of sample and
        # component.
        cumulative = jnp.cumsum(jnp.exp(self.log_weights))
        return jnp.searchsorted(
            cumulative,
            cumulative[-1] * jr.uniform(key, sample_shape, cumulative.dtype),
            side="right",
        )


def _log_sum(z: Array, loc: Array, scale: Array, log_weights: Array) -> Array:
    return jax.nn.logsumexp(log_weights + _component_log_densities(z, loc, scale))


def _blocks(loc: Array, scale: Array, log_weights: Array, size: int) -> tuple[Array, Array, Array]:
    """Reshape to blocks [blocks, size, ...], the last padded with components of weight zero."""
    fill = -len(loc) % size
    padded = (
        jnp.pad(loc, ((0, fill), (0, 0))),
        jnp.pad(scale, ((0, fill), (0, 0)), constant_values=1),
        jnp.pad(log_weights, (0, fill), constant_values=-jnp.inf),
    )
    loc, scale, log_weights = (a.reshape(-1, size, *a.shape[1:]) for a in padded)
    return loc, scale, log_weights


@jax.custom_jvp
def _component_log_densities(z: Array, loc: Array, scale: Array) -> Array:
    return _densities((z - loc) / scale, scale)


@_component_log_densities.defjvp
def _component_log_densities_jvp(primals, tangents):
    # Written as products, so that under vmap the gradients of loc and scale are batched matrix
    # products; as sums over the batch of [batch, components, dim] they take half the time of a
    # VampPrior's step. Differences throughout: nothing cancels at small scales.
    z, loc, scale = primals
    dz, dloc, dscale = tangents
    inverse = 1 / scale
    standardised = (z - loc) * inverse
    tangent = jnp.einsum("kd,kd->k", standardised, dloc * inverse) + jnp.einsum(
        "kd,kd->k", jnp.square(standardised) - 1, dscale * inverse
    )
    return _densities(standardised, scale), tangent - jnp.einsum(
        "kd,d->k", standardised * inverse, dz
    )


def _densities(standardised: Array, scale: Array) -> Array:
    return (
        -0.5 * jnp.sum(jnp.square(standardised), axis=-1)
        - jnp.sum(jnp.log(scale), axis=-1)
        - 0.5 * standardised.shape[-1] * LOG_2PI
    )
