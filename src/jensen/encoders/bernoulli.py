"""Binary codes: q(z|x) = prod_i Bernoulli(z_i; sigmoid(l_i(x))).

As in neural variational inference and learning (Mnih & Gregor 2014).
"""

from collections.abc import Callable
from typing import ClassVar

import equinox as eqx
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key
from jensen.distributions import Bernoulli as BernoulliVector
from jensen.encoders._base import AbstractEncoder
from jensen.encoders._inputs import InputTransform, input_moments, standardise
from jensen.likelihoods import DataSummary
from jensen.likelihoods._base import event_size
from jensen.networks import AbstractNetwork, Linear


class Bernoulli(AbstractEncoder):
    """Network and linear head for the logits of `latent_dim` independent bits.

    A code is a vector of floats 0 and 1, as decoders read it. Inputs are standardised as in the
    diagonal normal encoder, `input_transform` included. Bits have no reparameterised draws: only
    the score-function estimators (score_function, vimco) train this encoder.

        encoder = Bernoulli((28, 28), 40, network=make, data=None, key=jr.key(0))
        encoder(x).sample(key)  # 40 numbers, each 0. or 1.
    """

    usual_for: ClassVar[str] = "binary"

    network: AbstractNetwork
    head: Linear
    data_mean: Float[Array, " size"]
    data_scale: Float[Array, ""]
    input_transform: InputTransform = eqx.field(static=True)

    def __init__(
        self,
        event_shape: tuple[int, ...],
        latent_dim: int,
        network: Callable[..., AbstractNetwork],
        data: DataSummary | None,
        *,
        key: Key,
        input_transform: InputTransform = "none",
    ):
        key_network, key_head = jr.split(key)
        self.network = network(event_size(event_shape), key=key_network)
        self.head = Linear(self.network.out_size, latent_dim, key=key_head)
        self.data_mean, self.data_scale = input_moments(
            "bernoulli", event_shape, data, input_transform
        )
        self.input_transform = input_transform

    def standardise(self, x: Array) -> Float[Array, " size"]:
        return standardise(x, self.data_mean, self.data_scale, self.input_transform)

    def __call__(self, x: Array) -> Distribution:
        logits = self.head(self.network(self.standardise(x)))
        # Draws are floats, not bytes: the decoder's network reads them.
        return BernoulliVector(logits, dtype=logits.dtype)
