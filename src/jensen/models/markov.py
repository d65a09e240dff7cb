"""Markov chains of latent variables (Burda, Grosse & Salakhutdinov 2016).

"Importance weighted autoencoders", section 2 and the two-layer models.

    q(z_1 .. z_L | x) = q(z_1 | x) prod_l q(z_{l+1} | z_l)
    p(x, z_1 .. z_L) = p(z_L) prod_l p(z_l | z_{l+1}) p(x | z_1)

The datum acts on z_1 alone, and z_1 alone on the datum. Therefore I(n; z_1 .. z_L) = I(n; z_1), and
q(z_1 .. z_L) = q(z_1) prod_l q(z_{l+1} | z_l) with q(z_1) an exact mixture: both parts of the
average KL are exact, over all levels together.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from jensen._rooms import LATENT_DIM, ROOMS
from jensen._types import Array, Distribution, Key, Latent
from jensen._words import in_python_words
from jensen.decoders import AbstractDecoder
from jensen.distributions import CONTINUOUS, BottomUp, code_kind
from jensen.distributions.bottom_up import NO_TOP
from jensen.encoders import AbstractEncoder
from jensen.model import Model, Recipe
from jensen.models._parts import Choice, Data, Parts, check_latent_dim
from jensen.models.hvae import ConditionalNormal, HierarchicalPrior


class MarkovEncoder(AbstractEncoder):
    """Map x to the posterior of all levels.

    `above` are the conditionals q(z_{l+1} | z_l), that of z_2 first.
    """

    bottom_up: ClassVar[bool] = True
    first: AbstractEncoder
    above: tuple[ConditionalNormal, ...]

    def __call__(self, x: Array) -> BottomUp:
        return BottomUp(self.first(x), self.above)

    def standardise(self, x: Array) -> Array:
        return self.first.standardise(x)

    @property
    def top(self) -> Any:
        """Not available (see `BottomUp.top`).

        Raises:
            ValueError: always.
        """
        raise ValueError(NO_TOP)


class FirstLevelDecoder(AbstractDecoder):
    """Map a code (z_1, ..., z_L), or z_1 alone, to p(x | z_1)."""

    decoder: AbstractDecoder

    def __call__(self, z: Latent) -> Distribution:
        return self.decoder(z[0] if isinstance(z, tuple) else z)

    @property
    def autoregressive(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the decoder of z_1 is autoregressive."""
        return self.decoder.autoregressive

    @property
    def likelihood(self) -> Any:
        """The likelihood of the decoder of z_1."""
        return self.decoder.likelihood  # pyright: ignore[reportAttributeAccessIssue]


@in_python_words
def markov(
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
    """Build a Markov chain of latent variables from names (Burda, Grosse & Salakhutdinov 2016).

    It has two levels or more, inferred from the data upwards. Its latent code is the tuple (z1, z2,
    ...), z1 nearest to the data. `network` serves the conditionals q(z2|z1) and p(z1|z2), and
    q(z1|x) and p(x|z1) too unless `encoder_network` and `decoder_network` are given.

    Args:
        event_shape: the shape of one datum.
        latent_dim: the latent dimensions of z1, z2, ...; one number means two levels of that size.
        prior: the prior of the top level. It cannot depend on the encoder, since q(z_L|x) has no
            closed form.
        encoder: the encoder q(z1|x).
        decoder: the decoder p(x|z1).
        likelihood, network, encoder_network, decoder_network, data, key: see `vae`.

    Returns:
        A `Model`.

    Raises:
        ValueError: if there are fewer than two levels or the prior depends on the encoder, and what
            `vae` raises.

    Example:
        model = jensen.markov((28, 28), latent_dim=(100, 50), key=jax.random.key(0))
    """
    sizes = (latent_dim, latent_dim) if isinstance(latent_dim, int) else tuple(latent_dim)
    if len(sizes) < 2:
        raise ValueError(
            f"a markov model has at least two levels, z1 and z2; got latent_dim={list(sizes)}. "
            "For one level use the model vae."
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
    key_prior, key_encoder, key_decoder, key_below, key_above = jr.split(key, 5)

    def conditionals(key: Key, chain: Sequence[int]) -> tuple[ConditionalNormal, ...]:
        keys = jr.split(key, len(chain) - 1)
        return tuple(
            ConditionalNormal(given, size, parts.network, k)
            for given, size, k in zip(chain, chain[1:], keys, strict=False)
        )

    model = Model(
        prior=HierarchicalPrior(
            parts.build("prior", latent_dim=sizes[-1], code_size=sizes[-1], key=key_prior),
            conditionals(key_below, sizes[::-1]),
        ),
        encoder=MarkovEncoder(
            parts.build("encoder", latent_dim=sizes[0], key=key_encoder),
            conditionals(key_above, sizes),
        ),
        decoder=FirstLevelDecoder(parts.build("decoder", latent_dim=sizes[0], key=key_decoder)),
        recipe=Recipe(parts.recipe("markov", sizes)),
    )
    _check_prior(model, parts.resolved["prior"].name)
    _check_continuous(model, parts)
    return model


def _check_prior(model: Model, name: str) -> None:
    """Raise ValueError if the top level's prior needs q(z_L|x)."""
    # Traced and drawn from: a prior that needs the encoder asks it for its top level, which raises.
    try:
        eqx.filter_eval_shape(
            lambda prior, encoder: prior(encoder).sample(jr.key(0)), model.prior, model.encoder
        )
    except ValueError as error:
        raise ValueError(f"prior {name!r} depends on the encoder: {error}") from None


def _check_continuous(model: Model, parts: Parts) -> None:
    """Raise ValueError if a level has discrete codes: the conditionals of the levels are normal."""
    kinds = {}

    def record_kinds(model: Model, x: Array) -> Array:
        kinds["encoder"], kinds["prior"] = (
            code_kind(model.encoder(x)),
            code_kind(model.prior(model.encoder)),
        )
        return x

    eqx.filter_eval_shape(record_kinds, model, jnp.zeros(parts.event_shape))
    for part, kind in kinds.items():
        if kind != CONTINUOUS:
            raise ValueError(
                f"{part} {parts.resolved[part].name!r} is for {kind} codes, but the levels of a "
                "markov model are continuous: the conditionals between levels are normal. Use the "
                "diagonal_normal encoder and the standard_normal prior, or --model vae."
            )
