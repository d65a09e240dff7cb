"""The table of the VampPrior paper (Tomczak & Welling 2018): test log-likelihoods of data set x model x prior.

Each row is a recipe, with models and data as in the authors' code. What is not theirs: the schedule (Adam with a learning rate that falls linearly to 0, a
fifth of their epochs; each recipe names theirs); weights start Glorot-uniform (theirs: N(0, 2/fan_in)); pseudo-inputs are a
sigmoid of their parameters and start near the training mean (theirs: a hard tanh of N(.05, .01) or N(.5, .02)); posterior scales and Bernoulli means are not
clipped at theirs; the validation bound, which stops the training, uses the same draws in every epoch.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jensen._files import exclusive, write_atomically
from jensen.reproductions._base import AbstractReproduction, Column, Results, Row, number, plus_minus
from jensen.reproductions._recipes import FOLDER, Recipe, choose

if TYPE_CHECKING:
    from jensen.config import Config
    from jensen.runs import Run

GROUP = "vampprior"
SAMPLES = 5000


class VampPrior(AbstractReproduction):
    """The VampPrior paper's table: our test log-likelihood beside the published one.

    `only` names recipes (all by default), `epochs` shortens the schedule (warm-up and cool-down in proportion), `num_samples` are importance samples per datum.

        VampPrior(Path("runs/vampprior"), 0, None, only=("mnist-vae-vamp",), epochs=100).run()
    """

    summary = "the VampPrior paper's table of test log-likelihoods: data set x model x prior"

    def __init__(self, out: Path, seed: int, data_dir: str | None, *, only: tuple[str, ...] = (), epochs: int | None = None, num_samples: int = SAMPLES):
        if epochs is not None and epochs < 1:
            raise ValueError(f"epochs must be at least 1; got {epochs}.")
        if num_samples < 2:
            raise ValueError(f"num_samples must be at least 2, or there is no standard error; got {num_samples}.")
        self.chosen = choose(GROUP, only)
        self.out = out
        self.seed = seed
        self.data_dir = data_dir
        self.epochs = epochs
        self.num_samples = num_samples

    def planned(self) -> Results:
        from jensen.datasets import sources
        from jensen.reproductions._runs import state_of

        rows = []
        for recipe in self.chosen:
            try:
                config = self._config(recipe)
                sources.find(config.data.source)
                state, folder = state_of(self._folder(recipe, config)), str(self._folder(recipe, config))
            except ValueError as error:
                state, folder = f"cannot be run: {error}", ""
            rows.append({"recipe": recipe.name, "state": state, "run": folder, "file": str(recipe.path), "published": _published(recipe)})
        columns = (Column("recipe", lambda r: r["recipe"]), Column("published", _published_cell), Column("state", lambda r: r["state"]))
        return Results("Recipes of the VampPrior table", columns, tuple(rows), (f"Each runs alone, too: jensen fit --config {FOLDER / GROUP}/RECIPE.toml",))

    def run(self, *, progress: bool = True) -> Results:
        with exclusive(self.out):
            rows: list[dict[str, Any]] = []
            try:
                for i, recipe in enumerate(self.chosen, start=1):
                    if progress:
                        print(f"[{i}/{len(self.chosen)}] {recipe.name}", file=sys.stderr)
                    rows.append(self._row(recipe, progress=progress))
                    if progress:
                        print(f"[{i}/{len(self.chosen)}] {recipe.name}: {_in_words(rows[-1])}", file=sys.stderr)
            finally:  # an interruption leaves a table of what is done
                results = self._results(rows) if rows else None
            assert results is not None
            return results

    def _row(self, recipe: Recipe, *, progress: bool) -> dict[str, Any]:
        from jensen.runs import RunError
        from jensen.training import CheckpointError

        row: dict[str, Any] = {"recipe": recipe.name, "seed": self.seed, "num_samples": self.num_samples, "published": _published(recipe)}
        try:
            config = self._config(recipe)
            row |= {"run": str(self._folder(recipe, config)), **self._schedule(recipe, config)}
            return row | self._trained(config, Path(row["run"]), progress=progress)
        except (ValueError, OSError, RunError, CheckpointError) as error:  # the other rows go on
            return row | {"status": "failed", "message": str(error)}

    def _trained(self, config: "Config", path: Path, *, progress: bool) -> dict[str, Any]:
        from jensen.reproductions._runs import finished_run, seconds_of

        run = finished_run(config, path, progress=progress)
        row: dict[str, Any] = {"epochs": run.outcome.epoch, "seconds": round(seconds_of(run), 2)}
        if run.status == "diverged":
            return row | {"status": "diverged", "message": f"{run.outcome.message} Remove {path} to train it again."}
        return row | self._figures(run, progress=progress) | {"status": "done", "message": run.outcome.message, "warnings": list(run.outcome.warnings)}

    def _figures(self, run: "Run", *, progress: bool) -> dict[str, Any]:
        from jensen.reproductions._runs import kept_evidence

        kept = kept_evidence(run, num_samples=self.num_samples, seed=self.seed, data_dir=self.data_dir, progress=progress)
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

    def _config(self, recipe: Recipe) -> "Config":
        from jensen.config import Config, merge

        values = merge(recipe.values(), {"seed": self.seed, "data": {"data_dir": self.data_dir}})
        if self.epochs is not None:
            # A warm-up longer than the training would leave a model of a smaller KL weight; a cool-down as long, no training at the full rate.
            theirs = values["training"]
            shorter = {key: theirs.get(key, 0) * self.epochs // theirs["epochs"] for key in ("warm_up", "cool_down") if self.epochs < theirs["epochs"]}
            values = merge(values, {"training": {"epochs": self.epochs, **shorter}})
        return Config.read(values)

    def _folder(self, recipe: Recipe, config: "Config") -> Path:
        """A run folder for each recipe, schedule and seed, so that none is taken for another."""
        schedule = "" if config.training.epochs == recipe.values()["training"]["epochs"] else f"-epochs{config.training.epochs}"
        return self.out / f"{recipe.name}{schedule}{f'-seed{self.seed}' if self.seed else ''}"

    def _schedule(self, recipe: Recipe, config: "Config") -> dict[str, Any]:
        theirs = recipe.values()["training"]
        return {
            "recipe_epochs": theirs["epochs"],
            "at_most_epochs": config.training.epochs,
            "warm_up": config.training.warm_up,
            "shortened": config.training.epochs < theirs["epochs"],
        }

    def _results(self, rows: list[dict[str, Any]]) -> Results:
        """The rows' differences, and everything written: these rows, and those of earlier calls in this folder."""
        for row in rows:
            for figure in row["published"]:
                figure["difference"] = row["log_p"] - figure["value"] if row["status"] == "done" else None
        everything = [*rows, *self._earlier(rows)]
        order = {recipe.name: i for i, recipe in enumerate(choose(GROUP, ()))}
        everything.sort(key=lambda r: (order[r["recipe"]], r.get("run", "")))
        files = [str(self.out / "results.md"), str(self.out / "results.json")]
        done = [row for row in everything if row["status"] == "done"]
        if done:
            from jensen.reports import draw_published

            for name, content in draw_published(done).items():
                write_atomically(self.out / name, content)
                files.insert(0, str(self.out / name))
        failed = sum(row["status"] != "done" for row in rows)
        details = {"unit": "nats per datum", "sources": {f["source"]: f["citation"] for row in everything for f in row["published"]}}
        Results(TITLE, COLUMNS, tuple(everything), _notes(everything), details, failed, tuple(files)).write(self.out)
        return Results(TITLE, COLUMNS, tuple(rows), _notes(rows), details, failed, tuple(files))

    def _earlier(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        import json

        # By the run folder's name: the folder it lies in may be named in more than one way.
        key = lambda r: (Path(r.get("run", "")).name, r["recipe"], r["num_samples"])  # noqa: E731
        try:
            before = json.loads((self.out / "results.json").read_text())["rows"]
            return [row for row in before if row["status"] == "done" and (self.out / Path(row["run"]).name).is_dir() and key(row) not in {key(r) for r in rows}]
        except (OSError, ValueError, KeyError, TypeError):
            return []


TITLE = "The VampPrior table, made again: test log p(x), nats per datum, higher is better"


def _published(recipe: Recipe) -> list[dict[str, Any]]:
    return [{"source": f.source, "citation": f.citation, "value": f.value, "spread": f.spread, "basis": f.basis} for f in recipe.figures]


def _published_cell(row: Row) -> str:
    mark = {"read": "", "second-hand": "'", "from memory": "?"}
    return ", ".join(f"{f['source']} {plus_minus(f['value'], f['spread'])}{mark[f['basis']]}" for f in row["published"])


def _difference_cell(row: Row) -> str:
    return number(row["published"][0].get("difference"), sign=True) if row["published"] else ""


def _epochs_cell(row: Row) -> str:
    return f"{row['epochs']}/{row['at_most_epochs']}" if "epochs" in row else ""


def _time_cell(row: Row) -> str:
    from jensen.progress import clock

    return clock(row["seconds"] + row.get("evidence_seconds", 0.0)) if "seconds" in row else ""


def _note_cell(row: Row) -> str:
    if row["status"] != "done":
        return f"{row['status']}: {row['message']}"
    parts = [f"shortened: {row['at_most_epochs']} of {row['recipe_epochs']} epochs, warm-up {row['warm_up']}"] if row["shortened"] else []
    parts += [f"{row['num_samples']} importance samples, not {SAMPLES}"] if row["num_samples"] != SAMPLES else []
    parts += [f"k-hat too high for {row['k_hat_too_high']:.0%}"] if row["k_hat_too_high"] > 0.05 else []
    return "; ".join([*parts, *row["warnings"]])


COLUMNS = (
    Column("recipe", lambda r: r["recipe"] + (f" (seed {r['seed']})" if r["seed"] else "")),
    Column("ours", lambda r: plus_minus(r.get("log_p"), r.get("standard_error"))),
    Column("published", _published_cell),
    Column("difference", _difference_cell),
    Column("epochs", _epochs_cell),
    Column("time", _time_cell),
    Column("", _note_cell),
)


def _notes(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    samples = ", ".join(sorted({str(row["num_samples"]) for row in rows}, key=int))
    cited = {f["source"]: f["citation"] for row in rows for f in row["published"]}
    return (
        f"ours: the best model by validation bound, {samples} importance samples per test datum; +- is the Monte Carlo standard error of one training.",
        "difference: ours less the first published figure. +- of a published figure: the spread over its trainings.",
        "' known second-hand, ? from memory: to be checked in the source before anything rests on it.",
        *(f"{source}: {citation}." for source, citation in cited.items()),
    )


def _in_words(row: Row) -> str:
    if row["status"] != "done":
        return f"{row['status']}: {row['message']}"
    return f"log p(x) = {plus_minus(row['log_p'], row['standard_error'], 3)}; published: {_published_cell(row)}"
