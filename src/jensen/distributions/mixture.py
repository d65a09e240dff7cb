"""A mixture sum_k w_k q_k(z) of distributions of any one family.

A VampPrior is such a mixture if the encoder's posteriors are not diagonal normals; those have a
faster class, `DiagonalNormalMixture`. The sum is over whole vectors, never per dimension. Beyond
`component_block` components it streams over blocks of them, and the gradient recomputes each block
instead of storing it.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Float, Key
from jensen.distributions.diagonal_normal_mixture import DiagonalNormalMixture
from jensen.distributions.diagonal_normals import diagonal_normal_parameters
from jensen.distributions.moments import is_discrete, mean_of
from jensen.distributions.stacked import Stacked

COMPONENT_BLOCK = 4096


def mixture_of(
    members: Stacked, log_weights: Float[Array, " components"] | None = None
) -> "DiagonalNormalMixture | Mixture":
    """Make the mixture of distributions of one family, with the faster class for diagonal normals.

    mixture_of(stack(encoder, pseudo_inputs)).log_prob(z)
    """
    normals = members.map(diagonal_normal_parameters)
    return (
        Mixture(members, log_weights)
        if normals is None
        else DiagonalNormalMixture(*normals, log_weights)
    )


class Mixture(eqx.Module):
    """Mixture sum_k softmax(log_weights)_k members_k; log_prob in nats.

    Args:
        members: the components.
        log_weights: [components], not necessarily normalised; uniform when absent.
        component_block: number of components in memory at a time, for each point. The density does
            not depend on it beyond rounding.

    Raises:
        ValueError: if component_block is below 1.

    Example:
        Mixture(stack(encoder, pseudo_inputs)).log_prob(z)
    """

    members: Stacked
    log_weights: Float[Array, " components"]
    component_block: int = eqx.field(static=True)

    def __init__(
        self,
        members: Stacked,
        log_weights: Float[Array, " components"] | None = None,
        *,
        component_block: int = COMPONENT_BLOCK,
    ):
        if component_block < 1:
            raise ValueError(f"component_block must be at least 1; got {component_block}.")
        self.members = members
        self.log_weights = jax.nn.log_softmax(
            jnp.zeros(len(members)) if log_weights is None else log_weights
        )
        self.component_block = component_block

    @property
    def is_discrete(self) -> bool:
        """Whether the components are discrete."""
        return is_discrete(self.members.one(0))

    @property
    def has_rsample(self) -> bool:
        """False: the choice of a component has no derivative."""
        return False

    @property
    def mean(self) -> Array:
        """The weighted mean of the components' means."""
        return jnp.tensordot(jnp.exp(self.log_weights), self.members.map(mean_of), 1)

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        """Draw one code, or codes with leading axes `sample_shape`."""

        def draw_code(key: Key) -> Array:
            key_component, key_draw = jr.split(key)
            # By the cumulative weights: jr.categorical would draw a number for each pair of sample
            # and component.
            cumulative = jnp.cumsum(jnp.exp(self.log_weights))
            k = jnp.searchsorted(
                cumulative,
                cumulative[-1] * jr.uniform(key_component, (), cumulative.dtype),
                side="right",
            )
            return self.members.one(k).sample(key_draw)

        draw = draw_code
        for _ in sample_shape:
            draw = jax.vmap(draw)
        return draw(jr.split(key, sample_shape) if sample_shape else key)

    def log_prob(self, value: Array) -> Array:
        """Compute log sum_k w_k q_k(value), in nats; leading axes are preserved."""
        event_dim = jax.eval_shape(self.members.one(0).sample, jr.key(0)).ndim
        density = self._log_prob
        for _ in range(jnp.ndim(value) - event_dim):
            density = jax.vmap(density)
        return density(value)

    def _log_prob(self, z: Array) -> Array:
        def log_sum(members: Stacked, log_weights: Array) -> Array:
            return jax.nn.logsumexp(log_weights + members.map(lambda q: q.log_prob(z)))

        components, size = len(self.members), self.component_block
        if components <= size:
            return log_sum(self.members, self.log_weights)
        fill = -components % size
        # The last block is padded with copies of component 0 of weight zero.
        rows = jnp.concatenate([jnp.arange(components), jnp.zeros(fill, int)]).reshape(-1, size)
        weights = jnp.pad(self.log_weights, (0, fill), constant_values=-jnp.inf).reshape(-1, size)
        # Checkpointed: the gradient stores one number per block and point, never the densities of
        # all components.
        add = jax.checkpoint(
            lambda total, block: (
                jnp.logaddexp(total, log_sum(self.members[block[0]], block[1])),
                None,
            )
        )
        return jax.lax.scan(add, jnp.asarray(-jnp.inf, self.log_weights.dtype), (rows, weights))[0]
