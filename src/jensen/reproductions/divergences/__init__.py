"""What the choice of the family and of f does (Blei, Kucukelbir & McAuliffe 2017, figure 1, and beyond): fitted by the library, drawn, and measured."""

import json
import sys
from pathlib import Path
from typing import Any, Literal

from jensen._files import exclusive, write_atomically
from jensen._rooms import nearest
from jensen.reproductions._base import AbstractReproduction, Column, Results, finite


class Divergences(AbstractReproduction):
    """A mean-field normal fitted to a correlated one under every f, beside the exact minimisers; mean-field and full-rank fits of a banana, two modes and eight
    schools under five of them.

    Args:
        only: targets: two_normals, banana, two_modes, eight_schools; all by default.
        divergences: choices of f: elbo, iwae, renyi_half, eubo, cubo; for two_normals also renyi_2 and jensen_shannon; all by default.
        families: of q, for the targets that are no two normals.
        num_samples: fresh draws of each fit.
        tolerance, max_steps: of the stochastic fits.

    Raises:
        ValueError: an unknown target or divergence, or a value out of range.

        Divergences(Path("runs/divergences"), 0, None, only=("two_normals",)).run()
    """

    summary = "what the choice of f and of the family does: two normals beside closed forms, a banana, two modes and eight schools under each f"

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
        from jensen.reproductions._divergences._choices import DIVERGENCES
        from jensen.reproductions._divergences._targets import TARGETS

        del data_dir  # nothing is read
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
        self.targets = _chosen("target", only, tuple(TARGETS))
        self.divergences = _chosen("divergence", divergences, tuple(DIVERGENCES))
        if not self._entries():
            raise ValueError(
                "there is nothing to fit: renyi_2 and jensen_shannon are for two_normals alone, and the other targets want a family."
            )

    def planned(self) -> Results:
        from jensen.reproductions._divergences._table import TITLE

        rows = tuple(
            {
                "target": t,
                "family": f,
                "f": d,
                "state": "not begun" if self._kept(t, f, d) is None else "done",
            }
            for t, f, d in self._entries()
        )
        return Results(
            TITLE,
            tuple(
                Column(name, lambda r, name=name: r[name])
                for name in ("target", "family", "f", "state")
            ),
            rows,
        )

    def run(self, *, progress: bool = True) -> Results:
        from jensen.reproductions._divergences._targets import TARGETS

        rows: list[dict[str, Any]] = []
        with exclusive(self.out):
            known = {name: TARGETS[name]() for name in self.targets}
            for i, entry in enumerate(entries := self._entries(), start=1):
                row = self._kept(*entry)
                if row is None:
                    row = self._fitted(known[entry[0]], *entry)
                    if row["status"] == "done":
                        write_atomically(
                            self._place(*entry),
                            json.dumps({"settings": self._settings(), "row": finite(row)}),
                        )
                rows.append(row)
                if progress:
                    said = (
                        f"ELBO {row['elbo']:.3f}, {row['verdict'].partition(':')[0]}"
                        if row["status"] == "done"
                        else row["message"]
                    )
                    print(f"[{i}/{len(entries)}] {', '.join(entry)}: {said}", file=sys.stderr)
            return self._results(rows, known)

    def _entries(self) -> list[tuple[str, str, str]]:
        from jensen.reproductions._divergences._choices import DIVERGENCES

        entries = []
        for target in self.targets:
            alone = target == "two_normals"
            for name in self.divergences:
                if alone or DIVERGENCES[name].everywhere:
                    entries += [
                        (target, family, name)
                        for family in (("mean_field",) if alone else self.families)
                    ]
        return entries

    def _fitted(self, known: Any, target: str, family: str, divergence: str) -> dict[str, Any]:
        from jensen.reproductions._divergences._measure import fitted

        try:
            options: dict[str, Any] = {
                "num_samples": self.num_samples,
                "tolerance": self.tolerance,
                "max_steps": self.max_steps,
            }
            return fitted(known, target, family, divergence, seed=self.seed, **options)
        except (ValueError, ArithmeticError, RuntimeError) as error:  # the other rows go on
            row = {"target": target, "family": family, "divergence": divergence, "status": "failed"}
            return row | {"message": str(error) or type(error).__name__}

    def _settings(self) -> dict[str, Any]:
        """What a kept row depends on."""
        import jensen

        return {
            "version": jensen.__version__,
            "seed": self.seed,
            "num_samples": self.num_samples,
            "tolerance": self.tolerance,
            "max_steps": self.max_steps,
        }

    def _place(self, target: str, family: str, divergence: str) -> Path:
        return (
            self.out
            / "fits"
            / f"{target}-{family}-{divergence}{f'-seed{self.seed}' if self.seed else ''}.json"
        )

    def _kept(self, target: str, family: str, divergence: str) -> dict[str, Any] | None:
        try:
            kept = json.loads(self._place(target, family, divergence).read_text())
            return kept["row"] if kept["settings"] == self._settings() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _results(self, rows: list[dict[str, Any]], known: dict[str, Any]) -> Results:
        from jensen.reports import draw_divergences
        from jensen.reproductions._divergences._choices import DIVERGENCES
        from jensen.reproductions._divergences._table import COLUMNS, TITLE, notes, page
        from jensen.reproductions._divergences._targets import plane

        settings = (
            f"{self.num_samples:,} fresh draws of each fit, seed {self.seed}. ELBO: fixed draws. All others: Adam until R-hat and the Monte Carlo error of the "
            f"averaged parameters ({self.tolerance:g} of a start's sd) are small at two rates, at most {self.max_steps:,} steps; eubo, cubo and Renyi by 1,000 "
            "draws a step (two normals: eubo and cubo 4,000), with a bias of order Var w / K; Jensen-Shannon by 250. The error of the variance is "
            "Monte Carlo alone."
        )
        said = notes(rows, settings)
        done = [row for row in rows if row["status"] == "done"]
        files = [str(self.out / "results.md"), str(self.out / "results.json")]
        if done:
            planes = {name: plane(k) for name, k in known.items()}
            for name, content in draw_divergences(
                done, planes, {name: d.label for name, d in DIVERGENCES.items()}, page(rows, said)
            ).items():
                write_atomically(self.out / name, content)
                files.insert(0, str(self.out / name))
        details = {"unit": "nats", "seed": self.seed, "num_samples": self.num_samples}
        results = Results(
            TITLE,
            COLUMNS,
            tuple(rows),
            said,
            details,
            sum(row["status"] != "done" for row in rows),
            tuple(files),
        )
        results.write(self.out)
        return results


def _chosen(noun: str, wanted: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """The names asked for, each once; all when none is.

    Raises:
        ValueError: an unknown name.
    """
    for name in wanted:
        if name.replace("-", "_") not in known:
            raise ValueError(
                f"unknown {noun} {name!r}{nearest(name, known)}; known: {', '.join(known)}."
            )
    return tuple(dict.fromkeys(name.replace("-", "_") for name in wanted)) or known
