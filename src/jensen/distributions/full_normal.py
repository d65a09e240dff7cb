"""The normal with a full covariance: numpyro's `MultivariateNormal(loc, scale_tril=L)`, made and recognised in one place."""

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from numpyro.distributions.kl import kl_divergence

from jensen._types import Array, Distribution, Float
from jensen.distributions.diagonal_normal import diagonal_normal_parameters


def full_normal(
    loc: Float[Array, "*batch dim"], scale_tril: Float[Array, "*batch dim dim"]
) -> Distribution:
    """N(loc, L L^T), L = scale_tril lower triangular with a positive diagonal; log_prob in nats.

    full_normal(jnp.zeros(2), jnp.eye(2)).log_prob(jnp.zeros(2))  # -1.8379
    """
    return dist.MultivariateNormal(loc, scale_tril=scale_tril, validate_args=False)


def full_normal_parameters(distribution: Distribution) -> tuple[Array, Array] | None:
    """(loc, scale_tril) if the distribution is a normal with a full covariance, else None.

    full_normal_parameters(full_normal(loc, scale_tril))  # (loc, scale_tril)
    """
    if isinstance(distribution, dist.MultivariateNormal):
        return jnp.asarray(distribution.loc), jnp.asarray(distribution.scale_tril)
    return None


@kl_divergence.register(dist.MultivariateNormal, dist.Independent)
def _from_a_diagonal_normal(q: dist.MultivariateNormal, p: dist.Independent) -> Array:
    """KL(q || p), nats: numpyro has that between two full normals only."""
    parameters = diagonal_normal_parameters(p)
    if parameters is None:
        raise NotImplementedError(
            "KL(q || p) of a full normal is known for a diagonal normal p only."
        )  # how numpyro says that it has none
    (loc, scale), scale_tril = parameters, jnp.asarray(q.scale_tril)
    rows = scale_tril / scale[..., None]
    log_ratio = jnp.log(scale) - jnp.log(jnp.diagonal(scale_tril, axis1=-2, axis2=-1))
    squares = jnp.sum(jnp.square(rows), axis=-1) + jnp.square((q.loc - loc) / scale)
    return jnp.sum(0.5 * (squares - 1) + log_ratio, axis=-1)


def whitening(scale_tril: Float[Array, "*batch dim dim"]) -> Float[Array, "*batch dim dim"]:
    """L^-1, so that |L^-1 (z - m)|^2 at many points is a matrix product.

    whitening(2 * jnp.eye(2))  # I / 2
    """
    return solve_triangular(
        scale_tril,
        jnp.broadcast_to(jnp.eye(scale_tril.shape[-1], dtype=scale_tril.dtype), scale_tril.shape),
        lower=True,
    )
