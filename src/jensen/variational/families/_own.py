"""Families from outside the room: what a person's own distributions, and those of FlowJAX, need to be one."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._parameters import constant
from jensen._types import Array, Distribution, Float, Key
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

SEEDS = 2.0**31


def own(
    parameters: Any, build: Callable[[Any], Distribution], *, network: bool = False
) -> Callable[[Start], "Own"]:
    """A family of your own distributions, for `fit_variational(target, own(parameters, build))`.

    The distribution is of y [D], and q is the law of u = loc + L y in the units of the start: with y standard normal, q is the start itself.

    Args:
        parameters: a pytree of arrays to set out from, as `build` takes it; the inexact ones are fitted, in float64.
        build: parameters -> a distribution with `sample(key, shape)` and exact `log_prob` over y [D], such as NumPyro's or an `equinox.Module`. Keep scales
            positive there: `jnp.exp`. Where its `has_rsample` is False, no derivative passes its draws, and fits are stochastic, by the score function.
        network: whether the parameters are a network's weights: see `AbstractFamily`.

    Returns:
        A start -> the family. Any other such callable is a family too, your own subclass of `AbstractFamily` for one.

        own({"loc": jnp.zeros(2)}, lambda p: dist.StudentT(5.0, p["loc"], 1.0).to_event(1))
    """
    return lambda start: Own(start, parameters, build, network)


def from_flowjax(flow: Any) -> Callable[[Start], "Own | Pushed"]:
    """A family of a FlowJAX distribution over y [D], as `own` (extra `flows`); the given one is where its fit sets out from.

    Where its base is FlowJAX's StandardNormal, held draws are those of the base, with exact first moments, pushed through the bijection. A masked
    autoregressive flow wants `invert=False`: draws take one pass.

    Raises:
        ValueError: FlowJAX is not installed, or the thing is not an unconditional distribution of vectors.

        from_flowjax(flowjax.flows.coupling_flow(key, base_dist=StandardNormal((2,)), invert=False))
    """
    try:
        from flowjax.distributions import AbstractDistribution, AbstractTransformed, StandardNormal
    except ImportError:
        raise ValueError(
            "from_flowjax needs the extra 'flows': pip install 'jensen[flows]'."
        ) from None
    if (
        not isinstance(flow, AbstractDistribution)
        or len(flow.shape) != 1
        or flow.cond_shape is not None
    ):
        facts = (
            f"shape {flow.shape}, condition {flow.cond_shape}"
            if isinstance(flow, AbstractDistribution)
            else type(flow).__name__
        )
        raise ValueError(
            f"from_flowjax wants a FlowJAX distribution of vectors, shape (D,) and without a condition; got {facts}."
        )
    if isinstance(flow, AbstractTransformed) and isinstance(flow.base_dist, StandardNormal):
        return lambda start: Pushed(start, flow)
    return own(flow, lambda flow: flow, network=True)


class Own(AbstractFamily):
    """What `own` makes. Held draws are those of held keys, one for each number of the noise."""

    parameters: Any
    build: Callable[[Any], Distribution] = eqx.field(static=True)
    network: bool = eqx.field(static=True)  # pyright: ignore[reportIncompatibleVariableOverride]
    start: Start = constant()

    def __init__(
        self, start: Start, parameters: Any, build: Callable[[Any], Distribution], network: bool
    ):
        self.parameters, self.build, self.network, self.start = (  # pyright: ignore
            _double(parameters),
            build,
            network,
            start,
        )
        _check(build(self.parameters), start)

    @property
    def reparameterised(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether derivatives pass its draws: its `has_rsample`, where it has one."""
        return bool(getattr(self.build(self.parameters), "has_rsample", True))

    def __call__(self) -> Distribution:
        return _Moved(self.build(self.parameters), self.start)

    def spread(self, noise: Float[Array, "draws noise"]) -> Spread:
        q = self.build(self.parameters)
        y = jax.vmap(lambda e: q.sample(jr.key(e.astype(jnp.uint32))))(noise[:, 0])
        entropy = log_diagonal_sum(self.start.scale_tril) - jnp.mean(jax.vmap(q.log_prob)(y))
        return Spread(
            jax.vmap(lambda y: moved(self.start, y))(y), equal_shares(len(noise)), entropy
        )

    @property
    def noise_size(self) -> int:
        return 1

    def noise(self, uniforms: np.ndarray) -> np.ndarray:
        return np.floor(uniforms * SEEDS)


class Pushed(AbstractFamily):
    """What `from_flowjax` makes of a bijection of the standard normal."""

    reparameterised: ClassVar[bool] = True
    network: ClassVar[bool] = True
    flow: Any
    start: Start = constant()

    def __init__(self, start: Start, flow: Any):
        self.flow, self.start = _double(flow), start
        _check(self.flow, start)

    def __call__(self) -> Distribution:
        return _Moved(self.flow, self.start)

    def spread(self, noise: Float[Array, "draws noise"]) -> Spread:
        import paramax

        y, log_det = jax.vmap(paramax.unwrap(self.flow.bijection).transform_and_log_det)(noise)
        # H(q) = H(N(0, I)) + E log |det du/de|
        entropy = (
            normal_entropy(self.noise_size)
            + log_diagonal_sum(self.start.scale_tril)
            + jnp.mean(log_det)
        )
        return Spread(
            jax.vmap(lambda y: moved(self.start, y))(y), equal_shares(len(noise)), entropy
        )

    @property
    def noise_size(self) -> int:
        return len(self.start.loc)

    def noise(self, uniforms: np.ndarray) -> np.ndarray:
        return matched_normal(uniforms)


class _Moved(eqx.Module):
    """The law of loc + L y, y of another distribution; log_prob in nats."""

    inner: Any
    start: Start

    @property
    def has_rsample(self) -> bool:
        return bool(getattr(self.inner, "has_rsample", True))

    def sample(self, key: Key, sample_shape: tuple[int, ...] = ()) -> Array:
        return jnp.vectorize(lambda y: moved(self.start, y), signature="(d)->(d)")(
            self.inner.sample(key, sample_shape)
        )

    def log_prob(self, value: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        def one(u: Array) -> Array:
            y = jax.scipy.linalg.solve_triangular(
                self.start.scale_tril, u - self.start.loc, lower=True
            )
            return self.inner.log_prob(y) - log_diagonal_sum(self.start.scale_tril)

        return jnp.vectorize(one, signature="(d)->()")(value)


def _double(parameters: Any) -> Any:
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, float) if eqx.is_inexact_array_like(leaf) else leaf,
        parameters,
    )


def _check(q: Any, start: Start) -> None:
    """Refuses draws of another shape than [D], and densities of them that are not one number."""
    dim = len(start.loc)
    try:
        draw = jax.eval_shape(lambda key: q.sample(key), jr.key(0))
        density = (
            jax.eval_shape(q.log_prob, jax.ShapeDtypeStruct((dim,), start.loc.dtype))
            if draw.shape == (dim,)
            else None
        )
    except AttributeError as error:
        raise ValueError(
            f"a family's distribution needs sample(key, shape) and log_prob(value): {error}."
        ) from error
    if density is None or density.shape != ():
        got = f"draws of shape {draw.shape}" + (
            "" if density is None else f" and log-densities of shape {density.shape}"
        )
        raise ValueError(
            f"a family's distribution must be over vectors of the target's {dim} coordinates; got {got}. In NumPyro, .to_event(1) makes one of many."
        )
