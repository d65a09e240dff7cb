"""q(z|x): a diagonal normal pushed through coupling layers that know the datum (Rezende & Mohamed 2015; layers of Dinh et al. 2017).

Coupling and not inverse autoregressive layers: log q of a given z, which doubly reparameterised gradients and the aggregated posterior need, then takes one
pass like a sample does, where an inverse autoregressive flow needs one pass per dimension.
"""

from collections.abc import Callable
from typing import Literal

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
    """z = m + s f(u; x), u ~ N(0, I): mean and log s as for a diagonal normal, f of `num_layers` affine coupling layers, each with one hidden layer of `hidden`
    units that sees the kept half of u and the network's features. It starts as a diagonal normal. `input_transform` and `max_log_scale` (of log s): see
    `AbstractNetworkEncoder`.

    Raises:
        ValueError: fewer than two latent dimensions, or an option out of range.

        Flow((28, 28), 40, network=make, data=None, key=jr.key(0), num_layers=4)(x).log_prob(z)
    """

    head: Linear
    layers: tuple["_Layer", ...]

    def __init__(
        self,
        event_shape: tuple[int, ...],
        latent_dim: int,
        network: Callable[..., AbstractNetwork],
        data: DataSummary | None,
        key: Key,
        *,
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
    """features -> the coupling layer of one datum; its last weights start at 0, the layer as the identity."""

    context: Linear
    into: Float[Array, "kept hidden"]
    out: Linear

    def __init__(self, num_features: int, latent_dim: int, hidden: int, key: Key):
        key_context, key_into, key_out = jr.split(key, 3)
        kept = latent_dim // 2
        self.context = Linear(num_features, hidden, key=key_context)
        self.into = Linear(kept, hidden, key=key_into).weight
        self.out = eqx.tree_at(
            lambda h: h.weight,
            Linear(hidden, 2 * (latent_dim - kept), key=key_out),
            replace_fn=jnp.zeros_like,
        )

    def __call__(self, features: Array) -> Coupling:
        return Coupling(self.into, self.context(features), self.out.weight, self.out.bias)
