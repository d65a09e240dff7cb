"""The tables of "Importance weighted autoencoders" (Burda, Grosse & Salakhutdinov 2016).

MNIST, one and two stochastic layers, VAE and IWAE with k samples, and beside them the doubly
reparameterised gradient (Tucker et al. 2019). Each row is a recipe: architecture, initial weights
and biases, optimiser and schedule are the paper's. Three things differ:

- 50,000 training images (theirs: 59,600 or 60,000; ours leave 10,000 for validation), of which
  the best epoch by validation bound is kept (theirs: the last).
- The encoder sees pixels less their means.
- Test images are binarised once, as the VampPrior's authors do.

VAE and IWAE with k = 1 are the same training.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jensen.reproductions._base import AbstractReproduction, Column, Results, Row
from jensen.reproductions._recipe_table import (
    BASIS_MARKS,
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
from jensen.reproductions.iwae._recipe_comparisons import compare_recipes, comparison_text

if TYPE_CHECKING:
    from jensen.runs import Run

PAPER_SAMPLES, SHORT_SAMPLES = 5000, 500
# What two CPU cores can do: the paper's batches at its first learning rate, which falls to 0.
SHORT = {"epochs": 4, "rate_stages": 0, "cool_down": 2}
# Pairs of rows of which the first should be better.
_BOTH_LAYERS = (
    ("iwae-k5", "vae-k1"),
    ("iwae-k50", "iwae-k5"),
    ("iwae-k5", "vae-k5"),
    ("iwae-k50", "vae-k50"),
)
_ONE_LAYER = (("dreg-k5", "iwae-k5"), ("dreg-k50", "iwae-k50"))
CLAIMS = tuple(
    (f"mnist-{layers}layer-{better}", f"mnist-{layers}layer-{worse}")
    for layers, pairs in ((1, (*_BOTH_LAYERS, *_ONE_LAYER)), (2, _BOTH_LAYERS))
    for better, worse in pairs
)


class IWAE(AbstractReproduction):
    """The tables of importance weighted auto-encoders: test log-likelihood and active units.

    Args:
        out: the folder in which it works.
        seed: of the first training of each row.
        data_dir: the folder of the data.
        only: names of recipes; all by default.
        epochs: of each training; the stages of the learning rate are shortened in proportion.
        share: the same as a fraction of the paper's 3280 epochs.
        schedule: 'paper', or 'short': 4 epochs of the paper's batches, at its first learning rate
            for two and then falling to 0.
        seeds: number of trainings of each row, with seed, seed + 1, ...
        num_samples: importance samples per datum; by default 5000, and 500 for the short schedule.

    Raises:
        ValueError: a value out of range, or a share together with epochs or the short schedule.

        recipes = ("mnist-1layer-iwae-k5",)
        IWAE(Path("runs/iwae"), 0, None, only=recipes, share=0.01, seeds=3).run()
    """

    summary = (
        "the tables of importance weighted auto-encoders: 1 and 2 layers, VAE and IWAE, "
        "k = 1, 5, 50; the doubly reparameterised gradient"
    )

    def __init__(
        self,
        out: Path,
        seed: int,
        data_dir: str | None,
        *,
        only: tuple[str, ...] = (),
        epochs: int | None = None,
        share: float | None = None,
        schedule: Literal["paper", "short"] = "paper",
        seeds: int = 1,
        num_samples: int | None = None,
    ):
        for name, value in (("epochs", epochs), ("seeds", seeds)):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1; got {value}.")
        if share is not None and not 0 < share <= 1:
            raise ValueError(
                "share must be above 0 and at most 1, a fraction of the paper's epochs; "
                f"got {share}."
            )
        if share is not None and (epochs is not None or schedule == "short"):
            raise ValueError(
                "share is a fraction of the paper's epochs: give it without epochs and without "
                "schedule=short, which has epochs of its own."
            )
        if num_samples is None:
            num_samples = PAPER_SAMPLES if schedule == "paper" else SHORT_SAMPLES
        remarks_column = Column("", _remarks_cell)
        self.table = RecipeTable(
            reproduction="iwae",
            plan_title="Recipes of the tables of importance weighted auto-encoders",
            title="Importance weighted auto-encoders, made again: test log p(x), nats per datum, "
            "higher is better",
            columns=(
                *(RECIPE, OURS, Column("active", _active_cell), PUBLISHED),
                *(DIFFERENCE, EPOCHS, TIME, remarks_column),
            ),
            notes=_notes,
            out=out,
            data_dir=data_dir,
            chosen=choose("iwae", only),
            seeds=tuple(range(seed, seed + seeds)),
            num_samples=num_samples,
            schedule=lambda recipe: _schedule(recipe, schedule, epochs, share),
            measure=lambda run, seed: _active_units(run, seed, data_dir),
        )

    def planned(self) -> Results:
        return self.table.planned()

    def run(self, *, progress: bool = True) -> Results:
        return self.table.run(progress=progress)


def _schedule(recipe: Recipe, schedule: str, epochs: int | None, share: float | None) -> Schedule:
    if schedule == "short":
        epochs = epochs or SHORT["epochs"]
        training = SHORT | {"epochs": epochs, "cool_down": epochs // 2}
        return Schedule({"training": training}, f"short{epochs}")
    recipe_epochs = recipe.values()["training"]["epochs"]
    epochs = epochs or max(1, round((share or 1) * recipe_epochs))
    if epochs == recipe_epochs:
        return Schedule()
    return Schedule({"training": {"epochs": epochs}}, f"epochs{epochs}")


def _active_units(run: "Run", seed: int, data_dir: str | None) -> dict[str, Any]:
    from jensen.anatomy.units import active_units_by_level
    from jensen.sessions import stream_key

    test = run.load_data(None, data_dir=data_dir).split("test")
    key = stream_key(seed, "account")
    return {"active_units": list(active_units_by_level(run.model, test, key=key))}


def _active_cell(row: Row) -> str:
    if "active_units" not in row:
        return ""
    published = [
        f"{p['source']} {p['active']}{BASIS_MARKS[p['active_basis']]}"
        for p in row["published"]
        if "active" in p
    ]
    return ", ".join(["+".join(map(str, row["active_units"])), *published])


def _remarks_cell(row: Row) -> str:
    if row["status"] != "done":
        return failure_text(row)
    texts = remarks(row, PAPER_SAMPLES)
    if not row["rate_stages"]:
        texts.insert(
            0,
            f"not the paper's schedule: {row['at_most_epochs']} epochs of its "
            f"{row['recipe_epochs']}, batches of {row['batch_size']}, "
            f"rate {row['learning_rate']:g} falling to 0",
        )
    elif row["shortened"]:
        texts.insert(
            0,
            f"shortened: {row['at_most_epochs']} of {row['recipe_epochs']} epochs, "
            f"{row['rate_stages']} stages of the learning rate in proportion",
        )
    return "; ".join(texts)


def _notes(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    return (
        *(comparison_text(comparison) for comparison in compare_recipes(rows, CLAIMS)),
        evidence_note(rows),
        (
            "Above, +- is the standard error of the difference over trainings. "
            "k = 1 is the same training for VAE and IWAE."
        ),
        (
            "active: units whose posterior mean varies over the test data by more than 0.01 in "
            "variance, z1 + z2."
        ),
        (
            "50,000 training images (the paper: 59,600); "
            "difference: ours less the first published figure."
        ),
        BASIS_NOTE,
        *citation_notes(rows),
    )
