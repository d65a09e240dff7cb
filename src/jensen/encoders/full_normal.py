"""The full-covariance normal posterior, q(z|x) = N(z; m(x), L(x) L(x)^T).

It has correlations between latent dimensions (Kingma & Welling 2019, section 2.5.1).
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array, Distribution, Key
from jensen.distributions import full_normal
from jensen.encoders._inputs import input_moments
from jensen.encoders._network import AbstractNetworkEncoder, check_correlated, check_max_log_scale
from jensen.likelihoods import DataSummary
from jensen.likelihoods._base import event_size
from jensen.networks import AbstractNetwork, Linear


class FullNormal(AbstractNetworkEncoder):
    """Normal with L = diag(s) (I + C), C strictly lower triangular.

    Mean, log s and C are linear in the network's features. The posterior starts as a diagonal
    normal, C = 0. The rows of C are in units of s, so that a scale can change without the
    correlations. For `input_transform` and `max_log_scale` (of log s) see `AbstractNetworkEncoder`.

    Raises:
        ValueError: if there are fewer than two latent dimensions, or an option is out of range.

    Example:
        encoder = FullNormal((28, 28), 40, network=make, data=None, key=jr.key(0))
        encoder(x).scale_tril
    """

    richer_remedy: ClassVar[str] = "a richer posterior (--set encoder.name=flow)"
    closed_under: ClassVar[str] = "full"

    head: Linear
    below: Linear

    def __init__(
        self,
        event_shape: tuple[int, ...],
        latent_dim: int,
        network: Callable[..., AbstractNetwork],
        data: DataSummary | None,
        *,
        key: Key,
        max_log_scale: float = 10.0,
        input_transform: Literal["none", "log1p"] = "none",
    ):
        check_correlated("full_normal", latent_dim)
        key_network, key_head = jr.split(key)
        self.max_log_scale = check_max_log_scale("full_normal", max_log_scale)
        self.network = network(event_size(event_shape), key=key_network)
        self.head = Linear(self.network.out_size, 2 * latent_dim, key=key_head)
        # The drawn weights are replaced by zeros, so the head's key may serve twice.
        below = Linear(self.network.out_size, latent_dim * (latent_dim - 1) // 2, key=key_head)
        # Starts at 0: random correlations of many dimensions would make the first variances several
        # times too large.
        self.below = eqx.tree_at(lambda h: h.weight, below, replace_fn=jnp.zeros_like)
        self.data_mean, self.data_scale = input_moments(
            "full_normal", event_shape, data, input_transform
        )
        self.input_transform = input_transform

    def __call__(self, x: Array) -> Distribution:
        features = self.features(x)
        loc, log_scale = self.head(features).reshape(2, -1)
        below = (
            jnp.zeros((len(loc), len(loc)), loc.dtype)
            .at[np.tril_indices(len(loc), -1)]
            .set(self.below(features))
        )
        # Row i of L is s_i times row i of I + C.
        return full_normal(
            loc, self.scale(log_scale)[:, None] * (jnp.eye(len(loc), dtype=loc.dtype) + below)
        )
