"""The latent-variable model: a prior, an encoder and a decoder. `jensen.models` builds one from
names.
"""

from typing import Any

import equinox as eqx

from jensen.decoders import AbstractDecoder
from jensen.encoders import AbstractEncoder
from jensen.priors import AbstractPrior


class Model(eqx.Module):
    """A latent-variable model: prior p(z), encoder q(z|x) and decoder p(x|z).

    `recipe` records how the model was built, so that a run can be loaded again; it is None for a
    model put together by hand.

        Model(prior, encoder, decoder)
    """

    prior: AbstractPrior
    encoder: AbstractEncoder
    decoder: AbstractDecoder
    recipe: "Recipe | None" = eqx.field(static=True, default=None)


class Recipe:
    """How a model was built: the architecture's name and arguments, every option filled in.

    `values` holds plain values only. Of the data it holds the facts that decide the model's
    structure (`DataSummary.facts`), so that loading needs no data. Recipes with equal values
    compare equal.
    """

    def __init__(self, values: dict[str, Any]):
        self.values = values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.values == other.values

    def __hash__(self) -> int:
        return hash(repr(self.values))

    def __repr__(self) -> str:
        return f"Recipe({self.values})"
