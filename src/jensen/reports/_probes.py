"""What a report evaluates of the model: codes, means of p(x|z), and walks along dimensions."""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen.distributions import complete, mean_of, point_code, root_of
from jensen.generation import mean_along
from jensen.model import Model

BLOCK = 512
ROWS, STEPS, QUANTILES = 8, 13, (0.02, 0.98)


@dataclass(frozen=True)
class Traversal:
    """Walks from the code of one datum along single dimensions.

    Attributes:
        datum: the index of the datum whose code is the starting point.
        dimensions: the latent dimensions walked along, the most active first.
        positions: where each walk stops, [rows, STEPS]: evenly from the 2% to the 98% quantile of
            the posterior means.
        spread: the standard deviation of the posterior means along each of them.
        means: of p(x|z) at every stop, [rows, STEPS, *event].
    """

    datum: int
    dimensions: np.ndarray
    positions: np.ndarray
    spread: np.ndarray
    means: np.ndarray


def encode(model: Model, data: np.ndarray) -> np.ndarray:
    """Returns the posterior means of data [N, *event], float64 [N, D].

    In a model of several levels they are those of the level that the datum decides by itself: the
    top, or z1 of a Markov chain.
    """
    block = min(BLOCK, len(data))
    call = eqx.filter_jit(
        lambda model, x: jax.vmap(lambda x: mean_of(root_of(model.encoder(x))))(x)
    )
    parts = []
    for start in range(0, len(data), block):
        index = np.minimum(np.arange(start, start + block), len(data) - 1)
        parts.append(
            np.asarray(call(model, jnp.asarray(data[index])), np.float64)[: len(data) - start]
        )
    return np.concatenate(parts)


def decode(model: Model, codes: np.ndarray) -> np.ndarray:
    """Returns the means [M, *event] of p(x|z) at codes [M, D].

    Levels below the top are at their means under the prior; x does not depend on the levels above
    z1 of a Markov chain. For an autoregressive decoder these are means of p(x_i | x_<i, z) along
    draws, with the same noise for all codes.
    """

    @eqx.filter_jit
    def call(model, codes):
        prior = model.prior(model.encoder)

        def one(z):
            p = model.decoder(z if model.encoder.bottom_up else complete(prior, z))
            return mean_along(
                model, p, p.sample(jr.key(0)) if model.decoder.autoregressive else None
            )

        return jax.vmap(one)(codes)

    return np.asarray(call(model, jnp.asarray(codes, jnp.float32)))


def reconstruct(model: Model, data: np.ndarray) -> np.ndarray:
    """Returns the means [M, *event] of p(x|z) at the posterior mean of each datum's code.

    For discrete codes the most probable one stands for the mean. Levels are completed from the
    top, and autoregressive means are along the datum itself (`mean_along`).
    """

    @eqx.filter_jit
    def call(model, data):
        def one(x):
            posterior = model.encoder(x)
            return mean_along(model, model.decoder(complete(posterior, point_code(posterior))), x)

        return jax.vmap(one)(data)

    return np.asarray(call(model, jnp.asarray(data)))


def traverse(model: Model, codes: np.ndarray, datum: int) -> Traversal:
    """Returns the walks from the code of `datum` along the dimensions that vary most.

    These are at most 8, by the variance of the posterior means `codes` [N, D].
    """
    variance = codes.var(axis=0)
    dimensions = np.argsort(-variance, kind="stable")[:ROWS]
    low, high = np.quantile(codes[:, dimensions], QUANTILES, axis=0)
    positions = np.linspace(low, high, STEPS, axis=1)
    walks = np.tile(codes[datum], (len(dimensions), STEPS, 1))
    for row, dimension in enumerate(dimensions):
        walks[row, :, dimension] = positions[row]
    means = decode(model, walks.reshape(-1, codes.shape[1]))
    return Traversal(
        datum,
        dimensions,
        positions,
        np.sqrt(variance[dimensions]),
        means.reshape(*positions.shape, *means.shape[1:]),
    )
