"""A flow: affine coupling layers before the start's normal."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._numerics import LOG_2PI
from jensen._parameters import constant
from jensen._types import Array, Distribution, Float, Key
from jensen.distributions.bijections import FlowMap, identity
from jensen.variational.families._base import (
    AbstractFamily,
    Spread,
    Start,
    equal_shares,
    log_diagonal_sum,
    matched_normal,
    moved,
    normal_entropy,
)


class Flow(AbstractFamily):
    """u = loc + L f(e), e ~ N(0, I), f a triangular map and four affine coupling layers (Dinh et
    al. 2017), the identity at the start; for curved or skewed posteriors.

    It has some hundreds of parameters even in few dimensions, and so needs many fixed draws.

    Flow(Start(jnp.zeros(2), jnp.eye(2)))().log_prob(jnp.zeros(2))  # -1.8379
    """

    reparameterised: ClassVar[bool] = True
    network: ClassVar[bool] = True
    richness: ClassVar[int] = 3
    richest: ClassVar[bool] = True
    map: FlowMap
    start: Start = constant()

    def __init__(self, start: Start):
        self.start = start
        flow_map = identity("flow", start.loc)
        assert isinstance(flow_map, FlowMap)
        self.map = flow_map

    def __call__(self) -> Distribution:
        return _FlowPosterior(self.map, self.start)

    def spread(self, noise: Float[Array, "draws noise"]) -> Spread:
        points, log_det = jax.vmap(self.map.forward)(noise)
        # H(q) = H(N(0, I)) + E log |det du/de|
        entropy = (
            normal_entropy(self.noise_size)
            + log_diagonal_sum(self.start.scale_tril)
            + jnp.mean(log_det)
        )
        return Spread(
            jax.vmap(lambda y: moved(self.start, y))(points), equal_shares(len(noise)), entropy
        )

    @property
    def noise_size(self) -> int:
        return len(self.start.loc)

    def noise(self, uniforms: np.ndarray) -> np.ndarray:
        return matched_normal(uniforms)


class _FlowPosterior(eqx.Module):
    """The distribution of loc + L f(e), e ~ N(0, I); log_prob in nats."""

    map: FlowMap
    start: Start

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        noise = jr.normal(key, (*sample_shape, *self.start.loc.shape), self.start.loc.dtype)
        return jnp.vectorize(
            lambda e: moved(self.start, self.map.forward(e)[0]), signature="(d)->(d)"
        )(noise)

    def log_prob(self, value: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        def log_prob_of_one(u: Array) -> Array:
            y = jax.scipy.linalg.solve_triangular(
                self.start.scale_tril, u - self.start.loc, lower=True
            )
            e, log_det = self.map.inverse(y)
            return (
                -0.5 * jnp.vdot(e, e)
                - 0.5 * len(e) * LOG_2PI
                - log_det
                - log_diagonal_sum(self.start.scale_tril)
            )

        return jnp.vectorize(log_prob_of_one, signature="(d)->()")(value)
