"""The diagonal normal posterior, q(z|x) = N(z; m(x), diag(s(x)^2)) (Kingma & Welling 2013)."""

from collections.abc import Callable
from typing import ClassVar

import jax.random as jr

from jensen._types import Array, Distribution, Key
from jensen.distributions import diagonal_normal
from jensen.encoders._inputs import InputTransform, input_moments
from jensen.encoders._network import AbstractNetworkEncoder, check_max_log_scale
from jensen.likelihoods import DataSummary
from jensen.likelihoods._base import event_size
from jensen.networks import AbstractNetwork, Linear


class DiagonalNormal(AbstractNetworkEncoder):
    """Network and linear head for mean and log scale.

    For `input_transform` and `max_log_scale` see `AbstractNetworkEncoder`.

        DiagonalNormal((28, 28), 40, network=make, data=None, key=jr.key(0))(x).sample(key)
    """

    richer_remedy: ClassVar[str] = "a richer posterior (--set encoder.name=full_normal, or flow)"
    usual_for: ClassVar[str] = "continuous"

    head: Linear

    def __init__(
        self,
        event_shape: tuple[int, ...],
        latent_dim: int,
        network: Callable[..., AbstractNetwork],
        data: DataSummary | None,
        *,
        key: Key,
        max_log_scale: float = 10.0,
        input_transform: InputTransform = "none",
    ):
        key_network, key_head = jr.split(key)
        self.max_log_scale = check_max_log_scale("diagonal_normal", max_log_scale)
        self.network = network(event_size(event_shape), key=key_network)
        self.head = Linear(self.network.out_size, 2 * latent_dim, key=key_head)
        self.data_mean, self.data_scale = input_moments(
            "diagonal_normal", event_shape, data, input_transform
        )
        self.input_transform = input_transform

    def __call__(self, x: Array) -> Distribution:
        # One head for both: mean and log scale are the halves of one matrix product.
        loc, log_scale = self.head(self.features(x)).reshape(2, -1)
        return diagonal_normal(loc, self.scale(log_scale))
