"""What every architecture needs to turn names into parts: the rooms, the data's summary, the context that constructors ask for."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from jensen._rooms import Room
from jensen._types import Key, LatentDim
from jensen.datasets import Dataset
from jensen.decoders import decoders
from jensen.encoders import encoders
from jensen.likelihoods import AbstractLikelihood, DataSummary, likelihoods, summarise
from jensen.networks import AbstractNetwork, Joined, networks
from jensen.priors import priors

Choice = str | Mapping[str, Any]  # a name, or {"name": ..., option: value}
Data = Dataset | np.ndarray | DataSummary | Mapping[str, Any] | None
ROOMS = {
    "likelihood": likelihoods,
    "prior": priors,
    "encoder": encoders,
    "decoder": decoders,
    "network": networks,
    "encoder_network": networks,
    "decoder_network": networks,
}


class Parts:
    """The chosen parts of a model, each built on request with the context it asks for by name.

    Args:
        event_shape: the shape of one datum.
        choices: {noun: Choice} for the nouns of ROOMS; those of encoder_network and decoder_network may be None.
        data: the training data, if at hand, or the facts of them that a recipe holds.

    Raises:
        ValueError: an unknown name or option, or an event shape that is empty or that the data contradict.

        Parts((8, 8), {"prior": "vamp", ...}, data).build("prior", latent_dim=16, key=key)
    """

    def __init__(
        self, event_shape: Sequence[int], choices: Mapping[str, Choice | None], data: Data
    ):
        self.event_shape = tuple(int(n) for n in event_shape)
        if not self.event_shape or min(self.event_shape) < 1:
            raise ValueError(
                f"event_shape must name at least one axis, each of length 1 or more; got {self.event_shape}. For single numbers use (1,)."
            )
        if isinstance(data, Dataset):
            data = summarise(data.train, levels=data.levels)
        elif isinstance(data, np.ndarray):
            data = summarise(data)
        elif isinstance(data, Mapping):
            data = DataSummary.from_facts(self.event_shape, data)
        if data is not None and data.event_shape != self.event_shape:
            raise ValueError(
                f"event_shape {self.event_shape} disagrees with the data's {data.event_shape}."
            )
        self.data = data
        self.resolved = {
            noun: resolve_choice(room, choice)
            for noun, room in ROOMS.items()
            if (choice := choices.get(noun)) is not None
        }
        self.likelihood: AbstractLikelihood = self.build("likelihood")

    def build(self, noun: str, **context: Any) -> Any:
        """The part called `noun`; `context` is what its constructor may ask for beside event_shape, data, network and likelihood."""
        name, options = self.resolved[noun]
        if (
            f"{noun}_network" in self.resolved
            and "network" not in inspect.signature(ROOMS[noun].find(name)).parameters
        ):
            raise ValueError(
                f"{noun}_network has nothing to do: the {noun} {name!r} takes no network, it builds its own. Leave {noun}_network out."
            )
        shared = {
            "event_shape": self.event_shape,
            "data": self.data,
            "network": partial(self.network, of=noun),
        }
        head = {} if noun == "likelihood" else {"likelihood": self.likelihood}
        return ROOMS[noun].build(name, options, {**shared, **head, **context})

    def network(self, in_size: LatentDim, *, key: Key, of: str = "") -> AbstractNetwork | Joined:
        """The network of a part for `in_size` inputs; for several inputs (a tuple of sizes) a network that joins them.

        A part's own network (encoder_network) reads data; what else there is to read, codes and features, `network` reads.
        """
        if isinstance(in_size, int):
            return self._network(f"{of}_network", None)(in_size, key=key)
        size = math.prod(self.event_shape)

        def stem(inputs: int, *, key: Key) -> AbstractNetwork:
            return self._network(f"{of}_network" if inputs == size else "network", "stem")(
                inputs, key=key
            )

        return Joined(in_size, stem, self._network("network", "trunk"), key)

    def _network(
        self, noun: str, part: Literal["stem", "trunk"] | None
    ) -> Callable[..., AbstractNetwork]:
        name, options = self.resolved.get(noun, self.resolved["network"])
        chosen = options if part is None else networks.find(name).part(options, part)
        return lambda size, *, key: networks.build(
            name, chosen, {"in_size": size, "event_shape": self.event_shape, "key": key}
        )

    def recipe(self, model: str, latent_dim: int | Sequence[int]) -> dict[str, Any]:
        """What `Recipe` records: with it and the rows of the training data, a model of the same structure can be built."""
        size = latent_dim if isinstance(latent_dim, int) else list(latent_dim)
        parts = {noun: {"name": name, **options} for noun, (name, options) in self.resolved.items()}
        # What the data decided is part of the recipe: a run is loaded again without them.
        parts["likelihood"] |= {
            k: getattr(self.likelihood, k, None)
            for k, v in parts["likelihood"].items()
            if v is None
        }
        facts = None if self.data is None else self.data.facts
        return {
            "model": model,
            "event_shape": list(self.event_shape),
            "latent_dim": size,
            "data": facts,
            **parts,
        }


def check_latent_dim(latent_dim: int) -> int:
    """latent_dim, if it is at least 1."""
    if latent_dim < 1:
        raise ValueError(
            f"latent_dim must be at least 1; got {latent_dim}. A model with no latent has no evidence lower bound to account for."
        )
    return latent_dim


def resolve_choice(room: Room, choice: Choice) -> tuple[str, dict[str, Any]]:
    """(name, every option of that member with its value), defaults filled in.

    resolve_choice(priors, "vamp")  # ('vamp', {'num_components': 500, ...})
    """
    given = {"name": choice} if isinstance(choice, str) else dict(choice)
    if "name" not in given:
        raise ValueError(
            f"a {room.noun} given as a mapping needs a 'name'; got {given}. Known: {', '.join(room.names())}."
        )
    name = given.pop("name")
    defaults = {k: p.default for k, p in room.options(name).items()}
    resolved = {**defaults, **given}
    return name, {k: list(v) if isinstance(v, tuple) else v for k, v in resolved.items()}
