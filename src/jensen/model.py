"""A latent-variable model is a prior, an encoder and a decoder, and nothing else; `vae` builds one from names."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.datasets import Dataset
from jensen.decoders import AbstractDecoder, decoders
from jensen.encoders import AbstractEncoder, encoders
from jensen.likelihoods import AbstractLikelihood, DataSummary, likelihoods, summarise
from jensen.networks import networks
from jensen.priors import AbstractPrior, priors

Choice = str | Mapping[str, Any]  # a name, or {"name": ..., option: value}


class Model(eqx.Module):
    """p(z), q(z|x) and p(x|z). `recipe` records how `vae` built it (None for a model put together by hand), so that a run can be loaded again.

    Model(prior, encoder, decoder)
    """

    prior: AbstractPrior
    encoder: AbstractEncoder
    decoder: AbstractDecoder
    recipe: "Recipe | None" = eqx.field(static=True, default=None)


class Recipe:
    """How a model was built: the arguments of `vae` with every option filled in, as plain values (`values`). Equal recipes compare equal."""

    def __init__(self, values: dict[str, Any]):
        self.values = values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.values == other.values

    def __hash__(self) -> int:
        return hash(repr(self.values))

    def __repr__(self) -> str:
        return f"Recipe({self.values})"


def vae(
    event_shape: Sequence[int],
    *,
    latent_dim: int = 16,
    likelihood: Choice = "bernoulli",
    prior: Choice = "standard_normal",
    encoder: Choice = "diagonal_normal",
    decoder: Choice = "feedforward",
    network: Choice = "dense",
    data: Dataset | np.ndarray | DataSummary | None = None,
    key: Key,
) -> Model:
    """A variational auto-encoder from names (Kingma & Welling 2013).

    Args:
        event_shape: the shape of one datum.
        latent_dim: the number of latent dimensions.
        likelihood, prior, encoder, decoder, network: a member of that room, as a name, a path to a .py file, or {"name": ..., option: value}.
        data: the training data, if at hand: they set initial biases, units and data-initialised pseudo-inputs. Not kept.
        key: a JAX random key.

    Returns:
        A `Model`.

    Raises:
        ValueError: an unknown name or option, latent_dim below 1, or an event shape that the data contradict.

        model = jensen.vae((8, 8), latent_dim=16, prior="vamp", key=jax.random.key(0))
    """
    event_shape = tuple(int(n) for n in event_shape)
    if latent_dim < 1:
        raise ValueError(f"latent_dim must be at least 1; got {latent_dim}. A model with no latent has no evidence lower bound to account for.")
    if not event_shape or min(event_shape) < 1:
        raise ValueError(f"event_shape must name at least one axis, each of length 1 or more; got {event_shape}. For single numbers use (1,).")
    if isinstance(data, Dataset):
        data = summarise(data.train, levels=data.levels)
    elif isinstance(data, np.ndarray):
        data = summarise(data)
    if data is not None and data.event_shape != event_shape:
        raise ValueError(f"event_shape {event_shape} disagrees with the data's {data.event_shape}.")
    key_prior, key_encoder, key_decoder = jr.split(key, 3)
    parts = {
        noun: resolve_choice(room, choice)
        for noun, room, choice in [
            ("likelihood", likelihoods, likelihood),
            ("prior", priors, prior),
            ("encoder", encoders, encoder),
            ("decoder", decoders, decoder),
            ("network", networks, network),
        ]
    }

    def make_network(in_size: int, *, key: Key):
        name, options = parts["network"]
        return networks.build(name, options, {"in_size": in_size, "key": key})

    def build(room, noun: str, **context):
        name, options = parts[noun]
        return room.build(name, options, {"event_shape": event_shape, "latent_dim": latent_dim, "data": data, "network": make_network, **context})

    head: AbstractLikelihood = build(likelihoods, "likelihood")
    model_encoder = build(encoders, "encoder", key=key_encoder)
    model_decoder = build(decoders, "decoder", likelihood=head, key=key_decoder)
    model_prior = build(priors, "prior", likelihood=head, key=key_prior)
    recipe = {"event_shape": list(event_shape), "latent_dim": latent_dim}
    recipe |= {noun: {"name": name, **options} for noun, (name, options) in parts.items()}
    # What the data decided is part of the recipe: a run is loaded again without them.
    recipe["likelihood"] |= {k: getattr(head, k, None) for k, v in parts["likelihood"][1].items() if v is None}
    return Model(model_prior, model_encoder, model_decoder, Recipe(recipe))


def resolve_choice(room, choice: Choice) -> tuple[str, dict[str, Any]]:
    """(name, every option of that member with its value), defaults filled in.

    resolve_choice(priors, "vamp")  # ('vamp', {'num_components': 500, ...})
    """
    given = {"name": choice} if isinstance(choice, str) else dict(choice)
    if "name" not in given:
        raise ValueError(f"a {room.noun} given as a mapping needs a 'name'; got {given}. Known: {', '.join(room.names())}.")
    name = given.pop("name")
    defaults = {k: p.default for k, p in room.options(name).items()}
    resolved = {**defaults, **given}
    return name, {k: list(v) if isinstance(v, tuple) else v for k, v in resolved.items()}
