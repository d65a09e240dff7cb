"""A latent-variable model is a prior, an encoder and a decoder, and nothing else; `jensen.models` builds them from names."""

from typing import Any

import equinox as eqx

from jensen.decoders import AbstractDecoder
from jensen.encoders import AbstractEncoder
from jensen.priors import AbstractPrior


class Model(eqx.Module):
    """p(z), q(z|x) and p(x|z). `recipe` records how it was built (None for a model put together by hand), so that a run can be loaded again.

    Model(prior, encoder, decoder)
    """

    prior: AbstractPrior
    encoder: AbstractEncoder
    decoder: AbstractDecoder
    recipe: "Recipe | None" = eqx.field(static=True, default=None)


class Recipe:
    """How a model was built: its architecture's name and arguments with every option filled in, as plain values (`values`). Equal recipes compare equal.

    Of the data only the facts are kept that decide the model's structure (`DataSummary.facts`).
    """

    def __init__(self, values: dict[str, Any]):
        self.values = values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.values == other.values

    def __hash__(self) -> int:
        return hash(repr(self.values))

    def __repr__(self) -> str:
        return f"Recipe({self.values})"
