"""A table of recipes: test log p(x) of each, trained once for each seed, beside published values.

Rows that are done are read, interrupted trainings are resumed.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jensen._files import exclusive, write_atomically
from jensen.reproductions._base import Column, Results, Row, number, plus_minus
from jensen.reproductions._recipes import Recipe, choose, recipe_folder

if TYPE_CHECKING:
    from jensen.config import Config
    from jensen.runs import Run

BASIS_MARKS = {"read": "", "second-hand": "'", "from memory": "?"}
BASIS_NOTE = (
    "' known second-hand, ? from memory: to be checked in the source before anything rests on it."
)


@dataclass(frozen=True)
class Schedule:
    """The changes that a row makes to its recipe, and the part of its folder's name for them.

    Attributes:
        changes: nested as a configuration.
        name: '' when nothing changes.
    """

    changes: dict[str, Any] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class RecipeTable:
    """The rows `chosen` x `seeds`, and the table that shows them.

    Attributes:
        reproduction: the name of the reproduction.
        plan_title: title of the plan.
        title, columns: of the results.
        notes: makes the notes of the results from the rows.
        out: the folder in which the table works.
        data_dir: the folder of the data.
        num_samples: importance samples per datum.
        schedule: makes the schedule of a recipe.
        measure: (run, seed) -> further plain values of a trained row.

        RecipeTable("vampprior", ..., chosen=choose("vampprior", ()), seeds=(0,)).run()
    """

    reproduction: str
    plan_title: str
    title: str
    columns: tuple[Column, ...]
    notes: Callable[[list[dict[str, Any]]], tuple[str, ...]]
    out: Path
    data_dir: str | None
    chosen: tuple[Recipe, ...]
    seeds: tuple[int, ...]
    num_samples: int
    schedule: Callable[[Recipe], Schedule]
    measure: Callable[["Run", int], dict[str, Any]] = lambda run, seed: {}

    def __post_init__(self):
        if self.num_samples < 2:
            raise ValueError(
                "num_samples must be at least 2, or there is no standard error; "
                f"got {self.num_samples}."
            )

    def planned(self) -> Results:
        """See `AbstractReproduction.planned`."""
        from jensen.datasets import sources
        from jensen.reproductions._runs import state_of

        rows = []
        for recipe, seed in self._entries():
            try:
                sources.find(self._config(recipe, seed).data.source)
                folder = str(self._folder(recipe, seed))
                state = state_of(self._folder(recipe, seed))
            except ValueError as error:
                state, folder = f"cannot be run: {error}", ""
            row = {"recipe": recipe.name, "seed": seed, "state": state, "run": folder}
            row |= {"file": str(recipe.path), "published": _published(recipe)}
            rows.append(row)
        columns = (RECIPE, PUBLISHED, Column("state", lambda row: row["state"]))
        recipe_path = recipe_folder(self.reproduction) / "RECIPE.toml"
        note = f"Each runs alone, too: jensen fit --config {recipe_path}"
        return Results(self.plan_title, columns, tuple(rows), (note,))

    def run(self, *, progress: bool = True) -> Results:
        """See `AbstractReproduction.run`."""
        with exclusive(self.out):
            rows: list[dict[str, Any]] = []
            entries = self._entries()
            try:
                for i, (recipe, seed) in enumerate(entries, start=1):
                    name = RECIPE.cell({"recipe": recipe.name, "seed": seed})
                    label = f"[{i}/{len(entries)}] {name}"
                    if progress:
                        print(label, file=sys.stderr)
                    rows.append(self._row(recipe, seed, progress=progress))
                    if progress:
                        print(f"{label}: {_progress_text(rows[-1])}", file=sys.stderr)
            finally:  # an interruption leaves a table of what is done
                results = self._results(rows) if rows else None
            assert results is not None
            return results

    def _entries(self) -> list[tuple[Recipe, int]]:
        """Returns the rows in the order of training: all recipes with one seed, then the next."""
        return [(recipe, seed) for seed in self.seeds for recipe in self.chosen]

    def _row(self, recipe: Recipe, seed: int, *, progress: bool) -> dict[str, Any]:
        from jensen.runs import RunError
        from jensen.training import CheckpointError

        row: dict[str, Any] = {
            "recipe": recipe.name,
            "seed": seed,
            "num_samples": self.num_samples,
            "published": _published(recipe),
        }
        try:
            config = self._config(recipe, seed)
            row |= {"run": str(self._folder(recipe, seed)), **_schedule_values(recipe, config)}
            return row | self._trained_row(config, seed, Path(row["run"]), progress=progress)
        except (ValueError, OSError, RunError, CheckpointError) as error:
            # An error of one row must not stop the others, which may take days.
            return row | {"status": "failed", "message": str(error)}

    def _trained_row(
        self, config: "Config", seed: int, path: Path, *, progress: bool
    ) -> dict[str, Any]:
        from jensen.reproductions._runs import finished_run, seconds_of

        run = finished_run(config, path, progress=progress)
        row: dict[str, Any] = {"epochs": run.outcome.epoch, "seconds": round(seconds_of(run), 2)}
        if run.status == "diverged":
            message = f"{run.outcome.message} Remove {path} to train it again."
            return row | {"status": "diverged", "message": message}
        row |= self._evidence(run, seed, progress=progress) | self.measure(run, seed)
        return row | {
            "status": "done",
            "message": run.outcome.message,
            "warnings": list(run.outcome.warnings),
        }

    def _evidence(self, run: "Run", seed: int, *, progress: bool) -> dict[str, Any]:
        from jensen.reproductions._runs import evidence_of_test_split

        evidence = evidence_of_test_split(
            run, num_samples=self.num_samples, seed=seed, data_dir=self.data_dir, progress=progress
        )
        estimate = evidence.estimate
        values = estimate.values
        return {
            "best_epoch": run.history[-1]["best_epoch"],
            "log_p": estimate.value,
            "standard_error": estimate.standard_error,
            "data_error": float(values.std(ddof=1) / len(values) ** 0.5),
            "k_hat_too_high": estimate.untrusted,
            "n": len(values),
            "evidence_seconds": round(evidence.seconds, 2),
        }

    def _config(self, recipe: Recipe, seed: int) -> "Config":
        from jensen.config import Config, merge

        values = merge(recipe.values(), {"seed": seed, "data": {"data_dir": self.data_dir}})
        return Config.read(merge(values, self.schedule(recipe).changes))

    def _folder(self, recipe: Recipe, seed: int) -> Path:
        """Returns the run folder of a recipe, its schedule and a seed: each has its own."""
        parts = (recipe.name, self.schedule(recipe).name, f"seed{seed}" if seed else "")
        return self.out / "-".join(part for part in parts if part)

    def _results(self, rows: list[dict[str, Any]]) -> Results:
        """Writes these rows and those of earlier calls in this folder; returns these rows."""
        for row in rows:
            for published in row["published"]:
                published["difference"] = (
                    row["log_p"] - published["value"] if row["status"] == "done" else None
                )
        all_rows = [*rows, *self._earlier_rows(rows)]
        rank = {recipe.name: i for i, recipe in enumerate(choose(self.reproduction, ()))}
        rows.sort(key=lambda row: (rank[row["recipe"]], row["seed"]))
        all_rows.sort(key=lambda row: (rank[row["recipe"]], row.get("run", "")))
        files = [str(self.out / "results.md"), str(self.out / "results.json")]
        done = [row for row in all_rows if row["status"] == "done"]
        if done:
            from jensen.reproductions._published_picture import draw_published

            for name, content in draw_published(done).items():
                write_atomically(self.out / name, content)
                files.insert(0, str(self.out / name))
        citations = {p["source"]: p["citation"] for row in all_rows for p in row["published"]}
        details = {"unit": "nats per datum", "sources": citations}
        failed = sum(row["status"] != "done" for row in rows)

        def results_of(shown: list[dict[str, Any]]) -> Results:
            notes = self.notes(shown)
            return Results(
                self.title, self.columns, tuple(shown), notes, details, failed, tuple(files)
            )

        results_of(all_rows).write(self.out)
        return results_of(rows)

    def _earlier_rows(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Returns the rows of results.json that are done, are not in `rows` and have a folder."""

        # A run is known by its folder's name: the path to `out` may be written in several ways.
        def identity(row: Row) -> tuple[Any, ...]:
            return (Path(row.get("run", "")).name, row["recipe"], row["num_samples"])

        replaced = {identity(row) for row in rows}
        try:
            stored = json.loads((self.out / "results.json").read_text())["rows"]
            return [
                row
                for row in stored
                if row["status"] == "done"
                and (self.out / Path(row["run"]).name).is_dir()
                and identity(row) not in replaced
            ]
        except (OSError, ValueError, KeyError, TypeError):
            return []


def published_cell(row: Row) -> str:
    """Formats published values: 'original -84.78', each with the mark of its basis."""
    return ", ".join(
        f"{p['source']} {plus_minus(p['value'], p['spread'])}{BASIS_MARKS[p['basis']]}"
        for p in row["published"]
    )


def citation_notes(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """Returns a line for each source of published values."""
    citations = {p["source"]: p["citation"] for row in rows for p in row["published"]}
    return tuple(f"{source}: {citation}." for source, citation in citations.items())


def evidence_note(rows: list[dict[str, Any]]) -> str:
    """Returns the line that tells how our values are made."""
    samples = ", ".join(sorted({str(row["num_samples"]) for row in rows}, key=int))
    return (
        f"ours: the best model by validation bound, {samples} importance samples per test datum; "
        "+- is the Monte Carlo standard error of one training."
    )


def failure_text(row: Row) -> str:
    """Returns the status and the message of a row without a result."""
    return f"{row['status']}: {row['message']}"


def remarks(row: Row, published_samples: int) -> list[str]:
    """Returns remarks on a trained row: number of samples, k-hat, and the warnings of the run.

    Args:
        row: of the table.
        published_samples: importance samples of the publication.
    """
    texts = []
    if row["num_samples"] != published_samples:
        texts.append(f"{row['num_samples']} importance samples, not {published_samples}")
    if row["k_hat_too_high"] > 0.05:
        texts.append(f"k-hat too high for {row['k_hat_too_high']:.0%}")
    return [*texts, *row["warnings"]]


def _published(recipe: Recipe) -> list[dict[str, Any]]:
    return [published.to_json() for published in recipe.published]


def _schedule_values(recipe: Recipe, config: "Config") -> dict[str, Any]:
    recipe_epochs = recipe.values()["training"]["epochs"]
    training = config.training
    return {
        "recipe_epochs": recipe_epochs,
        "at_most_epochs": training.epochs,
        "warm_up": training.warm_up,
        "batch_size": training.batch_size,
        "learning_rate": training.learning_rate,
        "rate_stages": training.rate_stages,
        "shortened": training.epochs < recipe_epochs,
    }


def _difference_cell(row: Row) -> str:
    return number(row["published"][0].get("difference"), sign=True) if row["published"] else ""


def _epochs_cell(row: Row) -> str:
    return f"{row['epochs']}/{row['at_most_epochs']}" if "epochs" in row else ""


def _time_cell(row: Row) -> str:
    from jensen.progress import clock

    return clock(row["seconds"] + row.get("evidence_seconds", 0.0)) if "seconds" in row else ""


def _progress_text(row: Row) -> str:
    if row["status"] != "done":
        return failure_text(row)
    log_p = plus_minus(row["log_p"], row["standard_error"], 3)
    return f"log p(x) = {log_p}; published: {published_cell(row)}"


RECIPE = Column(
    "recipe", lambda row: row["recipe"] + (f" (seed {row['seed']})" if row["seed"] else "")
)
OURS = Column("ours", lambda row: plus_minus(row.get("log_p"), row.get("standard_error")))
PUBLISHED = Column("published", published_cell)
DIFFERENCE = Column("difference", _difference_cell)
EPOCHS = Column("epochs", _epochs_cell)
TIME = Column("time", _time_cell)
