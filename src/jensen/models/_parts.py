"""Turns names and options into the parts of a model, for every architecture.

It holds the rooms, the data's summary, and the context that constructors ask for.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from jensen._rooms import ROOMS, Resolved, Room
from jensen._types import Key, LatentDim
from jensen.datasets import Dataset
from jensen.likelihoods import AbstractLikelihood, DataSummary, summarise
from jensen.networks import AbstractNetwork, Joined

# A name, {"name": ..., option: value}, or a class of the room.
Choice = str | Mapping[str, Any] | type
Data = Dataset | np.ndarray | DataSummary | Mapping[str, Any] | None
PARTS = (
    "likelihood",
    "prior",
    "encoder",
    "decoder",
    "network",
    "encoder_network",
    "decoder_network",
)


class Parts:
    """The chosen parts of a model, each built on request with the context it asks for by name.

    Args:
        event_shape: the shape of one datum.
        choices: {section: Choice} for the sections PARTS; encoder_network and decoder_network
            may be None.
        data: the training data, or the facts about them that a recipe holds; may be None.

    Raises:
        ValueError: if a name or option is unknown, or the event shape is empty or contradicts the
            data.

    Example:
        parts = Parts((8, 8), {"prior": "vamp", ...}, data)
        parts.build("prior", latent_dim=16, key=key)
    """

    def __init__(
        self, event_shape: Sequence[int], choices: Mapping[str, Choice | None], data: Data
    ):
        self.event_shape = tuple(int(n) for n in event_shape)
        if not self.event_shape or min(self.event_shape) < 1:
            raise ValueError(
                "event_shape must name at least one axis, each of length 1 or more; got "
                f"{self.event_shape}. For single numbers use (1,)."
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
            section: _resolve_part(section, choice)
            for section in PARTS
            if (choice := choices.get(section)) is not None
        }
        self.likelihood: AbstractLikelihood = self.build("likelihood")

    def build(self, section: str, **context: Any) -> Any:
        """Build the part of a section.

        `context` is what its constructor may ask for besides event_shape, data, network and
        likelihood.
        """
        part = self.resolved[section]
        # An option that would have no effect is refused, so that nobody compares two equal models.
        if (
            f"{section}_network" in self.resolved
            and "network" not in inspect.signature(part.cls).parameters
        ):
            raise ValueError(
                f"{section}_network has nothing to do: the {section} {part.name!r} takes no "
                "network, "
                f"it builds its own. Leave {section}_network out."
            )
        shared = {
            "event_shape": self.event_shape,
            "data": self.data,
            "network": partial(self.network, of=section),
        }
        head = {} if section == "likelihood" else {"likelihood": self.likelihood}
        return part.build({**shared, **head, **context})

    def network(self, in_size: LatentDim, *, key: Key, of: str = "") -> AbstractNetwork | Joined:
        """Build the network of a part for `in_size` inputs.

        For several inputs (a tuple of sizes) it is a network that joins them. A part's own network
        (encoder_network) reads data; codes and features are read by `network`.
        """
        if isinstance(in_size, int):
            return self._network(f"{of}_network", None)(in_size, key=key)
        # An input of the event's size is the datum, which the part's own network reads.
        size = math.prod(self.event_shape)

        def stem(inputs: int, *, key: Key) -> AbstractNetwork:
            return self._network(f"{of}_network" if inputs == size else "network", "stem")(
                inputs, key=key
            )

        return Joined(in_size, stem, self._network("network", "trunk"), key=key)

    def _network(
        self, section: str, part: Literal["stem", "trunk"] | None
    ) -> Callable[..., AbstractNetwork]:
        network = self.resolved.get(section, self.resolved["network"])
        if part is not None:
            cls: Any = network.cls
            options = cls.part(network.options, part)
            network = ROOMS["network"].resolve({**options, "name": network.name})
        return lambda size, *, key: network.build(
            {"in_size": size, "event_shape": self.event_shape, "key": key}
        )

    def recipe(self, model: str, latent_dim: int | Sequence[int]) -> dict[str, Any]:
        """Return what `Recipe` records, from which a model of the same structure can be built."""
        size = latent_dim if isinstance(latent_dim, int) else list(latent_dim)
        parts = {section: part.section for section, part in self.resolved.items()}
        # Options that the data decided are recorded with their values: a run is loaded without
        # data.
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
    """Return latent_dim if it is at least 1; raise ValueError otherwise."""
    if latent_dim < 1:
        raise ValueError(
            f"latent_dim must be at least 1; got {latent_dim}. A model without latent variables "
            "has no evidence lower bound to account for."
        )
    return latent_dim


def _resolve_part(section: str, choice: Any) -> Resolved:
    """The chosen part; ValueError for an instance, which has been built for some shape already."""
    if not isinstance(choice, str | Mapping | type):
        raise ValueError(
            f"{section} must be a name, a path to a .py file, a mapping or a class, since it is "
            f"built with the model; got {choice!r}. A model from parts that are built already is "
            "jensen.Model(prior, encoder, decoder)."
        )
    return ROOMS[section].resolve(choice)


def resolve_choice(room: Room, choice: Choice) -> tuple[str, dict[str, Any]]:
    """Return the name of the chosen member and all of its options, defaults filled in.

    Raises:
        ValueError: what `Room.resolve` refuses.

    Example:
        resolve_choice(priors, "vamp")  # ('vamp', {'num_components': 500, ...})
    """
    options = room.resolve(choice).section
    return options.pop("name"), options
