"""Hierarchical variational auto-encoders, with two levels of latent variables or more.

    q(z_1 .. z_L | x) = q(z_L | x) prod_l q(z_l | x, z_{l+1})
    p(x, z_1 .. z_L) = p(x | z_1 .. z_L) p(z_L) prod_l p(z_l | z_{l+1})

With two levels it is the HVAE of Tomczak & Welling 2018, section 3.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from jensen._rooms import LATENT_DIM, ROOMS
from jensen._types import Array, Distribution, Key, LatentDim
from jensen._words import in_python_words
from jensen.distributions import Joint, diagonal_normal
from jensen.encoders import AbstractEncoder
from jensen.model import Model, Recipe
from jensen.models._codes import build_prior_and_encoder
from jensen.models._parts import Choice, Data, Parts, check_latent_dim
from jensen.networks import AbstractNetwork, Joined, Linear
from jensen.priors import AbstractPrior

MAX_LOG_SCALE = 10.0  # limit on |log s|: keeps exp finite


class ConditionalNormal(eqx.Module):
    """Map inputs to N(m(inputs), diag(s(inputs)^2)), by a network and a linear head."""

    network: AbstractNetwork | Joined
    head: Linear

    def __init__(
        self,
        in_size: LatentDim,
        latent_dim: int,
        network: Callable[..., AbstractNetwork | Joined],
        key: Key,
    ):
        key_network, key_head = jr.split(key)
        self.network = network(in_size, key=key_network)
        self.head = Linear(self.network.out_size, 2 * latent_dim, key=key_head)

    def __call__(self, inputs: Array | tuple[Array, ...]) -> Distribution:
        features = self.network(inputs)  # pyright: ignore[reportArgumentType]
        loc, log_scale = self.head(features).reshape(2, -1)
        return diagonal_normal(loc, jnp.exp(jnp.clip(log_scale, -MAX_LOG_SCALE, MAX_LOG_SCALE)))


class GivenDatum(eqx.Module):
    """Map z_{l+1} to q(z_l | x, z_{l+1}) for one datum."""

    conditional: ConditionalNormal
    x: Array

    def __call__(self, above: Array) -> Distribution:
        return self.conditional((self.x, above))


class HierarchicalEncoder(AbstractEncoder):
    """Map x to the joint posterior of all levels.

    `below` are the conditionals q(z_l | x, z_{l+1}), the one under the top first.
    """

    top: AbstractEncoder
    below: tuple[ConditionalNormal, ...]

    def __call__(self, x: Array) -> Joint:
        features = self.top.standardise(x)
        return Joint(
            self.top(x), tuple(GivenDatum(conditional, features) for conditional in self.below)
        )


class HierarchicalPrior(AbstractPrior):
    """Any prior on the top level, with learned conditionals p(z_l | z_{l+1}) below it."""

    top: AbstractPrior
    below: tuple[ConditionalNormal, ...]

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Joint:
        # A prior on the top sees q(z_L | x) only: its pseudo-inputs are those of the top level.
        def encode_top(x: Array) -> Distribution:
            posterior: Any = encoder(x)  # a Joint, from an encoder of another class
            return posterior.top

        top_encoder = encoder.top if isinstance(encoder, HierarchicalEncoder) else encode_top
        return Joint(self.top(top_encoder), self.below)


def top_level(part: Any) -> Any:
    """Return the top level of an encoder or a prior, or the part itself if it has one level.

    Raises:
        ValueError: if the encoder's top level has no closed form.

    Example:
        top_level(model.prior)
    """
    if getattr(part, "bottom_up", False):  # its `top` raises, with the alternatives
        return part.top
    return part.top if isinstance(part, HierarchicalEncoder | HierarchicalPrior) else part


@in_python_words
def hvae(
    event_shape: Sequence[int],
    *,
    latent_dim: int | Sequence[int] = (LATENT_DIM, LATENT_DIM),
    likelihood: Choice = ROOMS["likelihood"].default,
    prior: Choice = ROOMS["prior"].default,
    encoder: Choice = ROOMS["encoder"].default,
    decoder: Choice = ROOMS["decoder"].default,
    network: Choice = ROOMS["network"].default,
    encoder_network: Choice | None = None,
    decoder_network: Choice | None = None,
    data: Data = None,
    key: Key,
) -> Model:
    """Build a hierarchical variational auto-encoder from names (Tomczak & Welling 2018, section 3).

    Its latent code is the tuple (z1, z2, ...), z1 nearest to the data. In a network of several
    inputs, all hidden layers but the last form a stem for each input, and the last is the trunk;
    p(z1|z2) and q(z2|x) have the whole network.

    Args:
        event_shape: the shape of one datum.
        latent_dim: the latent dimensions of z1, z2, ...; one number means two levels of that size.
        prior: the prior of the top level.
        encoder: the encoder q(z_L|x) of the top level.
        decoder: the decoder; its input is the whole code.
        likelihood, network, encoder_network, decoder_network, data, key: see `vae`.

    Returns:
        A `Model`.

    Raises:
        ValueError: if there are fewer than two levels, and what `vae` raises.

    Example:
        model = jensen.hvae((8, 8), latent_dim=16, prior="vamp", key=jax.random.key(0))
    """
    sizes = (latent_dim, latent_dim) if isinstance(latent_dim, int) else tuple(latent_dim)
    if len(sizes) < 2:
        raise ValueError(
            f"an hvae has at least two levels, z1 and z2; got latent_dim={list(sizes)}. For one "
            "level use the model vae."
        )
    for size in sizes:
        check_latent_dim(size)
    choices = {
        "likelihood": likelihood,
        "prior": prior,
        "encoder": encoder,
        "decoder": decoder,
        "network": network,
    }
    choices |= {"encoder_network": encoder_network, "decoder_network": decoder_network}
    parts = Parts(event_shape, choices, data)
    key_prior, key_encoder, key_decoder, key_below_prior, key_below_encoder = jr.split(key, 5)
    data_size = math.prod(parts.event_shape)
    top_prior, top_encoder, top_size = build_prior_and_encoder(
        parts, sizes[-1], key_prior, key_encoder
    )
    lengths = (*sizes[:-1], top_size)
    # Pairs (size of a level, size of the level above), from under the top downwards.
    pairs = list(zip(lengths[-2::-1], lengths[:0:-1], strict=True))

    def conditionals(
        of: str, key: Key, inputs: Callable[[int], LatentDim]
    ) -> tuple[ConditionalNormal, ...]:
        keys = jr.split(key, len(pairs))
        return tuple(
            ConditionalNormal(inputs(above), size, partial(parts.network, of=of), k)
            for (size, above), k in zip(pairs, keys, strict=True)
        )

    return Model(
        prior=HierarchicalPrior(
            top_prior, conditionals("prior", key_below_prior, lambda above: above)
        ),
        encoder=HierarchicalEncoder(
            top_encoder,
            conditionals("encoder", key_below_encoder, lambda above: (data_size, above)),
        ),
        decoder=parts.build("decoder", latent_dim=lengths, key=key_decoder),
        recipe=Recipe(parts.recipe("hvae", sizes)),
    )
