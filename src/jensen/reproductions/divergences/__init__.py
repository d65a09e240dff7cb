"""The choice of the family and of f (Blei, Kucukelbir & McAuliffe 2017, figure 1, and beyond).

Families are fitted by the library under several divergences, drawn, and compared with the truth.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jensen._files import exclusive, write_atomically
from jensen._rooms import nearest
from jensen.reproductions._base import (
    AbstractReproduction,
    Column,
    Results,
    read_stored_row,
    store_row,
)

if TYPE_CHECKING:
    from jensen.reproductions.divergences._targets import KnownTarget


class Entry(NamedTuple):
    """One fit: the names of its target, its family and its divergence."""

    target: str
    family: str
    divergence: str


class Divergences(AbstractReproduction):
    """Normals fitted to targets with known answers, under each f.

    A mean-field normal is fitted to a correlated one under every f, beside the exact minimisers.
    Mean-field and full-rank normals are fitted to a banana, two modes and eight schools under
    five of them.

    Args:
        out: the folder in which it works.
        seed: of the fits.
        data_dir: not used; no data are read.
        only: targets, of two_normals, banana, two_modes and eight_schools; all by default.
        divergences: elbo, iwae, renyi_half, eubo, cubo, and for two_normals also renyi_2 and
            jensen_shannon; all by default.
        families: of q, for the targets other than two_normals.
        num_samples: fresh draws of each fit.
        tolerance: of the stochastic fits.
        max_steps: of the stochastic fits.

    Raises:
        ValueError: an unknown target or divergence, or a value out of range.

        Divergences(Path("runs/divergences"), 0, None, only=("two_normals",)).run()
    """

    summary = (
        "what the choice of f and of the family does: two normals beside closed forms, a banana, "
        "two modes and eight schools under each f"
    )

    def __init__(
        self,
        out: Path,
        seed: int,
        data_dir: str | None,
        *,
        only: tuple[str, ...] = (),
        divergences: tuple[str, ...] = (),
        families: tuple[Literal["mean_field", "full_rank"], ...] = ("mean_field", "full_rank"),
        num_samples: int = 10_000,
        tolerance: float = 0.02,
        max_steps: int = 6000,
    ):
        from jensen.reproductions.divergences._divergences import DIVERGENCES
        from jensen.reproductions.divergences._targets import TARGETS

        del data_dir
        if num_samples < 100:
            raise ValueError(
                f"num_samples must be at least 100, or k-hat means nothing; got {num_samples}."
            )
        if not 0 < tolerance < float("inf"):
            raise ValueError(f"tolerance must be positive and finite; got {tolerance}.")
        if max_steps < 1:
            raise ValueError(f"max_steps must be at least 1; got {max_steps}.")
        self.out, self.seed, self.families = out, seed, tuple(dict.fromkeys(families))
        self.num_samples, self.tolerance, self.max_steps = num_samples, tolerance, max_steps
        self.targets = _choose("target", only, tuple(TARGETS))
        self.divergences = _choose("divergence", divergences, tuple(DIVERGENCES))
        if not self._entries():
            raise ValueError(
                "there is nothing to fit: renyi_2 and jensen_shannon are for two_normals alone, "
                "and the other targets need a family."
            )

    def planned(self) -> Results:
        from jensen.reproductions.divergences._table import TITLE

        rows = tuple(
            {
                "target": entry.target,
                "family": entry.family,
                "f": entry.divergence,
                "state": "not begun" if self._read(entry) is None else "done",
            }
            for entry in self._entries()
        )
        columns = tuple(Column(name, lambda row, name=name: row[name]) for name in rows[0])
        return Results(TITLE, columns, rows)

    def run(self, *, progress: bool = True) -> Results:
        from jensen.reproductions.divergences._table import progress_text
        from jensen.reproductions.divergences._targets import TARGETS

        rows: list[dict[str, Any]] = []
        entries = self._entries()
        with exclusive(self.out):
            targets = {name: TARGETS[name]() for name in self.targets}
            for i, entry in enumerate(entries, start=1):
                row = self._read(entry)
                if row is None:
                    row = self._fitted_row(entry, targets[entry.target])
                    if row["status"] == "done":
                        store_row(self._path(entry), self._settings(), row)
                rows.append(row)
                if progress:
                    text = f"[{i}/{len(entries)}] {', '.join(entry)}: {progress_text(row)}"
                    print(text, file=sys.stderr)
            return self._results(rows, targets)

    def _entries(self) -> list[Entry]:
        from jensen.reproductions.divergences._divergences import DIVERGENCES

        # For two normals the exact minimisers are those of the mean-field family.
        return [
            Entry(target, family, name)
            for target in self.targets
            for name in self.divergences
            if target == "two_normals" or DIVERGENCES[name].all_targets
            for family in (("mean_field",) if target == "two_normals" else self.families)
        ]

    def _fitted_row(self, entry: Entry, target: "KnownTarget") -> dict[str, Any]:
        from jensen.reproductions.divergences._measurements import fit_and_measure

        try:
            return fit_and_measure(
                target,
                *entry,
                seed=self.seed,
                num_samples=self.num_samples,
                tolerance=self.tolerance,
                max_steps=self.max_steps,
            )
        except (ValueError, ArithmeticError, RuntimeError) as error:
            # An error of one fit must not stop the others.
            message = str(error) or type(error).__name__
            return {**entry._asdict(), "status": "failed", "message": message}

    def _settings(self) -> dict[str, Any]:
        """Returns what a stored row depends on."""
        import jensen

        return {
            "version": jensen.__version__,
            "seed": self.seed,
            "num_samples": self.num_samples,
            "tolerance": self.tolerance,
            "max_steps": self.max_steps,
        }

    def _path(self, entry: Entry) -> Path:
        seed = f"-seed{self.seed}" if self.seed else ""
        return self.out / "fits" / f"{'-'.join(entry)}{seed}.json"

    def _read(self, entry: Entry) -> dict[str, Any] | None:
        return read_stored_row(self._path(entry), self._settings())

    def _results(self, rows: list[dict[str, Any]], targets: "dict[str, KnownTarget]") -> Results:
        from jensen.reproductions.divergences._divergences import DIVERGENCES
        from jensen.reproductions.divergences._table import COLUMNS, TITLE, notes, page
        from jensen.reproductions.divergences._targets import density_on_grid
        from jensen.reproductions.divergences.picture import draw_divergences

        settings = (
            f"{self.num_samples:,} fresh draws of each fit, seed {self.seed}. ELBO: fixed draws. "
            "All others: Adam until R-hat and the Monte Carlo error of the averaged parameters "
            f"({self.tolerance:g} of a start's sd) are small at two rates, at most "
            f"{self.max_steps:,} steps; eubo, cubo and Renyi by 1,000 draws a step (two normals: "
            "eubo and cubo 4,000), with a bias of order Var w / K; Jensen-Shannon by 250. The "
            "error of the variance is Monte Carlo alone."
        )
        texts = notes(rows, settings)
        done = [row for row in rows if row["status"] == "done"]
        files = [str(self.out / "results.md"), str(self.out / "results.json")]
        if done:
            grids = {name: density_on_grid(target) for name, target in targets.items()}
            labels = {name: divergence.label for name, divergence in DIVERGENCES.items()}
            pictures = draw_divergences(done, grids, labels, page(rows, texts))
            for name, content in pictures.items():
                write_atomically(self.out / name, content)
                files.insert(0, str(self.out / name))
        details = {"unit": "nats", "seed": self.seed, "num_samples": self.num_samples}
        failed = len(rows) - len(done)
        results = Results(TITLE, COLUMNS, tuple(rows), texts, details, failed, tuple(files))
        results.write(self.out)
        return results


def _choose(kind: str, names: tuple[str, ...], members: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the names, each once, with '-' read as '_'; all members when there is no name.

    Raises:
        ValueError: a name that is no member.
    """
    for name in names:
        if name.replace("-", "_") not in members:
            raise ValueError(
                f"unknown {kind} {name!r}{nearest(name, members)}; known: {', '.join(members)}."
            )
    return tuple(dict.fromkeys(name.replace("-", "_") for name in names)) or members
