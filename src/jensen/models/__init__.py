"""Architectures: functions that turn names of parts into a `Model`.

Each file defines one, a function of the file's name.
"""

import importlib
from collections.abc import Mapping
from typing import Any

from jensen._rooms import MODELS as models  # noqa: N811  (the room, as other rooms are called)
from jensen._rooms import nearest
from jensen._types import Key
from jensen.model import Model
from jensen.models._parts import Choice as Choice
from jensen.models._parts import Data
from jensen.models._parts import resolve_choice as resolve_choice


def build_model(recipe: Mapping[str, Any], *, data: Data = None, key: Key) -> Model:
    """Build the model that a recipe describes.

    Args:
        recipe: {"model": name, "event_shape": ..., and the arguments of that architecture}.
        data: the training data. Without them, the facts in the recipe give a model of the same
            structure with meaningless values.
        key: a JAX random key.

    Raises:
        ValueError: if the architecture is unknown, and whatever the architecture refuses.

    Example:
        build_model({"model": "hvae", "event_shape": (8, 8), "latent_dim": 16}, key=jr.key(0))
    """
    arguments = dict(recipe)
    name = arguments.pop("model", "vae")
    if name not in models.names():
        raise ValueError(
            f"unknown model {name!r}{nearest(name, models.names())}; known: "
            f"{', '.join(models.names())}."
        )
    architecture = getattr(importlib.import_module(f"{__name__}.{name}"), name)
    facts = arguments.pop("data", None)
    return architecture(
        arguments.pop("event_shape"), **arguments, data=facts if data is None else data, key=key
    )
