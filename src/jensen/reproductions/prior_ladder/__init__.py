"""The ladder of priors: from N(0, I) to the aggregated posterior, on one frozen encoder.

The ladder is that of Tomczak & Welling (2018, section 3). N(0, I) does not depend on the data; a
VampPrior of K pseudo-inputs is a weakened aggregated posterior; at K = N the prior is the
aggregated posterior q(z) itself, which is the best one for the training ELBO and no regulariser.

Encoder and decoder are frozen, so reconstruction and I(n; z) stay the same, and marginal KL and
ELBO change by the prior alone. The evidence of held-out data tells which prior generalises.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jensen._files import exclusive, npz_bytes, read_npz, write_atomically
from jensen.reproductions._base import (
    AbstractReproduction,
    Column,
    Results,
    paired_difference,
    without,
)
from jensen.reproductions._recipes import choose
from jensen.reproductions.prior_ladder._table import COLUMNS, SPLITS, name_of, notes, progress_text

if TYPE_CHECKING:
    import jax

    from jensen._types import Distribution
    from jensen.datasets import Dataset
    from jensen.model import Model
    from jensen.reproductions.prior_ladder._measurements import SplitDraws
    from jensen.runs import Run

COMPONENTS = (1, 10, 100, 500, 1000, 5000, 20_000)
# Of refitting, unless `epochs` says otherwise.
STEPS, BATCH_SIZE, LEARNING_RATE = 1500, 100, 3e-2
# With more pseudo-inputs each step of refitting takes seconds on CPUs.
MOST_LEARNED_COMPONENTS = 1000


class Rung(NamedTuple):
    """A prior of the ladder.

    Attributes:
        kind: 'standard_normal', 'own' (the run's prior), 'learned' or 'fixed' (a VampPrior with
            refitted pseudo-inputs, or with training rows), or 'aggregated'.
        components: the number of mixture components K; None where there is none.
    """

    kind: str
    components: int | None


class PriorLadder(AbstractReproduction):
    """Marginal KL, I(n; z), ELBO and evidence of train and test data under each prior.

    Args:
        out: the folder in which it works.
        seed: of the training, the choice of training rows, the refitting and the draws.
        data_dir: the folder of the data.
        run: folder of a trained run; without it, a run is trained first.
        data: recipe of that training.
        components: the numbers of pseudo-inputs K; by default 1, 10, 100, 500, 1000, ... below N.
            K = N is always added.
        epochs: of refitting learned pseudo-inputs, which start at training rows; by default about
            1,500 steps. By default K is at most 1000 for these.
        num_samples: importance samples for the evidence.
        rows: the evidence is estimated for so many data of each split, the first ones.
        base_epochs: of the training, in place of the recipe's.
        trust_code: whether `run` may import code of its own.

    Raises:
        ValueError: a value out of range.

        PriorLadder(Path("runs/prior-ladder"), 0, None, data="digits").run()
    """

    summary = (
        "priors ordered by how far they look at the data, from N(0, I) to the aggregated "
        "posterior, on one frozen encoder"
    )

    def __init__(
        self,
        out: Path,
        seed: int,
        data_dir: str | None,
        *,
        run: str | None = None,
        data: Literal["digits", "mnist"] = "digits",
        components: tuple[int, ...] = (),
        epochs: int | None = None,
        num_samples: int = 500,
        rows: int = 1500,
        base_epochs: int | None = None,
        trust_code: bool = False,
    ):
        lowest = (
            ("epochs", epochs, 1),
            ("num_samples", num_samples, 2),
            ("rows", rows, 2),
            ("base_epochs", base_epochs, 1),
            *((f"components[{i}]", k, 1) for i, k in enumerate(components)),
        )
        for name, value, least in lowest:
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}; got {value}.")
        self.out, self.seed, self.data_dir = out, seed, data_dir
        self.run_path, self.data, self.trust_code = run, data, trust_code
        self.components, self.epochs, self.base_epochs = components, epochs, base_epochs
        self.num_samples, self.rows = num_samples, rows

    def planned(self) -> Results:
        from jensen.reproductions._runs import state_of

        listed = ", ".join(map(str, self.components or (*COMPONENTS[:5], "...")))
        path = Path(self.run_path) if self.run_path else self._base_folder()
        measured = len(list((self.out / "rungs").glob("*.npz")))
        rows = (
            {"what": f"the run {path}", "state": state_of(path)},
            {"what": f"K = {listed} and N", "state": f"{measured} priors measured"},
        )
        columns = tuple(Column(name, lambda row, name=name: row[name]) for name in rows[0])
        return Results("The ladder of priors", columns, rows)

    def run(self, *, progress: bool = True) -> Results:
        import jax.random as jr

        from jensen.sessions import stream_key

        with exclusive(self.out):
            base = self._base_run(progress=progress)
            dataset, model = base.load_data(None, data_dir=self.data_dir), base.model
            key_rows, key_refit = jr.split(stream_key(self.seed, "training"))
            epochs = self.epochs or max(5, -(-STEPS * BATCH_SIZE // len(dataset.train)))
            signature = self._signature(base, epochs)
            ladder = self._ladder(len(dataset.train), own=_has_own_prior(model))
            draws: dict[str, SplitDraws] = {}
            if any(self._read(rung, signature) is None for rung in ladder):
                draws = self._split_draws(model, dataset, progress=progress)
            rows = []
            for i, rung in enumerate(ladder, start=1):
                row = self._read(rung, signature)
                if row is None:
                    prior = (
                        self._refitted_prior(rung, model, dataset, key_refit, epochs)
                        if rung.kind == "learned"
                        else _fixed_prior(rung, model, draws["train"], key_rows)
                    )
                    row = self._measured(rung, prior, draws, signature)
                rows.append(row)
                if progress:
                    text = f"[{i}/{len(ladder)}] {name_of(row)}: {progress_text(row)}"
                    print(text, file=sys.stderr)
            return self._results(rows, base, dataset, epochs)

    def _base_run(self, *, progress: bool) -> "Run":
        from jensen.config import Config, merge
        from jensen.reproductions._runs import finished_run
        from jensen.runs import RunError, load

        if self.run_path:
            return load(self.run_path, trust_code=self.trust_code)
        values = merge(
            choose("prior_ladder", (self.data,))[0].values(),
            {"seed": self.seed, "data": {"data_dir": self.data_dir}},
        )
        if self.base_epochs is not None:
            warm_up = min(values["training"].get("warm_up", 20), self.base_epochs // 5)
            values = merge(values, {"training": {"epochs": self.base_epochs, "warm_up": warm_up}})
        run = finished_run(Config.read(values), self._base_folder(), progress=progress)
        if run.status == "diverged":
            raise RunError(
                f"the training of {run.path} diverged: {run.outcome.message} "
                "Give a trained run by --run."
            )
        return run

    def _base_folder(self) -> Path:
        schedule = "" if self.base_epochs is None else f"-epochs{self.base_epochs}"
        return self.out / f"{self.data}{schedule}{f'-seed{self.seed}' if self.seed else ''}"

    def _ladder(self, n: int, *, own: bool) -> list[Rung]:
        """Returns the priors to measure, ordered by how much they depend on the N data."""
        too_many = [k for k in self.components if k > n]
        if too_many:
            raise ValueError(
                f"components: {too_many[0]} pseudo-inputs cannot be drawn from {n} training data; "
                f"the far end K = {n} is always there."
            )
        numbers = sorted({k for k in self.components or COMPONENTS if k < n})
        learned = [k for k in numbers if self.components or k <= MOST_LEARNED_COMPONENTS]
        return [
            Rung("standard_normal", None),
            *([Rung("own", None)] if own else []),
            *(Rung("learned", k) for k in learned),
            *(Rung("fixed", k) for k in numbers),
            Rung("aggregated", n),
        ]

    def _split_draws(
        self, model: "Model", dataset: "Dataset", *, progress: bool
    ) -> "dict[str, SplitDraws]":
        from jensen.reproductions.prior_ladder._measurements import split_draws
        from jensen.sessions import split_data, stream_key

        return {
            split: split_draws(
                model,
                split_data(dataset, split),
                key=stream_key(self.seed, "account"),
                num_samples=self.num_samples,
                rows=self.rows,
                split=split,
                progress=progress,
            )
            for split in SPLITS
        }

    def _refitted_prior(
        self, rung: Rung, model: "Model", dataset: "Dataset", key: "jax.Array", epochs: int
    ) -> "Distribution":
        """Returns a VampPrior whose pseudo-inputs are trained with encoder and decoder frozen."""
        from jensen.distributions import top_of
        from jensen.refitting import refit_prior
        from jensen.runs import RunError

        prior = {"name": "vamp", "num_components": rung.components, "initialise": "data"}
        # The rows that the ladder measures on: grey levels as drawn there, not drawn afresh.
        frozen = replace(dataset, train=dataset.split("train"), levels=None)
        refit = refit_prior(
            model,
            prior,
            frozen,
            progress=False,
            key=key,
            epochs=epochs,
            learning_rate=LEARNING_RATE,
            patience=0,
        )
        if refit.outcome.status != "completed":
            raise RunError(
                f"re-fitting {rung.components} pseudo-inputs ended as {refit.outcome.status}: "
                f"{refit.outcome.message}"
            )
        return top_of(refit.model.prior(refit.model.encoder))

    def _measured(
        self,
        rung: Rung,
        prior: "Distribution",
        draws: "dict[str, SplitDraws]",
        signature: str,
    ) -> dict[str, Any]:
        """Measures a prior, stores the measurement and returns it."""
        import numpy as np

        from jensen.reproductions.prior_ladder._measurements import LINES, measure

        row: dict[str, Any] = {
            **rung._asdict(),
            **{split: measure(prior, draws[split]) for split in SPLITS},
        }
        arrays = {
            f"{split}.{line}": row[split][line]["per_datum"] for split in SPLITS for line in LINES
        }
        arrays |= {
            "rung": np.asarray(json.dumps(_without_arrays(row))),
            "signature": np.asarray(signature),
        }
        write_atomically(self._path(rung), npz_bytes(arrays))
        return row

    def _read(self, rung: Rung, signature: str) -> dict[str, Any] | None:
        arrays = read_npz(self._path(rung))
        if arrays is None or str(arrays["signature"]) != signature:
            return None
        row = json.loads(str(arrays["rung"]))
        for name in arrays.keys() - {"rung", "signature"}:
            split, line = name.split(".")
            row[split][line]["per_datum"] = arrays[name]
        return row

    def _path(self, rung: Rung) -> Path:
        suffix = "" if rung.components is None else f"-{rung.components}"
        return self.out / "rungs" / f"{rung.kind}{suffix}.npz"

    def _signature(self, base: "Run", epochs: int) -> str:
        """Returns what a stored measurement depends on, as text."""
        weights = {
            epoch: (base.path / "checkpoints" / f"{epoch}.sha256").read_text()
            for epoch in base.checkpoints.epochs()[-1:]
        }
        fingerprints = base.record["data"]["fingerprints"]
        return json.dumps(
            [weights, fingerprints, self.seed, epochs, self.num_samples, self.rows],
            sort_keys=True,
        )

    def _results(
        self, rows: list[dict[str, Any]], base: "Run", dataset: "Dataset", epochs: int
    ) -> Results:
        from jensen.reproductions.prior_ladder.picture import draw_ladder

        files = []
        for name, content in draw_ladder(rows).items():
            write_atomically(self.out / name, content)
            files.insert(0, str(self.out / name))
        files += [str(self.out / "results.md"), str(self.out / "results.json")]
        plain_rows = [
            {
                **_without_arrays(row),
                "gain": _differences(row, rows[0]),
                "over_aggregated": _differences(row, rows[-1]),
            }
            for row in rows
        ]
        n = {split: len(dataset.split(split)) for split in SPLITS}
        evidence_rows = {split: min(self.rows, n[split]) for split in SPLITS}
        details = {
            "unit": "nats per datum",
            "run": str(base.path),
            "data": dataset.name,
            "n": n,
            "num_samples": self.num_samples,
            "evidence_rows": evidence_rows,
            "epochs": epochs,
            "seed": self.seed,
        }
        results = Results(
            f"The ladder of priors on {dataset.name}: nats per datum",
            COLUMNS,
            tuple(plain_rows),
            notes(plain_rows, n, evidence_rows),
            details,
            0,
            tuple(files),
        )
        results.write(self.out)
        return results


def _has_own_prior(model: "Model") -> bool:
    """Returns whether the model's prior is another than N(0, I)."""
    if model.recipe is None:
        return True
    prior = model.recipe.values["prior"]
    return prior["name"] != "standard_normal" or prior.get("scale", 1.0) != 1.0


def _fixed_prior(
    rung: Rung, model: "Model", train: "SplitDraws", key: "jax.Array"
) -> "Distribution":
    """Returns a prior that needs no training."""
    import jax.numpy as jnp
    import jax.random as jr
    import numpy as np

    from jensen.distributions import diagonal_normal, mixture_of, top_of

    n, dimension = train.surgery.posterior_means.shape
    if rung.kind == "own":
        return top_of(model.prior(model.encoder))
    if rung.components is None:
        return diagonal_normal(jnp.zeros(dimension), jnp.ones(dimension))
    # One permutation for all K: the rows of a rung are among those of the next.
    rows = np.arange(n) if rung.kind == "aggregated" else np.asarray(jr.permutation(key, n))
    return mixture_of(train.surgery.posteriors[rows[: rung.components]])


def _differences(row: dict[str, Any], baseline: dict[str, Any]) -> dict[str, Any]:
    """Returns ELBO and evidence of a row less those of another on the same data, by split."""
    return {
        split: {
            line: paired_difference(
                row[split][line]["per_datum"], baseline[split][line]["per_datum"]
            )
            for line in ("elbo", "evidence")
        }
        for split in SPLITS
    }


def _without_arrays(row: dict[str, Any]) -> dict[str, Any]:
    """Returns a row as plain values, without the values per datum."""
    plain = {key: row[key] for key in ("kind", "components")}
    for split in SPLITS:
        plain[split] = {
            name: without(line, "per_datum") if isinstance(line, dict) else line
            for name, line in row[split].items()
        }
    return plain
