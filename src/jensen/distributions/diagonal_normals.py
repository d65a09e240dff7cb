"""The diagonal normal, `numpyro.distributions.Normal(loc, scale).to_event(1)`.

One place constructs it and one place recognises it.
"""

import jax.numpy as jnp
import numpyro.distributions as dist

from jensen._types import Array, Distribution, Float


def diagonal_normal(
    loc: Float[Array, "*batch dim"], scale: Float[Array, "*batch dim"]
) -> Distribution:
    """Make N(loc, diag(scale^2)) over vectors; log_prob in nats.

    diagonal_normal(jnp.zeros(2), jnp.ones(2)).log_prob(jnp.zeros(2))  # -1.8379
    """
    return dist.Normal(loc, scale, validate_args=False).to_event(1)


def diagonal_normal_parameters(distribution: Distribution) -> tuple[Array, Array] | None:
    """Return (loc, scale) if the distribution is a diagonal normal over vectors, else None.

    diagonal_normal_parameters(diagonal_normal(loc, scale))  # (loc, scale)
    """
    if (
        isinstance(distribution, dist.Independent)
        and isinstance(distribution.base_dist, dist.Normal)
        and distribution.event_dim == 1
    ):
        return jnp.asarray(distribution.base_dist.loc), jnp.asarray(distribution.base_dist.scale)
    return None
