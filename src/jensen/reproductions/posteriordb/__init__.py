"""Twelve posteriors of posteriordb (Magnusson et al. 2024) by variational inference: ours and NumPyro's SVI against reference draws, in one process."""

import json
import sys
from pathlib import Path
from typing import Any, Literal

from jensen._files import exclusive, write_atomically
from jensen.reproductions._base import AbstractReproduction, Column, Results, finite
from jensen.reproductions._posteriors._table import COLUMNS, OURS, compare_speed, measure, notes


class PosteriorDB(AbstractReproduction):
    """Mean-field and full-rank fits of twelve posteriors: error, sd ratio, k-hat, ELBO, evidence, evaluations and time, beside NumPyro's SVI.

    The posteriors are not shipped: `data_dir`, or JENSEN_DATA, holds a folder posteriordb.

    Args:
        only: posteriors, 'blr' or in full 'sblrc-blr'; all by default.
        families: ours.
        guides: NumPyro's.
        num_samples: fresh draws of each fit; by default as many as `jensen.fit_variational` takes by itself, and 10,000 of NumPyro's.
        learning_rate, max_steps: of NumPyro's Adam.

    Raises:
        ValueError: an unknown posterior, or a value out of range.

        PosteriorDB(Path("runs/posteriordb"), 0, "~/data", only=("blr",)).run()
    """

    summary = "twelve posteriors of posteriordb by variational inference, against reference draws and beside NumPyro's SVI"

    def __init__(
        self,
        out: Path,
        seed: int,
        data_dir: str | None,
        *,
        only: tuple[str, ...] = (),
        families: tuple[Literal["mean_field", "full_rank"], ...] = ("mean_field", "full_rank"),
        guides: tuple[Literal["AutoNormal", "AutoMultivariateNormal"], ...] = (
            "AutoNormal",
            "AutoMultivariateNormal",
        ),
        num_samples: int | None = None,
        learning_rate: float = 0.01,
        max_steps: int = 50_000,
    ):
        if num_samples is not None and num_samples < 100:
            raise ValueError(
                f"num_samples must be at least 100, or k-hat means nothing; got {num_samples}."
            )
        if not 0 < learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be positive and finite; got {learning_rate}.")
        if max_steps < 1:
            raise ValueError(f"max_steps must be at least 1; got {max_steps}.")
        if not (families or guides):
            raise ValueError("families and guides are both empty: there is nothing to fit.")
        self.out, self.seed, self.data_dir = out, seed, data_dir
        self.only, self.methods = only, (*families, *guides)
        self.num_samples, self.learning_rate, self.max_steps = num_samples, learning_rate, max_steps

    def planned(self) -> Results:
        rows = tuple(
            {
                "posterior": p,
                "method": m,
                "state": "not begun" if self._kept(p, m) is None else "done",
            }
            for p, m in self._entries()
        )
        columns = tuple(
            Column(name, lambda r, name=name: r[name]) for name in ("posterior", "method", "state")
        )
        return Results("Posteriors of posteriordb, and how each is fitted", columns, rows)

    def run(self, *, progress: bool = True) -> Results:
        from jensen.reproductions._posteriors._data import database

        database(self.data_dir)  # said at once, and once for all rows
        rows: list[dict[str, Any]] = []
        with exclusive(self.out):
            warm = False
            for i, (posterior, method) in enumerate(entries := self._entries(), start=1):
                row = self._kept(posterior, method)
                if row is None:
                    if not warm:
                        self._warm_up()
                        warm = True
                    row = self._fitted(posterior, method)
                    if row["status"] == "done":
                        write_atomically(
                            self._place(posterior, method),
                            json.dumps({"settings": self._settings(method), "row": finite(row)}),
                        )
                rows.append(row)
                if progress:
                    said = (
                        row["message"]
                        if row["status"] != "done"
                        else f"ELBO {row['elbo']:.3f}, k-hat {row['pareto_k'] or float('inf'):.2f}"
                    )
                    print(f"[{i}/{len(entries)}] {posterior}, {method}: {said}", file=sys.stderr)
            return self._results(rows)

    def _entries(self) -> list[tuple[str, str]]:
        from jensen.reproductions._posteriors import posteriors, stem_of

        wanted = dict.fromkeys(stem_of(name) for name in self.only) or posteriors.names()
        names = [posteriors.find(stem).name for stem in wanted]
        return [(name, method) for name in names for method in self.methods]

    def _fitted(self, name: str, method: str) -> dict[str, Any]:
        from jensen.reproductions._posteriors import load
        from jensen.reproductions._posteriors._data import read_reference
        from jensen.reproductions._posteriors._density import UnconstrainedDensity

        row: dict[str, Any] = {"posterior": name, "method": method}
        try:
            posterior = load(name, data_dir=self.data_dir)
            fitted = self._fit(
                posterior,
                method,
                seed=self.seed,
                num_samples=self.num_samples,
                max_steps=self.max_steps,
            )
            reference = (
                read_reference(posterior.reference_name, posterior.shapes, self.data_dir)
                if posterior.reference_name
                else None
            )
            return (
                row
                | {"status": "done"}
                | measure(posterior, fitted, reference, UnconstrainedDensity(posterior))
            )
        except (
            ValueError,
            OSError,
            ArithmeticError,
            RuntimeError,
        ) as error:  # the other rows go on
            return row | {"status": "failed", "message": str(error) or type(error).__name__}

    def _fit(
        self, posterior: Any, method: str, *, seed: int, num_samples: int | None, max_steps: int
    ) -> Any:
        from jensen.reproductions._posteriors._ours import fit_ours
        from jensen.reproductions._posteriors._svi import fit_svi

        if method in OURS:
            return fit_ours(posterior, method, seed=seed, num_samples=num_samples)
        guide: Any = method
        return fit_svi(
            posterior,
            guide,
            seed=seed,
            num_samples=num_samples or 10_000,
            learning_rate=self.learning_rate,
            max_steps=max_steps,
        )

    def _warm_up(self) -> None:
        """What a process compiles once, whoever comes first, is on nobody's clock."""
        from jensen.reproductions._posteriors.wells_dist import WellsDistance

        tiny = WellsDistance({"dist": [0.0, 1.0, 2.0, 3.0], "switched": [0, 1, 0, 1]})
        for method in self.methods:
            self._fit(tiny, method, seed=0, num_samples=self.num_samples, max_steps=1)

    def _settings(self, method: str) -> dict[str, Any]:
        """What a kept row depends on."""
        import jensen

        ours = (
            {"version": jensen.__version__}
            if method in OURS
            else {"learning_rate": self.learning_rate, "max_steps": self.max_steps}
        )
        return {"seed": self.seed, "num_samples": self.num_samples, **ours}

    def _place(self, posterior: str, method: str) -> Path:
        return (
            self.out
            / "fits"
            / f"{posterior}-{method}{f'-seed{self.seed}' if self.seed else ''}.json"
        )

    def _kept(self, posterior: str, method: str) -> dict[str, Any] | None:
        try:
            kept = json.loads(self._place(posterior, method).read_text())
            return kept["row"] if kept["settings"] == self._settings(method) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _results(self, rows: list[dict[str, Any]]) -> Results:
        from jensen.reports import draw_posteriors

        files = [str(self.out / "results.md"), str(self.out / "results.json")]
        if any("sd_ratios" in row for row in rows):
            for name, content in draw_posteriors(rows).items():
                write_atomically(self.out / name, content)
                files.insert(0, str(self.out / name))
        settings = (
            f"{f'{self.num_samples:,}' if self.num_samples else '10,000 or, where k-hat of these is above .5, 100,000'} fresh draws of each fit (10,000 of "
            f"NumPyro's), seed {self.seed}. NumPyro: Adam at {self.learning_rate:g}, one draw a step, at most "
            f"{self.max_steps:,} steps; it stops when the mean ELBO of 5,000 steps is not above that of the 5,000 before by two "
            "standard errors. Both in float64, after a warm-up."
        )
        details = {
            "unit": "nats",
            "seed": self.seed,
            "num_samples": self.num_samples,
            "speed": compare_speed(rows),
        }
        failed = sum(row["status"] != "done" for row in rows)
        title = "Twelve posteriors of posteriordb: variational fits against reference draws"
        results = Results(
            title, COLUMNS, tuple(rows), notes(rows, settings), details, failed, tuple(files)
        )
        results.write(self.out)
        return results
