"""The feedforward decoder: a network on z, a linear map, and a likelihood head."""

from collections.abc import Callable

import equinox as eqx
import jax.random as jr

from jensen._types import Distribution, Key, Latent, LatentDim
from jensen.decoders._base import AbstractDecoder
from jensen.likelihoods import AbstractLikelihood, DataSummary
from jensen.networks import AbstractNetwork, Joined, Linear


class Feedforward(AbstractDecoder):
    """network -> linear -> likelihood.

    The last biases start at the likelihood's best constant guess. A code of several levels (z1, z2)
    goes through a network of several inputs.

        Feedforward(40, likelihood, network=make, data=None, key=jr.key(0))(z).log_prob(x)
    """

    network: AbstractNetwork | Joined
    head: Linear
    likelihood: AbstractLikelihood

    def __init__(
        self,
        latent_dim: LatentDim,
        likelihood: AbstractLikelihood,
        network: Callable[..., AbstractNetwork],
        data: DataSummary | None,
        *,
        key: Key,
    ):
        key_network, key_head = jr.split(key)
        self.network = network(latent_dim, key=key_network)
        head = Linear(self.network.out_size, likelihood.num_outputs, key=key_head)
        # Starting from the data's marginal distribution saves the first epochs of learning it.
        self.head = eqx.tree_at(
            lambda m: m.bias, head, likelihood.initial_bias(data).astype(head.weight.dtype)
        )
        self.likelihood = likelihood

    def __call__(self, z: Latent) -> Distribution:
        return self.likelihood(self.head(self.network(z)))
