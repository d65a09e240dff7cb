"""Reproductions: published figures made again, and experiments that settle a claim. Each file is one, `jensen reproduce NAME`.

Importing this room is light; JAX is imported when something runs.
"""

from collections.abc import Mapping
from typing import Any

from jensen._rooms import Room
from jensen.reproductions._base import AbstractReproduction as AbstractReproduction
from jensen.reproductions._base import Results as Results

reproductions = Room(__name__, "reproduction")
__getattr__, __dir__ = reproductions.attribute_access()


def build(
    name: str, options: Mapping[str, Any], context: Mapping[str, Any]
) -> AbstractReproduction:
    """The reproduction called `name`; its options are checked against their annotations.

    Raises:
        ValueError: an unknown name or option, or a value of a wrong type or out of range.

        build("vampprior", {"only": ["mnist-vae-vamp"]}, {"out": Path("runs/vampprior"), "seed": 0, "data_dir": None}).planned()
    """
    from pydantic import TypeAdapter, ValidationError

    known = reproductions.options(name)
    checked = dict(options)
    for key in known.keys() & options.keys():
        try:
            checked[key] = TypeAdapter(known[key].annotation).validate_python(options[key])
        except ValidationError as error:
            raise ValueError(
                f"reproduction {name!r}, {key}: {error.errors()[0]['msg']}; got {options[key]!r}."
            ) from None
    return reproductions.build(name, checked, context)
