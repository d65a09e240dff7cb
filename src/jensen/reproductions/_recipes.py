"""Recipes: configurations shipped with the package, each of which `jensen fit --config` runs alone, and the figures published for them."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jensen._rooms import nearest

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Figure:
    """A published figure, nats per datum.

    Attributes:
        source: whose, a short key; `citation` says it in full.
        value, spread: the figure, and its spread over the source's own trainings (None when not given).
        basis: 'read' in the source, 'second-hand' from a source that quotes it, or 'from memory'.
        details: what else was published with it, as plain values.
    """

    source: str
    citation: str
    value: float
    basis: str
    spread: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A configuration by name; `figures` are those published for it, the one to compare with first."""

    name: str
    path: Path
    figures: tuple[Figure, ...] = ()

    def values(self) -> dict[str, Any]:
        """What the TOML file says."""
        return tomllib.loads(self.path.read_text())


def recipes(group: str) -> tuple[Recipe, ...]:
    """The recipes of a reproduction, those with published figures in the order of the publication list.

    recipes("vampprior")[0].name  # 'mnist-vae-standard_normal'
    """
    published: dict[str, Any] = {"sources": {}, "figures": {}}
    listed = FOLDER / group / "_published.toml"
    if listed.exists():
        published = tomllib.loads(listed.read_text())
    paths = {
        p.stem: p for p in sorted((FOLDER / group).glob("*.toml")) if not p.stem.startswith("_")
    }
    order = sorted(
        paths,
        key=lambda name: (
            list(published["figures"]).index(name) if name in published["figures"] else len(paths),
            name,
        ),
    )
    return tuple(
        Recipe(
            name,
            paths[name],
            tuple(_figure(f, published["sources"]) for f in published["figures"].get(name, ())),
        )
        for name in order
    )


def choose(group: str, only: tuple[str, ...]) -> tuple[Recipe, ...]:
    """The recipes named, or all of them when none is.

    Raises:
        ValueError: a name that is none of them.

        choose("vampprior", ("mnist-vae-vamp",))
    """
    known = {recipe.name: recipe for recipe in recipes(group)}
    for name in only:
        if name not in known:
            raise ValueError(
                f"{group} has no recipe {name!r}{nearest(name, tuple(known))}; its recipes: {', '.join(known)}."
            )
    return tuple(recipe for name, recipe in known.items() if not only or name in only)


def _figure(values: dict[str, Any], sources: dict[str, str]) -> Figure:
    details = {k: v for k, v in values.items() if k not in ("source", "value", "basis", "spread")}
    return Figure(
        values["source"],
        sources[values["source"]],
        values["value"],
        values["basis"],
        values.get("spread"),
        details,
    )
