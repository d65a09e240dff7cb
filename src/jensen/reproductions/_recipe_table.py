"""A table of recipes: each trained once for each seed, its test log p(x) beside the published figures. What is done is kept; what was interrupted goes on."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jensen._files import exclusive, write_atomically
from jensen.reproductions._base import Column, Results, Row, number, plus_minus
from jensen.reproductions._recipes import FOLDER, Recipe, choose

if TYPE_CHECKING:
    from jensen.config import Config
    from jensen.runs import Run

MARKS = {"read": "", "second-hand": "'", "from memory": "?"}
BASIS = (
    "' known second-hand, ? from memory: to be checked in the source before anything rests on it."
)


@dataclass(frozen=True)
class Schedule:
    """What a row changes in its recipe (nested as a configuration is), and how its run folder says so ('' when it changes nothing)."""

    changes: dict[str, Any] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class Table:
    """The rows `chosen` x `seeds`, and how they are shown.

    Attributes:
        group: the recipes' folder.
        plan_title, title, columns, notes: of what is planned, and of the results; notes are made from the rows.
        out, data_dir: the folder that it works in, and where the data lie.
        num_samples: importance samples per datum.
        schedule: of a recipe.
        measure: (run, seed) -> further plain values of a trained row.

        Table("vampprior", ..., chosen=choose("vampprior", ()), seeds=(0,)).run()
    """

    group: str
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
                f"num_samples must be at least 2, or there is no standard error; got {self.num_samples}."
            )

    def planned(self) -> Results:
        """See `AbstractReproduction.planned`."""
        from jensen.datasets import sources
        from jensen.reproductions._runs import state_of

        rows = []
        for recipe, seed in self._entries():
            try:
                config = self._config(recipe, seed)
                sources.find(config.data.source)
                state, folder = (
                    state_of(self._folder(recipe, seed)),
                    str(self._folder(recipe, seed)),
                )
            except ValueError as error:
                state, folder = f"cannot be run: {error}", ""
            rows.append(
                {
                    "recipe": recipe.name,
                    "seed": seed,
                    "state": state,
                    "run": folder,
                    "file": str(recipe.path),
                    "published": _published(recipe),
                }
            )
        columns = (
            RECIPE,
            Column("published", published_cell),
            Column("state", lambda r: r["state"]),
        )
        return Results(
            self.plan_title,
            columns,
            tuple(rows),
            (f"Each runs alone, too: jensen fit --config {FOLDER / self.group}/RECIPE.toml",),
        )

    def run(self, *, progress: bool = True) -> Results:
        """See `AbstractReproduction.run`."""
        with exclusive(self.out):
            rows: list[dict[str, Any]] = []
            entries = self._entries()
            try:
                for i, (recipe, seed) in enumerate(entries, start=1):
                    label = (
                        f"[{i}/{len(entries)}] {RECIPE.cell({'recipe': recipe.name, 'seed': seed})}"
                    )
                    if progress:
                        print(label, file=sys.stderr)
                    rows.append(self._row(recipe, seed, progress=progress))
                    if progress:
                        print(f"{label}: {_in_words(rows[-1])}", file=sys.stderr)
            finally:  # an interruption leaves a table of what is done
                results = self._results(rows) if rows else None
            assert results is not None
            return results

    def _entries(self) -> list[tuple[Recipe, int]]:
        """In the order in which they are trained: one seed of every recipe before the next seed of any."""
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
            row |= {"run": str(self._folder(recipe, seed)), **_schedule_of(recipe, config)}
            return row | self._trained(config, seed, Path(row["run"]), progress=progress)
        except (ValueError, OSError, RunError, CheckpointError) as error:  # the other rows go on
            return row | {"status": "failed", "message": str(error)}

    def _trained(
        self, config: "Config", seed: int, path: Path, *, progress: bool
    ) -> dict[str, Any]:
        from jensen.reproductions._runs import finished_run, seconds_of

        run = finished_run(config, path, progress=progress)
        row: dict[str, Any] = {"epochs": run.outcome.epoch, "seconds": round(seconds_of(run), 2)}
        if run.status == "diverged":
            return row | {
                "status": "diverged",
                "message": f"{run.outcome.message} Remove {path} to train it again.",
            }
        row |= self._evidence(run, seed, progress=progress) | self.measure(run, seed)
        return row | {
            "status": "done",
            "message": run.outcome.message,
            "warnings": list(run.outcome.warnings),
        }

    def _evidence(self, run: "Run", seed: int, *, progress: bool) -> dict[str, Any]:
        from jensen.reproductions._runs import kept_evidence

        kept = kept_evidence(
            run, num_samples=self.num_samples, seed=seed, data_dir=self.data_dir, progress=progress
        )
        values = kept.estimate.values
        return {
            "best_epoch": run.history[-1]["best_epoch"],
            "log_p": kept.estimate.value,
            "standard_error": kept.estimate.standard_error,
            "data_error": float(values.std(ddof=1) / len(values) ** 0.5),
            "k_hat_too_high": kept.estimate.untrusted,
            "n": len(values),
            "evidence_seconds": round(kept.seconds, 2),
        }

    def _config(self, recipe: Recipe, seed: int) -> "Config":
        from jensen.config import Config, merge

        values = merge(recipe.values(), {"seed": seed, "data": {"data_dir": self.data_dir}})
        return Config.read(merge(values, self.schedule(recipe).changes))

    def _folder(self, recipe: Recipe, seed: int) -> Path:
        """A run folder for each recipe, schedule and seed, so that none is taken for another."""
        return self.out / "-".join(
            part
            for part in (recipe.name, self.schedule(recipe).name, f"seed{seed}" if seed else "")
            if part
        )

    def _results(self, rows: list[dict[str, Any]]) -> Results:
        """The rows' differences, and everything written: these rows, and those of earlier calls in this folder."""
        for row in rows:
            for figure in row["published"]:
                figure["difference"] = (
                    row["log_p"] - figure["value"] if row["status"] == "done" else None
                )
        everything = [*rows, *self._earlier(rows)]
        order = {recipe.name: i for i, recipe in enumerate(choose(self.group, ()))}
        rows.sort(key=lambda r: (order[r["recipe"]], r["seed"]))
        everything.sort(key=lambda r: (order[r["recipe"]], r.get("run", "")))
        files = [str(self.out / "results.md"), str(self.out / "results.json")]
        done = [row for row in everything if row["status"] == "done"]
        if done:
            from jensen.reports import draw_published

            for name, content in draw_published(done).items():
                write_atomically(self.out / name, content)
                files.insert(0, str(self.out / name))
        failed = sum(row["status"] != "done" for row in rows)
        details = {
            "unit": "nats per datum",
            "sources": {f["source"]: f["citation"] for row in everything for f in row["published"]},
        }
        Results(
            self.title,
            self.columns,
            tuple(everything),
            self.notes(everything),
            details,
            failed,
            tuple(files),
        ).write(self.out)
        return Results(
            self.title, self.columns, tuple(rows), self.notes(rows), details, failed, tuple(files)
        )

    def _earlier(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        # By the run folder's name: the folder it lies in may be named in more than one way.
        key = lambda r: (Path(r.get("run", "")).name, r["recipe"], r["num_samples"])  # noqa: E731
        try:
            before = json.loads((self.out / "results.json").read_text())["rows"]
            return [
                row
                for row in before
                if row["status"] == "done"
                and (self.out / Path(row["run"]).name).is_dir()
                and key(row) not in {key(r) for r in rows}
            ]
        except (OSError, ValueError, KeyError, TypeError):
            return []


def published_cell(row: Row) -> str:
    """'original -84.78', with the mark of its basis."""
    return ", ".join(
        f"{f['source']} {plus_minus(f['value'], f['spread'])}{MARKS[f['basis']]}"
        for f in row["published"]
    )


def cited(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """A line for each source of published figures."""
    return tuple(
        f"{source}: {citation}."
        for source, citation in {
            f["source"]: f["citation"] for row in rows for f in row["published"]
        }.items()
    )


def remarks(row: Row, samples: int) -> list[str]:
    """What the reader of a trained row has to know beside its schedule; `samples` are the importance samples of the publication."""
    parts = (
        [f"{row['num_samples']} importance samples, not {samples}"]
        if row["num_samples"] != samples
        else []
    )
    parts += (
        [f"k-hat too high for {row['k_hat_too_high']:.0%}"] if row["k_hat_too_high"] > 0.05 else []
    )
    return [*parts, *row["warnings"]]


def _published(recipe: Recipe) -> list[dict[str, Any]]:
    return [
        {
            "source": f.source,
            "citation": f.citation,
            "value": f.value,
            "spread": f.spread,
            "basis": f.basis,
            **f.details,
        }
        for f in recipe.figures
    ]


def _schedule_of(recipe: Recipe, config: "Config") -> dict[str, Any]:
    theirs = recipe.values()["training"]
    ours = config.training
    kept = {
        name: getattr(ours, name)
        for name in ("warm_up", "batch_size", "learning_rate", "rate_stages")
    }
    return {
        "recipe_epochs": theirs["epochs"],
        "at_most_epochs": ours.epochs,
        **kept,
        "shortened": ours.epochs < theirs["epochs"],
    }


def _difference_cell(row: Row) -> str:
    return number(row["published"][0].get("difference"), sign=True) if row["published"] else ""


def _epochs_cell(row: Row) -> str:
    return f"{row['epochs']}/{row['at_most_epochs']}" if "epochs" in row else ""


def _time_cell(row: Row) -> str:
    from jensen.progress import clock

    return clock(row["seconds"] + row.get("evidence_seconds", 0.0)) if "seconds" in row else ""


def _in_words(row: Row) -> str:
    if row["status"] != "done":
        return f"{row['status']}: {row['message']}"
    return f"log p(x) = {plus_minus(row['log_p'], row['standard_error'], 3)}; published: {published_cell(row)}"


RECIPE = Column("recipe", lambda r: r["recipe"] + (f" (seed {r['seed']})" if r["seed"] else ""))
OURS = Column("ours", lambda r: plus_minus(r.get("log_p"), r.get("standard_error")))
PUBLISHED = Column("published", published_cell)
DIFFERENCE = Column("difference", _difference_cell)
EPOCHS = Column("epochs", _epochs_cell)
TIME = Column("time", _time_cell)
