"""Twelve posteriors of posteriordb (Magnusson et al. 2024) by variational inference.

Fits by jensen and by NumPyro's SVI are compared with reference draws, in one process.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jensen._files import exclusive, write_atomically
from jensen.reproductions._base import (
    AbstractReproduction,
    Column,
    Results,
    read_stored_row,
    store_row,
)
from jensen.reproductions.posteriordb._table import (
    COLUMNS,
    FAMILIES,
    compare_speed,
    notes,
    progress_text,
)

if TYPE_CHECKING:
    from jensen.reproductions.posteriordb._fits import Fit
    from jensen.reproductions.posteriordb._posteriors import AbstractPosterior


class Entry(NamedTuple):
    """One fit: the posterior's full name, and a family of jensen or a guide of NumPyro."""

    posterior: str
    method: str


class PosteriorDB(AbstractReproduction):
    """Mean-field and full-rank fits of twelve posteriors, beside NumPyro's SVI.

    The table shows error, sd ratio, k-hat, ELBO, evidence, evaluations and time. The posteriors
    are not shipped: `data_dir`, or JENSEN_DATA, holds a folder posteriordb.

    Args:
        out: the folder in which it works.
        seed: of the fits.
        data_dir: the folder that holds posteriordb.
        only: posteriors, 'blr' or in full 'sblrc-blr'; all by default.
        families: of jensen.
        guides: of NumPyro.
        num_samples: fresh draws of each fit; by default as many as `jensen.fit_variational` takes,
            and 10,000 of NumPyro's.
        learning_rate: of NumPyro's Adam.
        max_steps: of NumPyro's Adam.

    Raises:
        ValueError: an unknown posterior, or a value out of range.

        PosteriorDB(Path("runs/posteriordb"), 0, "~/data", only=("blr",)).run()
    """

    summary = (
        "twelve posteriors of posteriordb by variational inference, against reference draws and "
        "beside NumPyro's SVI"
    )

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
            {**entry._asdict(), "state": "not begun" if self._read(entry) is None else "done"}
            for entry in self._entries()
        )
        columns = tuple(Column(name, lambda row, name=name: row[name]) for name in rows[0])
        return Results("Posteriors of posteriordb, and how each is fitted", columns, rows)

    def run(self, *, progress: bool = True) -> Results:
        from jensen.reproductions.posteriordb._database import find_database

        find_database(self.data_dir)  # without it every row would fail with the same message
        rows: list[dict[str, Any]] = []
        entries = self._entries()
        with exclusive(self.out):
            warm = False
            for i, entry in enumerate(entries, start=1):
                row = self._read(entry)
                if row is None:
                    if not warm:
                        self._warm_up()
                        warm = True
                    row = self._fitted_row(entry)
                    if row["status"] == "done":
                        store_row(self._path(entry), self._settings(entry.method), row)
                rows.append(row)
                if progress:
                    text = f"[{i}/{len(entries)}] {', '.join(entry)}: {progress_text(row)}"
                    print(text, file=sys.stderr)
            return self._results(rows)

    def _entries(self) -> list[Entry]:
        from jensen.reproductions.posteriordb._posteriors import POSTERIORS, program_of

        programs = dict.fromkeys(program_of(name) for name in self.only) or POSTERIORS
        names = [POSTERIORS[program].name for program in programs]
        return [Entry(name, method) for name in names for method in self.methods]

    def _fitted_row(self, entry: Entry) -> dict[str, Any]:
        from jensen.reproductions.posteriordb._database import read_reference
        from jensen.reproductions.posteriordb._measurements import measure
        from jensen.reproductions.posteriordb._posteriors import load
        from jensen.reproductions.posteriordb._unconstrained_density import UnconstrainedDensity

        row: dict[str, Any] = entry._asdict()
        try:
            posterior = load(entry.posterior, data_dir=self.data_dir)
            fit = self._fit(posterior, entry.method, seed=self.seed, max_steps=self.max_steps)
            reference = None
            if posterior.reference_name:
                reference = read_reference(
                    posterior.reference_name, posterior.shapes, self.data_dir
                )
            figures = measure(posterior, fit, reference, UnconstrainedDensity(posterior))
            return row | {"status": "done"} | figures
        except (ValueError, OSError, ArithmeticError, RuntimeError) as error:
            # An error of one fit must not stop the others.
            return row | {"status": "failed", "message": str(error) or type(error).__name__}

    def _fit(
        self, posterior: "AbstractPosterior", method: Any, *, seed: int, max_steps: int
    ) -> "Fit":
        from jensen.reproductions.posteriordb._fits import fit_jensen, fit_svi

        if method in FAMILIES:
            return fit_jensen(posterior, method, seed=seed, num_samples=self.num_samples)
        return fit_svi(
            posterior,
            method,
            seed=seed,
            num_samples=self.num_samples or 10_000,
            learning_rate=self.learning_rate,
            max_steps=max_steps,
        )

    def _warm_up(self) -> None:
        """Compiles what a process compiles once, so that it counts for no method's time."""
        from jensen.reproductions.posteriordb._posteriors import WellsDistance

        tiny = WellsDistance({"dist": [0.0, 1.0, 2.0, 3.0], "switched": [0, 1, 0, 1]})
        for method in self.methods:
            self._fit(tiny, method, seed=0, max_steps=1)

    def _settings(self, method: str) -> dict[str, Any]:
        """Returns what a stored row depends on."""
        import jensen

        if method in FAMILIES:
            options: dict[str, Any] = {"version": jensen.__version__}
        else:
            options = {"learning_rate": self.learning_rate, "max_steps": self.max_steps}
        return {"seed": self.seed, "num_samples": self.num_samples, **options}

    def _path(self, entry: Entry) -> Path:
        seed = f"-seed{self.seed}" if self.seed else ""
        return self.out / "fits" / f"{'-'.join(entry)}{seed}.json"

    def _read(self, entry: Entry) -> dict[str, Any] | None:
        return read_stored_row(self._path(entry), self._settings(entry.method))

    def _results(self, rows: list[dict[str, Any]]) -> Results:
        from jensen.reproductions.posteriordb.picture import draw_posteriors

        files = [str(self.out / "results.md"), str(self.out / "results.json")]
        if any("sd_ratios" in row for row in rows):
            for name, content in draw_posteriors(rows).items():
                write_atomically(self.out / name, content)
                files.insert(0, str(self.out / name))
        draws = (
            f"{self.num_samples:,}"
            if self.num_samples
            else "10,000 or, where k-hat of these is above .5, 100,000"
        )
        settings = (
            f"{draws} fresh draws of each fit (10,000 of NumPyro's), seed {self.seed}. NumPyro: "
            f"Adam at {self.learning_rate:g}, one draw a step, at most {self.max_steps:,} steps; "
            "it stops when the mean ELBO of 5,000 steps is not above that of the 5,000 before by "
            "two standard errors. Both in float64, after a warm-up."
        )
        details = {
            "unit": "nats",
            "seed": self.seed,
            "num_samples": self.num_samples,
            "speed": compare_speed(rows),
        }
        results = Results(
            "Twelve posteriors of posteriordb: variational fits against reference draws",
            COLUMNS,
            tuple(rows),
            notes(rows, settings),
            details,
            sum(row["status"] != "done" for row in rows),
            tuple(files),
        )
        results.write(self.out)
        return results
