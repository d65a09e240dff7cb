"""Reproductions: published results made again, and experiments that test a claim.

Each folder is one reproduction, `jensen reproduce NAME`. It holds all that the reproduction alone
uses: its class (`__init__.py`), measurements, table, picture, recipes and published values.
Beside the folders lies what several of them share.

Importing this room is light: JAX and matplotlib are imported when something runs.
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
    """Builds the reproduction called `name`, and checks the options against their annotations.

    Args:
        name: of a folder of this package.
        options: values of the keyword arguments of the class.
        context: 'out' (a Path), 'seed' and 'data_dir'.

    Raises:
        ValueError: an unknown name or option, or a value of a wrong type or out of range.

        context = {"out": Path("runs/vampprior"), "seed": 0, "data_dir": None}
        build("vampprior", {"only": ["mnist-vae-vamp"]}, context).planned()
    """
    return reproductions.build(name, options, context)
