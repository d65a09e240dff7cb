"""An encoder and the prior over its codes, which are to be of one kind: traced on no data, they say of which."""

import jax
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Key
from jensen.distributions import code_kind, same_codes
from jensen.encoders import AbstractEncoder
from jensen.models._parts import Parts
from jensen.priors import AbstractPrior

# The parts that serve each kind of code, for the remedy.
PRIORS = {"continuous": "standard_normal", "binary": "bernoulli", "one-hot": "categorical"}
ENCODERS = {"continuous": "diagonal_normal", "binary": "bernoulli", "one-hot": "categorical"}


def build_prior_and_encoder(
    parts: Parts, latent_dim: int, key_prior: Key, key_encoder: Key
) -> tuple[AbstractPrior, AbstractEncoder, int]:
    """(prior, encoder, the numbers in a code): latent_dim of them, but for one-hot codes as many times that as there are classes.

    Raises:
        ValueError: a prior over other codes than the encoder makes, with both kinds and what would do.

        prior, encoder, size = build_prior_and_encoder(parts, 16, key_prior, key_encoder)
    """
    datum = jnp.zeros(parts.event_shape)
    encoder = parts.build("encoder", latent_dim=latent_dim, key=key_encoder)
    kinds = []

    def draw(x):
        posterior = encoder(x)
        kinds.append(code_kind(posterior))
        return posterior.sample(jr.key(0))

    (size,) = jax.eval_shape(draw, datum).shape
    prior = parts.build("prior", latent_dim=latent_dim, code_size=size, key=key_prior)

    def look(x):
        kinds.append(code_kind(prior(encoder)))
        return x

    jax.eval_shape(look, datum)
    of_encoder, of_prior = kinds
    if not same_codes(of_prior, of_encoder):
        raise ValueError(_refusal(parts, of_prior, of_encoder))
    return prior, encoder, size


def _refusal(parts: Parts, of_prior: str, of_encoder: str) -> str:
    kinds = of_prior.split()[0], of_encoder.split()[0]
    prior, encoder = (parts.resolved[noun][0] for noun in ("prior", "encoder"))
    remedies = [
        f"--prior {PRIORS[kinds[1]]}" if kinds[1] in PRIORS else "a prior over the same codes"
    ]
    remedies += [f"--set encoder.name={ENCODERS[kinds[0]]}"] if kinds[0] in ENCODERS else []
    said = kinds if kinds[0] != kinds[1] else (of_prior, of_encoder)
    return (
        f"prior {prior} is for {said[0]} codes, but those of encoder {encoder} are {said[1]}: log p(z) - log q(z|x) of the two means nothing. "
        f"Use {' or '.join(remedies)}."
    )
