"""The normal with a full covariance, `MultivariateNormal(loc, scale_tril=L)` of NumPyro.

One place constructs it and one place recognises it.
"""

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from numpyro.distributions.kl import kl_divergence

from jensen._types import Array, Distribution, Float
from jensen.distributions.diagonal_normals import diagonal_normal_parameters


def full_normal(
    loc: Float[Array, "*batch dim"], scale_tril: Float[Array, "*batch dim dim"]
) -> Distribution:
    """Make N(loc, L L^T), with L = scale_tril lower triangular with a positive diagonal.

    log_prob is in nats.

        full_normal(jnp.zeros(2), jnp.eye(2)).log_prob(jnp.zeros(2))  # -1.8379
    """
    return dist.MultivariateNormal(loc, scale_tril=scale_tril, validate_args=False)


def full_normal_parameters(distribution: Distribution) -> tuple[Array, Array] | None:
    """Return (loc, scale_tril) if the distribution is a full-covariance normal, else None.

    full_normal_parameters(full_normal(loc, scale_tril))  # (loc, scale_tril)
    """
    if isinstance(distribution, dist.MultivariateNormal):
        return jnp.asarray(distribution.loc), jnp.asarray(distribution.scale_tril)
    return None


@kl_divergence.register(  # pyright: ignore[reportFunctionMemberAccess]
    dist.MultivariateNormal, dist.Independent
)
def _kl_to_diagonal_normal(q: dist.MultivariateNormal, p: dist.Independent) -> Array:
    """Compute KL(q || p) in nats, with p a diagonal normal; NumPyro has two full normals only."""
    parameters = diagonal_normal_parameters(p)
    if parameters is None:
        # The exception by which numpyro's dispatch signals that a KL is missing.
        raise NotImplementedError(
            "KL(q || p) of a full normal is implemented for a diagonal normal p only."
        )
    (loc, scale), scale_tril = parameters, jnp.asarray(q.scale_tril)
    rows = scale_tril / scale[..., None]
    log_ratio = jnp.log(scale) - jnp.log(jnp.diagonal(scale_tril, axis1=-2, axis2=-1))
    squares = jnp.sum(jnp.square(rows), axis=-1) + jnp.square((q.loc - loc) / scale)
    return jnp.sum(0.5 * (squares - 1) + log_ratio, axis=-1)


def whitening(scale_tril: Float[Array, "*batch dim dim"]) -> Float[Array, "*batch dim dim"]:
    """Compute L^-1, so that |L^-1 (z - m)|^2 at many points is a matrix product.

    whitening(2 * jnp.eye(2))  # I / 2
    """
    return solve_triangular(
        scale_tril,
        jnp.broadcast_to(jnp.eye(scale_tril.shape[-1], dtype=scale_tril.dtype), scale_tril.shape),
        lower=True,
    )
