"""log p(z) of one prior after another at the same draws: only the priors make the differences."""

import jax
import jax.numpy as jnp
import numpy as np

from jensen._numerics import mixture_log_density
from jensen._types import Distribution
from jensen.anatomy.aggregated import mixture_density
from jensen.distributions import DiagonalNormalMixture, Mixture, diagonal_normal_parameters

PAIRS_AT_A_TIME = 16384  # (datum, draw) pairs at a time


def log_density(prior: Distribution, z: np.ndarray) -> np.ndarray:
    """Compute log p(z) [...] of points z [..., D], in bounded memory for mixtures of any size.

    log_density(model.prior(model.encoder), z)
    """
    flat = z.reshape(-1, z.shape[-1])
    single = diagonal_normal_parameters(prior)
    if isinstance(prior, DiagonalNormalMixture):
        values = mixture_log_density(
            flat,
            np.asarray(prior.loc),
            np.asarray(prior.scale),
            log_weights=np.asarray(prior.log_weights, np.float64),
        )
    elif single is not None:
        values = mixture_log_density(flat, *(np.asarray(p)[None] for p in single))
    elif isinstance(prior, Mixture):
        values = mixture_density(prior.members, flat, log_weights=np.asarray(prior.log_weights))
    else:
        evaluate = jax.jit(jax.vmap(prior.log_prob))
        parts = [
            np.asarray(evaluate(jnp.asarray(part)), np.float64)
            for part in np.array_split(flat, max(1, -(-len(flat) // PAIRS_AT_A_TIME)))
        ]
        values = np.concatenate(parts)
    return values.reshape(z.shape[:-1])
