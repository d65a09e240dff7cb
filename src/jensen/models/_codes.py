"""Builds an encoder with a prior over the same kind of codes.

Both are traced without data to find out what kind of codes they are over.
"""

import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._rooms import Room
from jensen._types import Key
from jensen.distributions import code_kind, same_codes
from jensen.encoders import AbstractEncoder, encoders
from jensen.models._parts import Parts
from jensen.priors import AbstractPrior, priors


def build_prior_and_encoder(
    parts: Parts, latent_dim: int, key_prior: Key, key_encoder: Key
) -> tuple[AbstractPrior, AbstractEncoder, int]:
    """Build the prior and the encoder, and determine the length of a code.

    The length is latent_dim, or latent_dim times the number of classes for one-hot codes.

    Returns:
        (prior, encoder, length of a code).

    Raises:
        ValueError: if the prior is over another kind of codes than the encoder, with both kinds and
            the remedy.

    Example:
        prior, encoder, size = build_prior_and_encoder(parts, 16, key_prior, key_encoder)
    """
    datum = jnp.zeros(parts.event_shape)
    encoder = parts.build("encoder", latent_dim=latent_dim, key=key_encoder)
    kinds = []

    def draw(x):
        posterior = encoder(x)
        kinds.append(code_kind(posterior))
        return posterior.sample(jr.key(0))

    # Tracing runs the Python code of both parts and computes nothing: the kinds are its side
    # effect.
    (size,) = jax.eval_shape(draw, datum).shape
    prior = parts.build("prior", latent_dim=latent_dim, code_size=size, key=key_prior)

    def record_prior(x):
        kinds.append(code_kind(prior(encoder)))
        return x

    jax.eval_shape(record_prior, datum)
    of_encoder, of_prior = kinds
    if not same_codes(of_prior, of_encoder):
        raise ValueError(_refusal(parts, of_prior, of_encoder))
    return prior, encoder, size


def _refusal(parts: Parts, of_prior: str, of_encoder: str) -> str:
    kinds = of_prior.split(maxsplit=1)[0], of_encoder.split(maxsplit=1)[0]
    prior, encoder = (parts.resolved[section].name for section in ("prior", "encoder"))
    usual_prior, usual_encoder = _usual(priors, kinds[1]), _usual(encoders, kinds[0])
    remedies = [f"--prior {usual_prior}" if usual_prior else "a prior over the same codes"]
    remedies += [f"--set encoder.name={usual_encoder}"] if usual_encoder else []
    # Two one-hot codes can differ in their number of classes alone: then the full names are shown.
    shown = kinds if kinds[0] != kinds[1] else (of_prior, of_encoder)
    return (
        f"prior {prior} is for {shown[0]} codes, but those of encoder {encoder} are {shown[1]}: "
        "log p(z) - log q(z|x) is defined for codes of one kind only. "
        f"Use {' or '.join(remedies)}."
    )


def _usual(room: Room, kind: str) -> str:
    """Return the name of the room's usual member for a kind of codes, or "" if there is none."""
    return next((n for n in room.names() if getattr(room.find(n), "usual_for", "") == kind), "")
