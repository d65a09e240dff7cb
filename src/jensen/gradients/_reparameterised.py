"""The gradient of a bound through the draws, each of its paths with a weight of its own.

A parameter acts on log w_k = log p(x|z_k) + beta (log p(z_k) - log q(z_k|x)) directly (decoder, prior), through the draw z_k (encoder), and through the density
log q itself (encoder; the score, whose expectation is 0 unless a weight that depends on z_k stands before it). With F_k and F_kk the derivatives of the bound:

    pathwise                 direct F_k,   draw F_k,               score -beta F_k
    doubly reparameterised   direct F_k,   draw F_k - beta F_kk,   score 0

since E[F_k d log q(z_k)] = E[(dF_k / dz_k) (dz_k / d phi)] = E[F_kk (d log w_k / dz_k) (dz_k / d phi)] (docs/gradients.md has the proof). The weights are known
only when all log-weights are, but they are wanted behind the decoder. So each draw passes through `_tap`, the identity, with a second output that is 0: the
cotangent that the surrogate gives to that output multiplies the cotangent of the draw. One pass forward, one back, as for the pathwise gradient.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key
from jensen.bounds import AbstractBound
from jensen.gradients._base import Estimate, estimate
from jensen.model import Model
from jensen.weights import LogWeights, over_samples

TINY = 1e-30


def reparameterised(
    bound: AbstractBound,
    model: Model,
    prior: Distribution,
    x: Array,
    key: Key,
    *,
    num_samples: int,
    beta: Float[Array, ""] | float,
    doubly: bool,
    score: bool,
) -> Estimate:
    """The estimate for one datum. `doubly` takes beta F_kk from the weight of the draws; `score` keeps the gradient of log q itself."""
    posterior = model.encoder(x)
    held = constant(model.encoder)(x)

    def one(sample: Array) -> tuple[LogWeights, Array, Array]:
        z = posterior.sample(jr.fold_in(key, sample))
        tapped, token = _tap(z)
        weights = LogWeights(
            model.decoder(tapped).log_prob(x), prior.log_prob(tapped), held.log_prob(tapped)
        )
        log_q = posterior.log_prob(jax.lax.stop_gradient(z)) if score else jnp.zeros_like(token)
        return weights, token, log_q

    weights, tokens, log_q = over_samples(one, num_samples)
    log_w = weights.tempered(beta)
    direct, first, second = path_weights(bound, log_w)
    draw = first - beta * second if doubly else first
    # Where the direct weight is 0 the quotient would be lost; decoder and prior do not feel 1e-30.
    direct = jnp.where(jnp.abs(direct) < TINY, TINY, direct)
    surrogate = _gather(log_w, tokens, direct, draw / direct)
    if score:
        surrogate = surrogate - jnp.vdot(jax.lax.stop_gradient(beta * first), log_q)
    return estimate(surrogate, bound, weights)


def constant(module: eqx.Module) -> Any:
    """The module, with arrays that no gradient reaches."""
    arrays, rest = eqx.partition(module, eqx.is_array)
    return eqx.combine(jax.lax.stop_gradient(arrays), rest)


def path_weights(
    bound: AbstractBound, log_w: Float[Array, " samples"]
) -> tuple[Array, Array, Array]:
    """(the weight of the direct path, F_k and F_kk of what the encoder ascends), constants to differentiation."""
    log_w = jax.lax.stop_gradient(log_w)
    direct = bound.for_model.derivatives(log_w)[0]
    first, second = (bound.for_encoder.sign * d for d in bound.for_encoder.derivatives(log_w))
    return jax.lax.stop_gradient((direct, first, second))


@jax.custom_vjp
def _tap(z: Any) -> tuple[Any, Array]:
    """(z, 0): the cotangent of the second multiplies that of the first."""
    # A plain 0 would be one for the whole batch, and gather the cotangents of all of it: this one is each draw's own.
    first = jax.tree.leaves(z)[0].ravel()[0]
    return z, jnp.where(jnp.isnan(first), jnp.zeros_like(first), jnp.zeros_like(first))


def _tap_forward(z):
    return _tap(z), None


def _tap_backward(_, cotangents):
    ahead, weight = cotangents
    return (jax.tree.map(lambda leaf: weight * leaf, ahead),)


_tap.defvjp(_tap_forward, _tap_backward)


@jax.custom_vjp
def _gather(log_w: Array, tokens: Array, direct: Array, ratio: Array) -> Array:
    """sum_k direct_k log w_k, with `ratio` as the cotangent of the tokens, whatever its own cotangent is."""
    return jnp.vdot(direct, log_w)


def _gather_forward(log_w, tokens, direct, ratio):
    return _gather(log_w, tokens, direct, ratio), (direct, ratio)


def _gather_backward(kept, cotangent):
    direct, ratio = kept
    return cotangent * direct, ratio, jnp.zeros_like(direct), jnp.zeros_like(ratio)


_gather.defvjp(_gather_forward, _gather_backward)
