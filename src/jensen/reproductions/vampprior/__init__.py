"""The table of the VampPrior paper (Tomczak & Welling 2018): test log-likelihoods of data set x model x prior.

Each row is a recipe, with models and data as in the authors' code. What is not theirs: the schedule, which each recipe gives beside theirs; weights start
Glorot-uniform (theirs: N(0, 2/fan_in)); pseudo-inputs are a sigmoid of their parameters and start near the training mean (theirs: a hard tanh of N(.05, .01) or
N(.5, .02)); posterior scales and Bernoulli means are not clipped at theirs; the validation bound, which chooses the epoch, uses the same draws in every epoch.
"""

from pathlib import Path
from typing import Any

from jensen.reproductions._base import AbstractReproduction, Column, Results, Row
from jensen.reproductions._recipes import Recipe, choose
from jensen.reproductions._table import (
    BASIS,
    DIFFERENCE,
    EPOCHS,
    OURS,
    PUBLISHED,
    RECIPE,
    TIME,
    Schedule,
    Table,
    cited,
    remarks,
)

GROUP = "vampprior"
SAMPLES = 5000


class VampPrior(AbstractReproduction):
    """The VampPrior paper's table: our test log-likelihood beside the published one.

    `only` names recipes (all by default), `epochs` shortens the schedule (warm-up and cool-down in proportion), `num_samples` are importance samples per datum.

        VampPrior(Path("runs/vampprior"), 0, None, only=("mnist-vae-vamp",), epochs=100).run()
    """

    summary = "the VampPrior paper's table of test log-likelihoods: data set x model x prior"

    def __init__(
        self,
        out: Path,
        seed: int,
        data_dir: str | None,
        *,
        only: tuple[str, ...] = (),
        epochs: int | None = None,
        num_samples: int = SAMPLES,
    ):
        if epochs is not None and epochs < 1:
            raise ValueError(f"epochs must be at least 1; got {epochs}.")
        self.table = Table(
            group=GROUP,
            plan_title="Recipes of the VampPrior table",
            title="The VampPrior table, made again: test log p(x), nats per datum, higher is better",
            columns=(RECIPE, OURS, PUBLISHED, DIFFERENCE, EPOCHS, TIME, Column("", _note_cell)),
            notes=_notes,
            out=out,
            data_dir=data_dir,
            chosen=choose(GROUP, only),
            seeds=(seed,),
            num_samples=num_samples,
            schedule=lambda recipe: _schedule(recipe, epochs),
        )

    def planned(self) -> Results:
        return self.table.planned()

    def run(self, *, progress: bool = True) -> Results:
        return self.table.run(progress=progress)


def _schedule(recipe: Recipe, epochs: int | None) -> Schedule:
    theirs = recipe.values()["training"]
    if epochs is None:
        return Schedule()
    # A warm-up longer than the training would leave a model of a smaller KL weight; a cool-down as long, no training at the full rate.
    shorter = {
        key: theirs.get(key, 0) * epochs // theirs["epochs"]
        for key in ("warm_up", "cool_down")
        if epochs < theirs["epochs"]
    }
    return Schedule(
        {"training": {"epochs": epochs, **shorter}},
        "" if epochs == theirs["epochs"] else f"epochs{epochs}",
    )


def _note_cell(row: Row) -> str:
    if row["status"] != "done":
        return f"{row['status']}: {row['message']}"
    parts = (
        [
            f"shortened: {row['at_most_epochs']} of {row['recipe_epochs']} epochs, warm-up {row['warm_up']}"
        ]
        if row["shortened"]
        else []
    )
    return "; ".join([*parts, *remarks(row, SAMPLES)])


def _notes(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    samples = ", ".join(sorted({str(row["num_samples"]) for row in rows}, key=int))
    return (
        f"ours: the best model by validation bound, {samples} importance samples per test datum; +- is the Monte Carlo standard error of one training.",
        "difference: ours less the first published figure. +- of a published figure: the spread over its trainings.",
        BASIS,
        *cited(rows),
    )
