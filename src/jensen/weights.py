"""The currency of this library: log w = log p(x|z) + log p(z) - log q(z|x), as its three parts.

Everything either makes log-weights (an encoder's samples, annealing, a foreign model) or reads them
(bounds, gradient estimators, evidence, surgery). Random keys are folded from (key, datum index,
sample index), so no result depends on how data and samples are grouped into batches and chunks.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Shaped

from jensen._types import Array, Distribution, Float, Int, Key
from jensen.distributions import level_log_probs, root_code
from jensen.model import Model

# Limit on the size of one array while samples are decoded: 64 MB in float32 on CPU, 1 GB elsewhere.
LARGEST, LARGEST_ELSEWHERE = {"cpu": 2**24}, 2**28


class LogWeights(eqx.Module):
    """log p(x|z), log p(z) and log q(z|x) in nats.

    Each has shape [samples, batch]; [samples] for one datum, [] for one sample of one datum.

        LogWeights(log_likelihood, log_prior, log_posterior).tempered()  # log w
    """

    log_likelihood: Float[Array, "*shape"]
    log_prior: Float[Array, "*shape"]
    log_posterior: Float[Array, "*shape"]

    def tempered(self, beta: float | Array = 1.0) -> Float[Array, "*shape"]:
        """Compute log p(x|z) + beta (log p(z) - log q(z|x)), in nats.

        At beta = 1 these are the log-weights; other values are the beta-VAE and KL warm-up (Higgins
        et al. 2017).
        """
        return self.log_likelihood + beta * (self.log_prior - self.log_posterior)

    @property
    def log_joint(self) -> Float[Array, "*shape"]:
        """log p(x, z), in nats."""
        return self.log_likelihood + self.log_prior

    @property
    def log_w(self) -> Float[Array, "*shape"]:
        """log p(x, z) - log q(z|x), in nats: `tempered()` up to the order of the sum."""
        return self.log_joint - self.log_posterior


class Draw(eqx.Module):
    """One draw z of one datum, and the parts of its log-weight, in nats."""

    z: Any
    weights: LogWeights


class LevelDraws(NamedTuple):
    """Draws of a model of several levels and their log densities level by level, in nats.

    Attributes:
        z: the codes of the root level.
        log_likelihood: log p(x|z).
        log_priors, log_posteriors: log p and log q of each level, z_1 first, on the last axis.
    """

    z: Array
    log_likelihood: Array
    log_priors: Array
    log_posteriors: Array


def weigh(
    model: Model,
    prior: Distribution,
    x: Array,
    z: Any,
    posterior: Distribution | None = None,
) -> LogWeights:
    """Compute log p(x|z), log p(z) and log q(z|x) of one code of one datum, leaves of shape [].

    Every log-weight of this library is made here. `prior` is model.prior(model.encoder).
    `posterior` is the distribution that z was drawn from, the encoder's or another; without one,
    log q is 0 and `log_w` is log p(x, z).

        weigh(model, prior, x, z, model.encoder(x)).log_w
    """
    # In this order: XLA rounds by how it fuses a program, which follows the order of the operations.
    log_likelihood = model.decoder(z).log_prob(x)
    log_prior = prior.log_prob(z)
    log_posterior = jnp.zeros(()) if posterior is None else posterior.log_prob(z)
    return LogWeights(log_likelihood, log_prior, log_posterior)


def draw(model: Model, prior: Distribution, posterior: Distribution, x: Array, key: Key) -> Draw:
    """Draw z from `posterior` and compute the parts of its log-weight for the datum x.

    draw(model, prior, model.encoder(x), x, key).weights.log_w
    """
    z = posterior.sample(key)
    return Draw(z, weigh(model, prior, x, z, posterior))


def draw_levels(
    model: Model, prior: Distribution, posterior: Distribution, x: Array, key: Key
) -> LevelDraws:
    """Draw z from `posterior` and compute its log densities level by level.

    draw_levels(model, prior, model.encoder(x), x, key).log_priors.sum()  # log p(z)
    """
    z = posterior.sample(key)
    return LevelDraws(
        root_code(posterior, z),
        model.decoder(z).log_prob(x),
        level_log_probs(prior, z),
        level_log_probs(posterior, z),
    )


def datum_log_weights(
    model: Model,
    prior: Distribution,
    x: Array,
    key: Key,
    num_samples: int,
    *,
    block: int | None = None,
) -> LogWeights:
    """Compute the log-weights of one datum, leaves of shape [num_samples].

    `prior` is model.prior(model.encoder), made once for all data. With `block`, at most that many
    samples are decoded at a time, which changes memory use and nothing else.
    """
    posterior = model.encoder(x)

    def sample_log_weights(sample):
        # Folded, not split: sample s is the same draw whatever num_samples is.
        return draw(model, prior, posterior, x, jr.fold_in(key, sample)).weights

    return over_samples(sample_log_weights, num_samples, block)


def over_samples(
    function: Callable[[Array], Any], num_samples: int, block: int | None = None
) -> Any:
    """Stack function(0), ..., function(num_samples - 1), computing at most `block` at a time.

    over_samples(lambda s: s**2, 3)  # [0, 1, 4]
    """
    samples = jnp.arange(num_samples)
    # Under the batch's vmap, a second vmap of length 1 would make XLA transpose the operands of
    # every weight gradient.
    if num_samples == 1:
        return jax.tree.map(lambda leaf: leaf[None], function(samples[0]))
    return (
        jax.vmap(function)(samples)
        if block is None or block >= num_samples
        else jax.lax.map(function, samples, batch_size=block)
    )


def pairs_at_a_time(model: Model, x: Array | np.ndarray, most: int) -> int:
    """Compute how many (datum, sample) pairs to decode at a time, between 1 and `most`.

    The count keeps the largest array that decoding makes within the backend's limit (`LARGEST`).
    For a dense decoder it is `most`; the feature maps of a convolutional decoder are about a
    hundred times as large and lower it.

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
    """Count the elements of the largest array that a function makes, by tracing it.

    largest_array(lambda q, z: q.log_prob(z), model.encoder(x), z)
    """
    arrays, rest = eqx.partition(arguments, eqx.is_array_like)
    return _largest_array(
        jax.make_jaxpr(lambda arrays: function(*eqx.combine(arrays, rest)))(arrays).jaxpr
    )


def _largest_array(jaxpr) -> int:
    """Count the elements of the largest output of any operation in a program, however nested."""
    largest = 1
    for equation in jaxpr.eqns:
        # Loops, conditionals and jitted calls hold their bodies among their parameters.
        nested = [getattr(p, "jaxpr", p) for p in equation.params.values()]
        sizes = [_largest_array(p) for p in nested if hasattr(p, "eqns")] + [
            math.prod(getattr(v.aval, "shape", ())) for v in equation.outvars
        ]
        largest = max(largest, *sizes)
    return largest


def log_weights(
    model: Model,
    batch: Shaped[Array | np.ndarray, "batch *event"],
    *,
    key: Key,
    num_samples: int,
    index: Int[Array | np.ndarray, " batch"] | None = None,
) -> LogWeights:
    """Compute log w = log p(x|z) + log p(z) - log q(z|x) for samples z ~ q(z|x) of every datum.

    Args:
        model: prior, encoder, decoder.
        batch: data [batch, *event].
        key: folded with each datum's index and each sample's number.
        num_samples: samples per datum.
        index: indices of the data in their data set; 0, 1, 2, ... when absent.

    Returns:
        LogWeights with leaves of shape [samples, batch], in nats.

    Raises:
        ValueError: if num_samples is below 1.

    Example:
        weights = log_weights(model, x, key=jax.random.key(0), num_samples=50)
        weights.tempered().mean(0)  # the ELBO of each datum
    """
    if num_samples < 1:
        raise ValueError(f"num_samples must be at least 1; got {num_samples}.")
    index = jnp.arange(batch.shape[0]) if index is None else index
    prior = model.prior(model.encoder)  # outside the vmap: pseudo-inputs are encoded once

    def of_datum(x, n):
        return datum_log_weights(model, prior, x, jr.fold_in(key, n), num_samples)

    return jax.vmap(of_datum, out_axes=1)(batch, index)
