"""The table of the VampPrior paper (Tomczak & Welling 2018): data set x model x prior.

Each row is a recipe, with the models and data of the authors' code. Four things differ:

- The schedule: each recipe names theirs beside ours.
- Weights start Glorot-uniform (theirs: N(0, 2/fan_in)). Pseudo-inputs are a sigmoid of their
  parameters and start near the training mean (theirs: a hard tanh of N(.05, .01) or N(.5, .02)).
- Posterior scales and Bernoulli means are not clipped.
- The validation bound, which chooses the epoch, uses the same draws in every epoch.
"""

from pathlib import Path
from typing import Any

from jensen.reproductions._base import AbstractReproduction, Column, Results, Row
from jensen.reproductions._recipe_table import (
    BASIS_NOTE,
    DIFFERENCE,
    EPOCHS,
    OURS,
    PUBLISHED,
    RECIPE,
    TIME,
    RecipeTable,
    Schedule,
    citation_notes,
    evidence_note,
    failure_text,
    remarks,
)
from jensen.reproductions._recipes import Recipe, choose

PAPER_SAMPLES = 5000


class VampPrior(AbstractReproduction):
    """The table of the VampPrior paper: our test log-likelihood beside the published one.

    Args:
        out: the folder in which it works.
        seed: of the trainings.
        data_dir: the folder of the data.
        only: names of recipes; all by default.
        epochs: of each training; warm-up and cool-down are shortened in proportion.
        num_samples: importance samples per datum.

    Raises:
        ValueError: an unknown recipe, or a value out of range.

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
        num_samples: int = PAPER_SAMPLES,
    ):
        if epochs is not None and epochs < 1:
            raise ValueError(f"epochs must be at least 1; got {epochs}.")
        self.table = RecipeTable(
            reproduction="vampprior",
            plan_title="Recipes of the VampPrior table",
            title="The VampPrior table, made again: test log p(x), nats per datum, "
            "higher is better",
            columns=(RECIPE, OURS, PUBLISHED, DIFFERENCE, EPOCHS, TIME, Column("", _remarks_cell)),
            notes=_notes,
            out=out,
            data_dir=data_dir,
            chosen=choose("vampprior", only),
            seeds=(seed,),
            num_samples=num_samples,
            schedule=lambda recipe: _schedule(recipe, epochs),
        )

    def planned(self) -> Results:
        return self.table.planned()

    def run(self, *, progress: bool = True) -> Results:
        return self.table.run(progress=progress)


def _schedule(recipe: Recipe, epochs: int | None) -> Schedule:
    if epochs is None:
        return Schedule()
    training = recipe.values()["training"]
    changes = {"epochs": epochs}
    if epochs < training["epochs"]:
        # A warm-up longer than the training would end at a KL weight below 1, and a cool-down as
        # long as it would leave no epoch at the full learning rate.
        changes |= {
            key: training.get(key, 0) * epochs // training["epochs"]
            for key in ("warm_up", "cool_down")
        }
    name = "" if epochs == training["epochs"] else f"epochs{epochs}"
    return Schedule({"training": changes}, name)


def _remarks_cell(row: Row) -> str:
    if row["status"] != "done":
        return failure_text(row)
    texts = remarks(row, PAPER_SAMPLES)
    if row["shortened"]:
        epochs = f"{row['at_most_epochs']} of {row['recipe_epochs']} epochs"
        texts.insert(0, f"shortened: {epochs}, warm-up {row['warm_up']}")
    return "; ".join(texts)


def _notes(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    return (
        evidence_note(rows),
        (
            "difference: ours less the first published figure. "
            "+- of a published figure: the spread over its trainings."
        ),
        BASIS_NOTE,
        *citation_notes(rows),
    )
