"""Sites of several kinds in one fit: one after the other, each with its own rows of the design."""

from collections.abc import Callable, Sequence

import equinox as eqx
import numpy as np

from jensen.deterministic._checks import finite
from jensen.deterministic.expectation_propagation.sites import AbstractSite, Tilted


class SiteGroups(AbstractSite):
    """The sites of all groups, numbered through: those of the first group, then those of the
    second, and so on.
    """

    y: np.ndarray = eqx.field(converter=np.asarray)
    groups: tuple[AbstractSite, ...]

    def __init__(self, groups: Sequence[AbstractSite]):
        self.groups = tuple(groups)
        self.y = np.concatenate([group.y for group in groups])

    def log_density(self, f: np.ndarray, index: np.ndarray) -> np.ndarray:
        return self._each(lambda group, rows, own: (group.log_density(f[rows], own),), index)[0]

    def tilted(self, mean: np.ndarray, variance: np.ndarray, index: np.ndarray) -> Tilted:
        return Tilted(
            *self._each(
                lambda group, rows, own: group.tilted(mean[rows], variance[rows], own), index
            )
        )

    def _each(
        self,
        evaluate: Callable[[AbstractSite, np.ndarray, np.ndarray], Sequence[np.ndarray]],
        index: np.ndarray,
    ) -> list[np.ndarray]:
        """Evaluates each group at its own sites among `index`; results in the order of `index`."""
        # Sites are numbered through: group g has the numbers from ends[g - 1] to ends[g] - 1.
        ends = np.cumsum([len(group.y) for group in self.groups])
        owner = np.searchsorted(ends, index, side="right")
        out: list[np.ndarray] = []
        for number in np.unique(owner) if len(index) else [0]:
            group, rows = self.groups[number], np.flatnonzero(owner == number)
            parts = evaluate(group, rows, index[rows] - (ends[number] - len(group.y)))
            out = out or [np.empty(len(index)) for _ in parts]
            for whole, part in zip(out, parts, strict=True):
                whole[rows] = part
        return out


def join_sites(
    sites: AbstractSite | Sequence[AbstractSite], design: np.ndarray | Sequence[np.ndarray]
) -> tuple[AbstractSite, np.ndarray]:
    """Joins sites of several kinds: (all sites as one, their design [N, D]).

    Raises:
        ValueError: no sites, something else among them, not one design for each, or a design of
            another shape or with values that are not finite.

        join_sites([Probit(y), Poisson(counts)], [x, z])
    """
    if isinstance(sites, AbstractSite):
        return sites, _rows(design, sites, "design")
    groups = list(sites)
    foreign = [type(group).__name__ for group in groups if not isinstance(group, AbstractSite)]
    if not groups or foreign:
        raise ValueError(
            "sites must be of one kind, or a list of kinds such as [Probit(y), "
            f"Poisson(counts)]; got {foreign[0] if foreign else 'none'}."
        )
    if len(design) != len(groups):
        raise ValueError(
            f"{len(groups)} kinds of sites need a list of as many designs, an [N, D] for each; "
            f"got {len(design)}."
        )
    designs = [
        _rows(each, group, f"design[{i}]")
        for i, (each, group) in enumerate(zip(design, groups, strict=True))
    ]
    columns = [rows.shape[1] for rows in designs]
    if len(set(columns)) > 1:
        raise ValueError(
            f"all designs must have the same columns, one for each entry of w; got {columns} of "
            "them. Give 0 to those a kind does not see."
        )
    return SiteGroups(groups), np.concatenate(designs)


def _rows(design: object, sites: AbstractSite, name: str) -> np.ndarray:
    rows, size = finite(design, name), len(sites.y)
    if rows.ndim != 2 or rows.shape[0] != size:
        raise ValueError(
            f"{name} must be [{size}, D], a row for each of the {size} sites; got "
            f"{list(rows.shape)}. Write a column as x[:, None]."
        )
    return rows
