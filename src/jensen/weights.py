"""The currency of this library: log w = log p(x|z) + log p(z) - log q(z|x), with its three parts kept apart.

Everything either makes log-weights (an encoder's samples, annealing, somebody else's model) or reads them (bounds, gradient estimators, evidence, surgery).
Random keys are folded from (key, datum index, sample index), so no result depends on how data and samples are grouped into batches and chunks.
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Shaped

from jensen._types import Array, Distribution, Float, Int, Key
from jensen.model import Model

LARGEST, LARGEST_ELSEWHERE = (
    {"cpu": 2**24},
    2**28,
)  # numbers in one array while many samples are decoded: 64 MB, or 1 GB


class LogWeights(eqx.Module):
    """log p(x|z), log p(z) and log q(z|x) in nats, each of shape [samples, batch] ([samples] for one datum, [] for one sample of it)."""

    log_likelihood: Float[Array, "*shape"]
    log_prior: Float[Array, "*shape"]
    log_posterior: Float[Array, "*shape"]

    def tempered(self, beta: float | Array = 1.0) -> Float[Array, "*shape"]:
        """log p(x|z) + beta (log p(z) - log q(z|x)): the log-weights at beta = 1, beta-VAE and KL warm-up elsewhere (Higgins et al. 2017)."""
        return self.log_likelihood + beta * (self.log_prior - self.log_posterior)


def datum_log_weights(
    model: Model,
    prior: Distribution,
    x: Array,
    key: Key,
    num_samples: int,
    *,
    block: int | None = None,
) -> LogWeights:
    """The log-weights of one datum, leaves of shape [num_samples]. `prior` is model.prior(model.encoder), made once; with `block`, no more than so many
    samples are decoded at a time, which changes nothing else."""
    posterior = model.encoder(x)

    def one(sample):
        z = posterior.sample(jr.fold_in(key, sample))
        return LogWeights(model.decoder(z).log_prob(x), prior.log_prob(z), posterior.log_prob(z))

    return over_samples(one, num_samples, block)


def over_samples(
    function: Callable[[Array], Any], num_samples: int, block: int | None = None
) -> Any:
    """function(0), ..., function(num_samples - 1), stacked; at most `block` of them at a time.

    over_samples(lambda s: s**2, 3)  # [0, 1, 4]
    """
    samples = jnp.arange(num_samples)
    if (
        num_samples == 1
    ):  # under the batch's vmap, a second one of length 1 makes XLA transpose the operands of every weight gradient
        return jax.tree.map(lambda leaf: leaf[None], function(samples[0]))
    return (
        jax.vmap(function)(samples)
        if block is None or block >= num_samples
        else jax.lax.map(function, samples, batch_size=block)
    )


def pairs_at_a_time(model: Model, x: Array | np.ndarray, most: int) -> int:
    """How many (datum, sample) pairs to decode at a time, at most `most`: as many as keep the largest array that decoding makes within LARGEST numbers.

    For a dense decoder that is `most`; the feature images of a convolutional one are a hundred times as large.

        pairs_at_a_time(model, data[0], 2048)
    """

    def decode(x, key):
        return model.decoder(model.encoder(x).sample(key)).log_prob(x)

    return max(
        1,
        min(
            most,
            LARGEST.get(jax.default_backend(), LARGEST_ELSEWHERE)
            // largest_array(decode, x, jr.key(0)),
        ),
    )


def largest_array(function: Callable[..., Any], *arguments: Any) -> int:
    """The most numbers in any one array that a function makes.

    largest_array(lambda q, z: q.log_prob(z), model.encoder(x), z)
    """
    arrays, rest = eqx.partition(arguments, eqx.is_array_like)
    return _largest_array(
        jax.make_jaxpr(lambda arrays: function(*eqx.combine(arrays, rest)))(arrays).jaxpr
    )


def _largest_array(jaxpr) -> int:
    """The most numbers that one operation of a program gives, programs within it included."""
    largest = 1
    for equation in jaxpr.eqns:
        inner = [getattr(p, "jaxpr", p) for p in equation.params.values()]
        sizes = [_largest_array(p) for p in inner if hasattr(p, "eqns")] + [
            math.prod(getattr(v.aval, "shape", ())) for v in equation.outvars
        ]
        largest = max(largest, *sizes)
    return largest


def log_weights(
    model: Model,
    batch: Shaped[Array | np.ndarray, "batch *event"],
    key: Key,
    num_samples: int,
    *,
    index: Int[Array | np.ndarray, " batch"] | None = None,
) -> LogWeights:
    """log w = log p(x|z) + log p(z) - log q(z|x) for samples z ~ q(z|x) of every datum of a batch.

    Args:
        model: prior, encoder, decoder.
        batch: data [batch, *event].
        key: folded with the datum's index and the sample's number.
        num_samples: samples per datum.
        index: the data's indices in their data set; 0, 1, 2, ... when absent.

    Returns:
        LogWeights with leaves [samples, batch], nats.

    Raises:
        ValueError: num_samples below 1.

        log_weights(model, x, jax.random.key(0), 50).tempered().mean(0)  # the ELBO of each datum
    """
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1; got {num_samples}.")
    index = jnp.arange(batch.shape[0]) if index is None else index
    prior = model.prior(model.encoder)

    def one(x, n):
        return datum_log_weights(model, prior, x, jr.fold_in(key, n), num_samples)

    return jax.vmap(one, out_axes=1)(batch, index)
