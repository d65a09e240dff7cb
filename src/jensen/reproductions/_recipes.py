"""Recipes: configurations shipped with the package, and the values published for them.

`NAME/recipes/RECIPE.toml` is one recipe of the reproduction NAME; `jensen fit --config` runs it
alone. `NAME/published.toml` lists published values by recipe.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jensen._rooms import nearest

REPRODUCTIONS = Path(__file__).parent


@dataclass(frozen=True)
class PublishedValue:
    """A published log p(x), nats per datum.

    Attributes:
        source: a short key; `citation` is the source in full.
        value: the published value.
        basis: 'read' in the source, 'second-hand' from a source that quotes it, or 'from memory'.
        spread: over the source's own trainings; None when it is not given.
        details: what else was published with it, as plain values.
    """

    source: str
    citation: str
    value: float
    basis: str
    spread: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns plain values."""
        return {
            "source": self.source,
            "citation": self.citation,
            "value": self.value,
            "spread": self.spread,
            "basis": self.basis,
            **self.details,
        }


@dataclass(frozen=True)
class Recipe:
    """A configuration by name, and the values published for it, the one to compare with first."""

    name: str
    path: Path
    published: tuple[PublishedValue, ...] = ()

    def values(self) -> dict[str, Any]:
        """Returns the content of the TOML file."""
        return tomllib.loads(self.path.read_text())


def recipe_folder(reproduction: str) -> Path:
    """Returns the folder of a reproduction's recipes."""
    return REPRODUCTIONS / reproduction / "recipes"


def recipes(reproduction: str) -> tuple[Recipe, ...]:
    """Returns the recipes of a reproduction: in the order of published.toml, then by name.

    recipes("vampprior")[0].name  # 'mnist-vae-standard_normal'
    """
    published: dict[str, Any] = {"sources": {}, "figures": {}}
    listed = REPRODUCTIONS / reproduction / "published.toml"
    if listed.exists():
        published = tomllib.loads(listed.read_text())
    rank = {name: i for i, name in enumerate(published["figures"])}
    paths = sorted(
        recipe_folder(reproduction).glob("*.toml"),
        key=lambda path: (rank.get(path.stem, len(rank)), path.stem),
    )
    return tuple(
        Recipe(
            path.stem,
            path,
            tuple(
                _published_value(entry, published["sources"])
                for entry in published["figures"].get(path.stem, ())
            ),
        )
        for path in paths
    )


def choose(reproduction: str, only: tuple[str, ...]) -> tuple[Recipe, ...]:
    """Returns the recipes named in `only`, or all of them when it is empty.

    Raises:
        ValueError: the reproduction has no recipe of that name.

        choose("vampprior", ("mnist-vae-vamp",))
    """
    by_name = {recipe.name: recipe for recipe in recipes(reproduction)}
    for name in only:
        if name not in by_name:
            raise ValueError(
                f"{reproduction} has no recipe {name!r}{nearest(name, tuple(by_name))}; "
                f"its recipes: {', '.join(by_name)}."
            )
    return tuple(recipe for name, recipe in by_name.items() if not only or name in only)


def _published_value(entry: Mapping[str, Any], citations: Mapping[str, str]) -> PublishedValue:
    named = ("source", "value", "basis", "spread")
    return PublishedValue(
        entry["source"],
        citations[entry["source"]],
        entry["value"],
        entry["basis"],
        entry.get("spread"),
        {key: value for key, value in entry.items() if key not in named},
    )
