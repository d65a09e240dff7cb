"""The variational auto-encoder with one level of latent variables (Kingma & Welling 2013)."""

from collections.abc import Sequence

import jax.random as jr

from jensen._types import Key
from jensen.model import Model, Recipe
from jensen.models._codes import build_prior_and_encoder
from jensen.models._parts import Choice, Data, Parts, check_latent_dim


def vae(
    event_shape: Sequence[int],
    *,
    latent_dim: int = 16,
    likelihood: Choice = "bernoulli",
    prior: Choice = "standard_normal",
    encoder: Choice = "diagonal_normal",
    decoder: Choice = "feedforward",
    network: Choice = "dense",
    encoder_network: Choice | None = None,
    decoder_network: Choice | None = None,
    data: Data = None,
    key: Key,
) -> Model:
    """A variational auto-encoder from names (Kingma & Welling 2013).

    Args:
        event_shape: the shape of one datum.
        latent_dim: the number of latent dimensions; of discrete codes, that of the variables.
        likelihood, prior, encoder, decoder, network: a member of that room, as a name, a path to a .py file, or {"name": ..., option: value}.
        encoder_network, decoder_network: the encoder's or the decoder's own network, where `network` is not to serve both.
        data: the training data, if at hand: they set initial biases, units and pseudo-inputs. Only the priors vamp_data and aggregated keep rows of them. From
            the facts in a recipe the same structure is built again, its values meaningless.
        key: a JAX random key.

    Returns:
        A `Model`.

    Raises:
        ValueError: an unknown name or option, latent_dim below 1, an event shape that the data contradict, a network for a part that has none, or a prior
            over other codes than the encoder makes.

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
