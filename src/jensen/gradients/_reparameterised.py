"""The gradient of a bound through the draws, with a separate weight on each of its paths.

A parameter acts on log w_k = log p(x|z_k) + beta (log p(z_k) - log q(z_k|x)) in three ways:
directly (decoder, prior), through the draw z_k (encoder), and through the density log q itself
(encoder; the score, whose expectation is 0 unless it is multiplied by a weight that depends on
z_k). With F_k and F_kk the derivatives of the bound:

    pathwise                 direct F_k,   draw F_k,               score -beta F_k
    doubly reparameterised   direct F_k,   draw F_k - beta F_kk,   score 0

The second follows from

    E[F_k d log q(z_k)] = E[(dF_k / dz_k) (dz_k / d phi)] = E[F_kk (d log w_k / dz_k) (dz_k / d
    phi)]

(docs/gradients.md has the proof; Tucker et al. 2019 for the importance weighted bound).

The weights depend on all log-weights, but they are needed behind the decoder, where the cotangents
of the draws pass. Each draw therefore passes through `_tap`, the identity with a second output that
is 0: the cotangent of that output multiplies the cotangent of the draw. This costs one pass forward
and one back, as for the pathwise gradient.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key
from jensen.bounds import AbstractBound
from jensen.gradients._base import Estimate, estimate
from jensen.model import Model
from jensen.weights import LogWeights, over_samples, weigh

TINY = 1e-30


class PathWeights(NamedTuple):
    """Weights of one datum's samples, each of shape [samples]; constants to differentiation."""

    direct: Array  # F_k of the bound that decoder and prior ascend
    first: Array  # F_k of the bound that the encoder ascends
    second: Array  # F_kk of that bound


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
    """Compute the estimate for one datum.

    Args:
        bound, model, prior, x, key, num_samples, beta: as for
            `AbstractGradientEstimator.surrogate`.
        doubly: subtract beta F_kk from the weight of the draws.
        score: keep the gradient of log q through its parameters.
    """
    posterior = model.encoder(x)
    # log q enters log w with its parameters constant, so that z_k is its only path; the score,
    # where it is needed, is a separate term of the surrogate.
    constant_posterior = constant(model.encoder)(x)

    def draw(sample: Array) -> tuple[LogWeights, Array, Array]:
        z = posterior.sample(jr.fold_in(key, sample))
        tapped, token = _tap(z)
        weights = weigh(model, prior, x, tapped, constant_posterior)
        log_q = posterior.log_prob(jax.lax.stop_gradient(z)) if score else jnp.zeros_like(token)
        return weights, token, log_q

    weights, tokens, log_q = over_samples(draw, num_samples)
    log_w = weights.tempered(beta)
    direct, first, second = path_weights(bound, log_w)
    draw_weight = first - beta * second if doubly else first
    # The cotangent of a draw already carries the direct weight, so the tap multiplies by a
    # quotient. A direct weight of 0 is replaced by 1e-30, which decoder and prior do not notice.
    direct = jnp.where(jnp.abs(direct) < TINY, TINY, direct)
    surrogate = _gather(log_w, tokens, direct, draw_weight / direct)
    if score:
        surrogate = surrogate - jnp.vdot(jax.lax.stop_gradient(beta * first), log_q)
    return estimate(surrogate, bound, weights)


def constant(module: eqx.Module) -> Any:
    """Return the module with arrays that no gradient reaches."""
    arrays, rest = eqx.partition(module, eqx.is_array)
    return eqx.combine(jax.lax.stop_gradient(arrays), rest)


def path_weights(bound: AbstractBound, log_w: Float[Array, " samples"]) -> PathWeights:
    """Compute the weight of the direct path, and F_k and F_kk of the encoder's bound."""
    log_w = jax.lax.stop_gradient(log_w)
    direct = bound.for_model.derivatives(log_w)[0]
    # An encoder that descends its bound ascends the negative of it.
    first, second = (bound.for_encoder.sign * d for d in bound.for_encoder.derivatives(log_w))
    return PathWeights(*jax.lax.stop_gradient((direct, first, second)))


@jax.custom_vjp
def _tap(z: Any) -> tuple[Any, Array]:
    """Return (z, 0); the cotangent of the second output multiplies that of the first."""
    # A literal 0 would be one value for the whole batch under vmap, and sum the cotangents of all
    # of it; this 0 is computed from the draw, so each draw has its own.
    first = jax.tree.leaves(z)[0].ravel()[0]
    return z, jnp.where(jnp.isnan(first), jnp.zeros_like(first), jnp.zeros_like(first))


def _tap_forward(z):
    return _tap(z), None


def _tap_backward(_, cotangents):
    z_cotangent, weight = cotangents
    return (jax.tree.map(lambda leaf: weight * leaf, z_cotangent),)


_tap.defvjp(_tap_forward, _tap_backward)


@jax.custom_vjp
def _gather(log_w: Array, tokens: Array, direct: Array, ratio: Array) -> Array:
    """Compute sum_k direct_k log w_k, with `ratio` as the cotangent of the tokens.

    The tokens' cotangent is `ratio` whatever the cotangent of the sum is.
    """
    return jnp.vdot(direct, log_w)


def _gather_forward(log_w, tokens, direct, ratio):
    return _gather(log_w, tokens, direct, ratio), (direct, ratio)


def _gather_backward(residuals, cotangent):
    direct, ratio = residuals
    return cotangent * direct, ratio, jnp.zeros_like(direct), jnp.zeros_like(ratio)


_gather.defvjp(_gather_forward, _gather_backward)
