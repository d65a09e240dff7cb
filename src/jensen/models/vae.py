"""The variational auto-encoder with one level of latent variables (Kingma & Welling 2013)."""

from collections.abc import Sequence

import jax.random as jr

from jensen._rooms import LATENT_DIM, ROOMS
from jensen._types import Key
from jensen._words import in_python_words
from jensen.model import Model, Recipe
from jensen.models._codes import build_prior_and_encoder
from jensen.models._parts import Choice, Data, Parts, check_latent_dim


@in_python_words
def vae(
    event_shape: Sequence[int],
    *,
    latent_dim: int = LATENT_DIM,
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
    """Build a variational auto-encoder from names (Kingma & Welling 2013).

    Args:
        event_shape: the shape of one datum.
        latent_dim: the number of latent dimensions; for discrete codes, the number of variables.
        likelihood, prior, encoder, decoder, network: a member of that room, as a name, a path to a
            .py file, or {"name": ..., option: value}.
        encoder_network, decoder_network: the encoder's or the decoder's own network, in place of
            `network`.
        data: the training data. They set initial biases, units and pseudo-inputs; only the priors
            vamp_data and aggregated store rows of them. The facts in a recipe give the same
            structure with meaningless values.
        key: a JAX random key.

    Returns:
        A `Model`.

    Raises:
        ValueError: if a name or option is unknown, latent_dim is below 1, the event shape
            contradicts the data, a part with a network of its own takes none, or the prior is over
            another kind of codes than the encoder.

    Example:
        model = jensen.vae((8, 8), latent_dim=16, prior="vamp", key=jax.random.key(0))
    """
    check_latent_dim(latent_dim)
    choices = {
        "likelihood": likelihood,
        "prior": prior,
        "encoder": encoder,
        "decoder": decoder,
        "network": network,
    }
    choices |= {"encoder_network": encoder_network, "decoder_network": decoder_network}
    parts = Parts(event_shape, choices, data)
    key_prior, key_encoder, key_decoder = jr.split(key, 3)
    prior_part, encoder_part, size = build_prior_and_encoder(
        parts, latent_dim, key_prior, key_encoder
    )
    return Model(
        prior_part,
        encoder_part,
        parts.build("decoder", latent_dim=size, key=key_decoder),
        Recipe(parts.recipe("vae", latent_dim)),
    )
