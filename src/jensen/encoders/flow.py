"""The flow posterior: a diagonal normal pushed through coupling layers conditioned on the datum.

Rezende & Mohamed 2015; layers of Dinh et al. 2017. The layers are coupling and not inverse
autoregressive: log q of a given z, which doubly reparameterised gradients and the aggregated
posterior need, then takes one pass like a sample does, where an inverse autoregressive flow needs
one pass per dimension.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key
from jensen.distributions import Coupling, CouplingFlow
from jensen.encoders._inputs import input_moments
from jensen.encoders._network import AbstractNetworkEncoder, check_correlated, check_max_log_scale
from jensen.likelihoods import DataSummary
from jensen.likelihoods._base import event_size
from jensen.networks import AbstractNetwork, Linear


class Flow(AbstractNetworkEncoder):
    """z = m + s f(u; x), u ~ N(0, I), with f made of `num_layers` affine coupling layers.

    Mean m and log s are as for a diagonal normal. Each coupling layer has one hidden layer of
    `hidden` units, which reads the unchanged half of u and the network's features. The posterior
    starts as a diagonal normal. For `input_transform` and `max_log_scale` (of log s) see
    `AbstractNetworkEncoder`.

    Raises:
        ValueError: if there are fewer than two latent dimensions, or an option is out of range.

    Example:
        encoder = Flow((28, 28), 40, network=make, data=None, key=jr.key(0), num_layers=4)
        encoder(x).log_prob(z)
    """

    richer_remedy: ClassVar[str] = "more layers (--set encoder.num_layers=8)"
    closed_under: ClassVar[str] = "flow"

    head: Linear
    layers: tuple["_Layer", ...]

    def __init__(
        self,
        event_shape: tuple[int, ...],
        latent_dim: int,
        network: Callable[..., AbstractNetwork],
        data: DataSummary | None,
        *,
        key: Key,
        num_layers: int = 4,
        hidden: int = 64,
        max_log_scale: float = 10.0,
        input_transform: Literal["none", "log1p"] = "none",
    ):
        for name, value in [("num_layers", num_layers), ("hidden", hidden)]:
            if value < 1:
                raise ValueError(f"encoder flow: {name} must be at least 1; got {value}.")
        check_correlated("flow", latent_dim)
        key_network, key_head, key_layers = jr.split(key, 3)
        self.max_log_scale = check_max_log_scale("flow", max_log_scale)
        self.network = network(event_size(event_shape), key=key_network)
        self.head = Linear(self.network.out_size, 2 * latent_dim, key=key_head)
        self.layers = tuple(
            _Layer(self.network.out_size, latent_dim, hidden, k)
            for k in jr.split(key_layers, num_layers)
        )
        self.data_mean, self.data_scale = input_moments("flow", event_shape, data, input_transform)
        self.input_transform = input_transform

    def __call__(self, x: Array) -> Distribution:
        features = self.features(x)
        loc, log_scale = self.head(features).reshape(2, -1)
        return CouplingFlow(
            loc, self.scale(log_scale), tuple(layer(features) for layer in self.layers)
        )


class _Layer(eqx.Module):
    """Maps features to the coupling layer of one datum; starts as the identity."""

    context: Linear
    into: Float[Array, "half hidden"]
    out: Linear

    def __init__(self, num_features: int, latent_dim: int, hidden: int, key: Key):
        key_context, key_into, key_out = jr.split(key, 3)
        half = latent_dim // 2
        self.context = Linear(num_features, hidden, key=key_context)
        self.into = Linear(half, hidden, key=key_into).weight
        # Last weights of zero: t and r are 0, so that training starts from a diagonal normal.
        self.out = eqx.tree_at(
            lambda h: h.weight,
            Linear(hidden, 2 * (latent_dim - half), key=key_out),
            replace_fn=jnp.zeros_like,
        )

    def __call__(self, features: Array) -> Coupling:
        return Coupling(self.into, self.context(features), self.out.weight, self.out.bias)
