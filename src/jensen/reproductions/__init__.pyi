"""Made by tools/make_stubs.py, for type checkers and editors alone."""

from collections.abc import Mapping
from jensen._rooms import Room
from jensen.reproductions._base import AbstractReproduction as AbstractReproduction
from jensen.reproductions._base import Results as Results
from jensen.reproductions.divergences import Divergences as Divergences
from jensen.reproductions.iwae import IWAE as IWAE
from jensen.reproductions.posteriordb import PosteriorDB as PosteriorDB
from jensen.reproductions.prior_ladder import PriorLadder as PriorLadder
from jensen.reproductions.temperature import Temperature as Temperature
from jensen.reproductions.vampprior import VampPrior as VampPrior
from typing import Any

reproductions: Room

def build(name: str, options: Mapping[str, Any], context: Mapping[str, Any]) -> AbstractReproduction:
    ...
