"""The tables of "Importance weighted autoencoders" (Burda, Grosse & Salakhutdinov 2016): MNIST, one and two stochastic layers, VAE and IWAE with k samples;
and the doubly reparameterised gradient (Tucker et al. 2019) beside them.

Each row is a recipe: architecture, initial weights and biases, optimiser and schedule are the paper's. What is not: 50,000 training images (theirs: 59,600 or
60,000; ours keep 10,000 for validation), of which the best epoch by validation bound is kept (theirs: the last); the encoder sees pixels less their means; test
images are binarised once, as the VampPrior's authors do. k = 1 is the same training for VAE and IWAE.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jensen.reproductions._base import AbstractReproduction, Column, Results, Row
from jensen.reproductions._orders import in_words, orders
from jensen.reproductions._recipes import Recipe, choose
from jensen.reproductions._table import (
    BASIS,
    DIFFERENCE,
    EPOCHS,
    MARKS,
    OURS,
    PUBLISHED,
    RECIPE,
    TIME,
    Schedule,
    Table,
    cited,
    remarks,
)

if TYPE_CHECKING:
    from jensen.runs import Run

GROUP = "iwae"
SAMPLES, SHORT_SAMPLES = 5000, 500
# What can be seen on two CPU cores: the paper's batches at its first rate, which then falls to 0.
SHORT = {"epochs": 4, "rate_stages": 0, "cool_down": 2}
CLAIMS = tuple(
    (f"mnist-{layers}layer-{better}", f"mnist-{layers}layer-{worse}")
    for layers, pairs in (
        (
            1,
            (
                ("iwae-k5", "vae-k1"),
                ("iwae-k50", "iwae-k5"),
                ("iwae-k5", "vae-k5"),
                ("iwae-k50", "vae-k50"),
                ("dreg-k5", "iwae-k5"),
                ("dreg-k50", "iwae-k50"),
            ),
        ),
        (
            2,
            (
                ("iwae-k5", "vae-k1"),
                ("iwae-k50", "iwae-k5"),
                ("iwae-k5", "vae-k5"),
                ("iwae-k50", "vae-k50"),
            ),
        ),
    )
    for better, worse in pairs
)


class IWAE(AbstractReproduction):
    """The tables of the importance weighted auto-encoders: our test log-likelihood and active units beside the published ones, and the order of the rows.

    Args:
        only: recipes; all by default.
        epochs: of each training; the stages of the learning rate keep their proportions.
        share: the same as a fraction of the paper's 3280 epochs.
        schedule: 'paper', or 'short': 4 epochs of the paper's batches, at its first learning rate for two and then falling to 0.
        seeds: so many trainings of each row, with seed, seed + 1, ...
        num_samples: importance samples per datum; 5000 by default, 500 of the short schedule.

    Raises:
        ValueError: a value out of range, or a share beside epochs or beside the short schedule.

        IWAE(Path("runs/iwae"), 0, None, only=("mnist-1layer-iwae-k5",), share=0.01, seeds=3).run()
    """

    summary = "the tables of importance weighted auto-encoders: 1 and 2 layers, VAE and IWAE, k = 1, 5, 50; the doubly reparameterised gradient"

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
                f"share must be above 0 and at most 1, a fraction of the paper's epochs; got {share}."
            )
        if share is not None and (epochs is not None or schedule == "short"):
            raise ValueError(
                "share is a fraction of the paper's epochs: give it without epochs and without schedule=short, which has epochs of its own."
            )
        self.table = Table(
            group=GROUP,
            plan_title="Recipes of the tables of importance weighted auto-encoders",
            title="Importance weighted auto-encoders, made again: test log p(x), nats per datum, higher is better",
            columns=(
                RECIPE,
                OURS,
                ACTIVE,
                PUBLISHED,
                DIFFERENCE,
                EPOCHS,
                TIME,
                Column("", _note_cell),
            ),
            notes=_notes,
            out=out,
            data_dir=data_dir,
            chosen=choose(GROUP, only),
            seeds=tuple(range(seed, seed + seeds)),
            num_samples=num_samples
            if num_samples is not None
            else SAMPLES
            if schedule == "paper"
            else SHORT_SAMPLES,
            schedule=lambda recipe: _schedule(recipe, schedule, epochs, share),
            measure=lambda run, seed: _active(run, seed, data_dir),
        )

    def planned(self) -> Results:
        return self.table.planned()

    def run(self, *, progress: bool = True) -> Results:
        return self.table.run(progress=progress)


def _schedule(recipe: Recipe, schedule: str, epochs: int | None, share: float | None) -> Schedule:
    theirs = recipe.values()["training"]["epochs"]
    if schedule == "short":
        epochs = epochs or SHORT["epochs"]
        return Schedule(
            {"training": SHORT | {"epochs": epochs, "cool_down": epochs // 2}}, f"short{epochs}"
        )
    epochs = epochs or max(1, round((share or 1) * theirs))
    return (
        Schedule()
        if epochs == theirs
        else Schedule({"training": {"epochs": epochs}}, f"epochs{epochs}")
    )


def _active(run: "Run", seed: int, data_dir: str | None) -> dict[str, Any]:
    from jensen.anatomy.units import active_units_by_level
    from jensen.evaluation import stream_key

    dataset = run.load_data(None, data_dir=data_dir)
    return {
        "active_units": list(
            active_units_by_level(run.model, dataset.split("test"), stream_key(seed, "account"))
        )
    }


def _active_cell(row: Row) -> str:
    theirs = [
        f"{f['source']} {f['active']}{MARKS[f['active_basis']]}"
        for f in row["published"]
        if "active" in f
    ]
    return (
        ", ".join(["+".join(map(str, row["active_units"])), *theirs])
        if "active_units" in row
        else ""
    )


def _note_cell(row: Row) -> str:
    if row["status"] != "done":
        return f"{row['status']}: {row['message']}"
    parts = []
    if not row["rate_stages"]:
        ours = f"{row['at_most_epochs']} epochs of its {row['recipe_epochs']}, batches of {row['batch_size']}, rate {row['learning_rate']:g} falling to 0"
        parts = [f"not the paper's schedule: {ours}"]
    elif row["shortened"]:
        parts = [
            f"shortened: {row['at_most_epochs']} of {row['recipe_epochs']} epochs, {row['rate_stages']} stages of the learning rate in proportion"
        ]
    return "; ".join([*parts, *remarks(row, SAMPLES)])


def _notes(rows: list[dict[str, Any]]) -> tuple[str, ...]:
    samples = ", ".join(sorted({str(row["num_samples"]) for row in rows}, key=int))
    return (
        *(in_words(order) for order in orders(rows, CLAIMS)),
        f"ours: the best model by validation bound, {samples} importance samples per test datum; +- is the Monte Carlo standard error of one training.",
        "Above, +- is the standard error of the difference over trainings. k = 1 is the same training for VAE and IWAE.",
        "active: units whose posterior mean varies over the test data by more than 0.01 in variance, z1 + z2.",
        "50,000 training images (the paper: 59,600); difference: ours less the first published figure.",
        BASIS,
        *cited(rows),
    )


ACTIVE = Column("active", _active_cell)
