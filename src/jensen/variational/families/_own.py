"""Families from outside the room: `own` for any distribution, `from_flowjax` for FlowJAX's."""

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
    """Makes a family of your own distributions, for `fit_variational(target, own(parameters,
    build))`.

    The distribution is over y [D], and q is the distribution of u = loc + L y, in the units of the
    start: if y is standard normal, q is the start itself.

    Args:
        parameters: a pytree of arrays, the initial argument of `build`; the inexact ones are
            fitted, in float64.
        build: parameters -> a distribution with `sample(key, shape)` and exact `log_prob` over y
            [D], such as NumPyro's or an `equinox.Module`. Keep scales positive in it, by `jnp.exp`.
            If its `has_rsample` is False its draws have no derivative, and fits are stochastic, by
            the score function.
        network: whether the parameters are a network's weights: see `AbstractFamily`.

    Returns:
        a callable from a `Start` to the family. Any callable of this kind is a family, for example
        a subclass of `AbstractFamily`.

        own({"loc": jnp.zeros(2)}, lambda p: dist.StudentT(5.0, p["loc"], 1.0).to_event(1))
    """
    return lambda start: Own(start, parameters, build, network)


def from_flowjax(flow: Any) -> Callable[[Start], "Own | Pushed"]:
    """Makes a family of a FlowJAX distribution over y [D], like `own` (extra `flows`). The fit
    starts from the given distribution.

    If its base is FlowJAX's StandardNormal, fixed draws are draws of the base with matched moments,
    pushed through the bijection. Use `invert=False` for a masked autoregressive flow: its draws
    then take one pass.

    Raises:
        ValueError: FlowJAX is not installed, or `flow` is not an unconditional distribution of
            vectors.

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
            "from_flowjax needs a FlowJAX distribution of vectors, shape (D,) and without a "
            f"condition; got {facts}."
        )
    if isinstance(flow, AbstractTransformed) and isinstance(flow.base_dist, StandardNormal):
        return lambda start: Pushed(start, flow)
    return own(flow, lambda flow: flow, network=True)


class Own(AbstractFamily):
    """The family that `own` makes. Each noise value is the seed of a draw's key."""

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
        """Whether its draws have derivatives: its `has_rsample`, True where it has none."""
        return bool(getattr(self.build(self.parameters), "has_rsample", True))

    def __call__(self) -> Distribution:
        return _Unwhitened(self.build(self.parameters), self.start)

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
    """The family that `from_flowjax` makes of a bijection of the standard normal."""

    reparameterised: ClassVar[bool] = True
    network: ClassVar[bool] = True
    flow: Any
    start: Start = constant()

    def __init__(self, start: Start, flow: Any):
        self.flow, self.start = _double(flow), start
        _check(self.flow, start)

    def __call__(self) -> Distribution:
        return _Unwhitened(self.flow, self.start)

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


class _Unwhitened(eqx.Module):
    """The distribution of loc + L y, y from another distribution; log_prob in nats."""

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
        def log_prob_of_one(u: Array) -> Array:
            y = jax.scipy.linalg.solve_triangular(
                self.start.scale_tril, u - self.start.loc, lower=True
            )
            return self.inner.log_prob(y) - log_diagonal_sum(self.start.scale_tril)

        return jnp.vectorize(log_prob_of_one, signature="(d)->()")(value)


def _double(parameters: Any) -> Any:
    return jax.tree.map(
        lambda leaf: jnp.asarray(leaf, float) if eqx.is_inexact_array_like(leaf) else leaf,
        parameters,
    )


def _check(q: Any, start: Start) -> None:
    """Checks that draws have shape [D] and their log-densities are scalars."""
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
            f"a family's distribution must be over vectors of the target's {dim} coordinates; "
            f"got {got}. In NumPyro, .to_event(1) makes one of many."
        )
